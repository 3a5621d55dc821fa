//! The walk: reading one market newest to oldest, page by page. Pure.
//!
//! [`Walk::next`] says what to ask, [`Walk::page`] is told the answer and says which rows to
//! store and what storing them proves. The exchange answers newest first, so a walk that
//! breaks leaves its gap *below* what it has: only the page that reaches the lower edge
//! completes the window.
//!
//! The window's upper edge is frozen by the `Date` of the very answer that holds its first
//! page, not by a clock of ours: a cached answer claims no more than it holds.

use std::time::Duration;

use super::checkpoint::{Checkpoint, OpenWalk, Progress, Window};
use super::page::{End, Guard, Page, PageRequest, Row, Rules, Step, Walked};
use super::tier::Tier;
use super::time::{CLOCK_SLACK, Timestamp};
use super::trade::{Event, Rejected, Ticker};

/// Trades younger than this are still on the live endpoint, which holds about sixty days.
const LIVE_MIN: Duration = Duration::from_secs(30 * 86_400);

/// The oldest trade time of a chain of pages, and the ids seen at exactly that time.
#[derive(Clone, Debug)]
struct Oldest {
    at: Timestamp,
    ids: Vec<Box<str>>,
}

/// Who opened the window being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// An earlier pass, which did not finish it; a window of our own follows.
    Inherited,
    /// This pass; it was cut off at the length of a slice, so that another follows.
    Slice,
    /// This pass.
    Own,
}

/// The state machine of one market's walk in one pass.
#[derive(Clone, Debug)]
pub struct Walk {
    market: Ticker,
    tier: Tier,
    rules: Rules,
    /// Nothing older is claimed, so nothing older is stored.
    complete_from: Option<Timestamp>,
    has_completed_before: bool,
    origin: Origin,
    from: Option<Timestamp>,
    /// `None` until the first page freezes it.
    until: Option<Timestamp>,
    cursor: Option<String>,
    /// After a restart by time: read from this instant's second downwards.
    ceiling: Option<Timestamp>,
    /// How long before the exchange's now a window begins that nothing else bounds below; `None`
    /// once that is settled.
    begins_ago: Option<Duration>,
    /// The oldest trade time seen so far.
    low: Option<Timestamp>,
    /// Our clock when the window's first page was read.
    opened_at: Option<Timestamp>,
    /// The same of the last completed window; `None` once it was consulted.
    complete_as_of: Option<Timestamp>,
    /// Where reading began again because the checkpoint claims more than it can know.
    misdated: Option<Timestamp>,
    /// The last row of the page before, for the guards; `None` at the start of a chain of pages.
    previous: Option<Oldest>,
    /// Exchange time when the window was frozen.
    frozen_at: Option<Timestamp>,
    /// The slice before this one was read so late that nothing below this is late for it.
    reread_floor: Option<Timestamp>,
    /// Whether the walk was restarted since `low` last fell: a second time would be pointless.
    is_restarted: bool,
    was_empty: bool,
    pages: u32,
    end: Option<End>,
}

impl Walk {
    /// Takes up what the checkpoint left, or opens a new window above it.
    pub fn new(checkpoint: &Checkpoint, rules: Rules) -> Walk {
        let mut walk = Walk {
            market: checkpoint.market.clone(),
            tier: Tier::Live,
            rules,
            complete_from: checkpoint.complete_from,
            has_completed_before: checkpoint.complete_until.is_some(),
            origin: Origin::Own,
            from: checkpoint.complete_until.or(rules.since).map(Timestamp::floor),
            until: None,
            cursor: None,
            ceiling: None,
            begins_ago: None,
            low: None,
            opened_at: None,
            complete_as_of: checkpoint.complete_as_of,
            misdated: None,
            previous: None,
            frozen_at: None,
            reread_floor: None,
            is_restarted: false,
            was_empty: false,
            pages: 0,
            end: None,
        };
        if let Some(open) = &checkpoint.walk {
            walk.resume(open);
        }
        walk
    }

    /// The same, but one that was never read and has no other lower edge begins so long before the exchange's now.
    #[must_use]
    pub(super) fn beginning_ago(self, span: Duration) -> Walk {
        let begins_ago = (self.from.is_none() && self.origin == Origin::Own).then_some(span);
        Walk { begins_ago, ..self }
    }

    /// A walk of this one window, begun before or not, and of nothing else.
    pub(super) fn of_window(market: Ticker, tier: Tier, open: &OpenWalk, rules: Rules) -> Walk {
        let nobody = Checkpoint::first(market, open.window.until());
        let mut walk = Walk::new(&nobody, Rules { slice: None, ..rules });
        walk.resume(open);
        Walk { tier, origin: Origin::Own, ..walk }
    }

    fn resume(&mut self, open: &OpenWalk) {
        self.origin = Origin::Inherited;
        self.from = open.window.from();
        self.until = Some(open.window.until());
        self.low = open.low;
        self.opened_at = open.opened_at;
        if open.cursor.is_some() {
            self.cursor.clone_from(&open.cursor);
            self.previous = open.low.map(|at| Oldest { at, ids: Vec::new() });
        } else {
            self.ceiling = open.low;
        }
    }

    /// The market being read.
    pub fn market(&self) -> &Ticker {
        &self.market
    }

    /// What to ask next, or how it ended.
    pub fn next(&self) -> Step {
        match self.end {
            Some(end) => Step::Done(end),
            None if self.pages >= self.rules.pages_max => {
                Step::Done(End::Guarded(Guard::TooManyPages))
            }
            None => Step::Fetch(PageRequest {
                market: self.market.clone(),
                tier: self.tier,
                cursor: self.cursor.clone(),
                // A second lower, too: what it brings from below the edge is not kept.
                min_ts: self.lower_edge().map(|edge| edge.second() - 1),
                // Also for a whole second: an exclusive bound must not cut off its ties.
                max_ts: self.upper_edge().map(|edge| edge.second() + 1),
            }),
        }
    }

    /// Rows below this instant are neither asked for nor kept.
    pub(super) fn lower_edge(&self) -> Option<Timestamp> {
        let from = self.from?;
        if !self.has_completed_before {
            return Some(from);
        }
        let edge = from.before(self.rules.overlap);
        let bounds = [self.complete_from, self.reread_floor.map(|floor| floor.min(from))];
        Some(bounds.into_iter().flatten().fold(edge, Timestamp::max))
    }

    /// Where a window that begins at `from` has to end at the latest.
    fn slice_end(&self) -> Option<Timestamp> {
        Some(self.from?.after(self.rules.slice?).floor())
    }

    /// Rows after this instant are not asked for. A walk below its lower edge (the overlap was
    /// shortened since) has read everything, but must still ask sensibly.
    fn upper_edge(&self) -> Option<Timestamp> {
        self.ceiling
            .or(self.until)
            .or(self.slice_end())
            .map(|edge| edge.max(self.lower_edge().unwrap_or(edge)))
    }

    /// The exchange refused the request because of its cursor: go on by time instead.
    pub fn cursor_refused(&mut self) {
        self.restart_by_time();
    }

    /// Whether the request in hand carries a cursor, so that refusing it may be the cursor's fault.
    pub fn has_cursor(&self) -> bool {
        self.cursor.is_some()
    }

    fn restart_by_time(&mut self) {
        if self.is_restarted {
            self.end = Some(End::Guarded(Guard::CursorsUseless));
            return;
        }
        self.is_restarted = true;
        self.cursor = None;
        self.ceiling = self.low;
        self.previous = None;
        self.was_empty = false; // It said something only about the pages that led to it.
    }

    /// Takes the answer to the request in hand; says what to store and what that proves.
    pub fn page(&mut self, page: Page) -> Walked {
        self.pages += 1;
        let Some(until) = self.frozen_edge(&page) else {
            return self.walked(Vec::new(), Vec::new(), page.exchange_now, None);
        };
        match self.inspect(&page) {
            Verdict::StartedOver => {
                // Newer rows than the walk is at: they are stored already or belong to the next window.
                self.restart_by_time();
                return self.walked(Vec::new(), Vec::new(), page.exchange_now, None);
            }
            Verdict::Broken(guard) => {
                self.end = Some(End::Guarded(guard));
                let events = self.kept(page.events, until);
                return self.walked(events, page.rejected, page.exchange_now, None);
            }
            Verdict::Sound => {}
        }
        self.remember_oldest(&page.events);
        let is_empty = page.is_empty();
        let is_below = match (self.low, self.lower_edge()) {
            (Some(low), Some(edge)) => low < edge,
            _ => false,
        };
        // An empty page with a cursor is followed once: it may be a hiccup or the very end.
        let is_last = page.cursor.is_none() || is_below || (is_empty && self.was_empty);
        self.was_empty = is_empty;
        self.cursor.clone_from(&page.cursor);
        let window = Window::new(self.from, until);
        let progress = window.map(|window| {
            let opened_at = self.opened_at;
            if is_last {
                Progress::Completed { window, opened_at }
            } else {
                // Where the cursor stands, which after a restart by time may be above `self.low`.
                let low = self.previous.as_ref().map(|previous| previous.at).or(self.low);
                Progress::Continues(OpenWalk { window, cursor: page.cursor, low, opened_at })
            }
        });
        let events = self.kept(page.events, until);
        let walked = self.walked(events, page.rejected, page.exchange_now, progress);
        if is_last {
            self.complete(until);
        }
        walked
    }

    /// The window's upper edge, frozen by its first page; `None` if that page only tells where the
    /// window has to begin.
    fn frozen_edge(&mut self, page: &Page) -> Option<Timestamp> {
        if self.until.is_none() {
            if let Some(span) = self.begins_ago {
                // Two answers have to agree: one from the future would leave out all until then.
                let begins = page.exchange_now.before(span).floor();
                if self.from.is_none_or(|from| begins < from.before(CLOCK_SLACK)) {
                    self.from = Some(begins);
                    return None;
                }
                self.begins_ago = None;
            }
            if let Some(believed) = self.believed_until(page) {
                // Nobody knows when the slice before was really frozen, so what is late for it.
                self.reread_floor = None;
                if self.from > Some(believed) {
                    self.from = Some(believed);
                    self.misdated = Some(believed);
                }
                return None;
            }
            let settled = page.exchange_now.before(self.rules.settle).floor();
            let edge = self.slice_end().map_or(settled, |end| settled.min(end));
            if edge < settled {
                self.origin = Origin::Slice;
            }
            self.until = Some(self.from.map_or(edge, |from| edge.max(from)));
            self.opened_at = Some(page.our_now);
            self.frozen_at = Some(page.exchange_now);
        }
        self.until
    }

    fn believed_until(&mut self, page: &Page) -> Option<Timestamp> {
        // A slice ends short of what it took for settled, but how its late trades are looked for
        // rests on that.
        let settled = self.reread_floor.map(|floor| floor.after(self.rules.overlap));
        let claimed = settled.max(Some(self.from?))?;
        believed_until(claimed, self.complete_as_of.take()?, page, self.rules.settle)
    }

    /// Tells once if a misdated answer completed a window, and where reading began again.
    pub fn take_misdated(&mut self) -> Option<Timestamp> {
        self.misdated.take()
    }

    /// The window is read. After an inherited one or a slice, the span since then is opened.
    fn complete(&mut self, until: Timestamp) {
        if self.origin == Origin::Own {
            self.end = Some(End::Level);
            return;
        }
        let late_max = self.rules.overlap + self.rules.settle;
        let reread_floor = self.frozen_at.map(|at| at.before(late_max));
        if !self.has_completed_before {
            self.complete_from = self.from;
        }
        *self = Walk {
            has_completed_before: true,
            origin: Origin::Own,
            from: Some(until),
            until: None,
            cursor: None,
            ceiling: None,
            low: None,
            complete_as_of: self.opened_at,
            opened_at: None,
            previous: None,
            frozen_at: None,
            reread_floor,
            is_restarted: false,
            was_empty: false,
            ..self.clone()
        };
    }

    fn kept(&self, events: Vec<Event>, until: Timestamp) -> Vec<Event> {
        let lower_edge = self.lower_edge();
        let is_inside = |at: Timestamp| at < until && lower_edge.is_none_or(|edge| edge <= at);
        events.into_iter().filter(|event| is_inside(event.trade.traded_at)).collect()
    }

    fn walked(
        &self,
        events: Vec<Event>,
        rejected: Vec<Rejected>,
        seen_at: Timestamp,
        progress: Option<Progress>,
    ) -> Walked {
        let late_before = if self.has_completed_before { self.from } else { None };
        let late_by = |at: Timestamp| late_before.filter(|edge| at < *edge).map(|e| e.since(at));
        let row = |event: Event| Row { late_by: late_by(event.trade.traded_at), event, seen_at };
        Walked {
            scope: self.market.clone(),
            rows: events.into_iter().map(row).collect(),
            rejected,
            progress: progress.into_iter().map(|p| (self.market.clone(), p)).collect(),
            tape: None,
            slice: None,
        }
    }

    fn inspect(&self, page: &Page) -> Verdict {
        let times = || page.events.iter().map(|event| event.trade.traded_at);
        if let (Some(previous), Some(first)) = (&self.previous, times().next())
            && first > previous.at
        {
            return Verdict::StartedOver;
        }
        if !times().is_sorted_by(|newer, older| newer >= older) {
            return Verdict::Broken(Guard::Unordered);
        }
        if self.ends_too_soon(page) {
            return Verdict::Broken(Guard::EndsTooSoon);
        }
        if page.is_empty() {
            return Verdict::Sound;
        }
        if page.cursor.is_some() && page.cursor == self.cursor {
            return Verdict::Broken(Guard::CursorRepeats);
        }
        let has_news = |previous: &Oldest| {
            !page.rejected.is_empty()
                || page.foreign > 0
                || page.events.iter().any(|event| {
                    event.trade.traded_at < previous.at
                        || !previous.ids.contains(&event.trade.trade_id)
                })
        };
        match &self.previous {
            Some(previous) if page.cursor.is_some() && !has_news(previous) => {
                Verdict::Broken(Guard::NothingNew)
            }
            _ => Verdict::Sound,
        }
    }

    /// Going on by time asks for the oldest trade seen once more. A list that ends above it is a
    /// hiccup, not the end; unless the trade may have moved to the archive.
    fn ends_too_soon(&self, page: &Page) -> bool {
        let Some(low) = self.ceiling.filter(|_| self.previous.is_none()) else { return false };
        let would_end = page.cursor.is_none() || (page.is_empty() && self.was_empty);
        let is_asked = self.lower_edge().is_none_or(|edge| edge <= low);
        let is_live = self.tier == Tier::Archive || page.exchange_now.since(low) < LIVE_MIN;
        let is_reached = page.events.iter().any(|event| event.trade.traded_at <= low);
        would_end && is_asked && is_live && !is_reached
    }

    fn remember_oldest(&mut self, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let at = last.trade.traded_at;
        let ties = events.iter().rev().take_while(|event| event.trade.traded_at == at);
        let mut ids: Vec<Box<str>> = ties.map(|event| event.trade.trade_id.clone()).collect();
        if let Some(previous) = &mut self.previous
            && previous.at == at
        {
            ids.append(&mut previous.ids);
        }
        self.previous = Some(Oldest { at, ids });
        if self.low.is_none_or(|low| at < low) {
            self.low = Some(at);
            self.is_restarted = false;
        }
    }
}

/// Up to where a checkpoint can be true, if that is less than it claims.
///
/// An answer with a `Date` in the future would complete a window that nobody has seen yet,
/// and all trades until then would be passed over in silence. But our own clock was noted
/// too: what has passed on it since tells where the exchange's clock really stood.
pub(super) fn believed_until(
    claimed: Timestamp,
    as_of: Timestamp,
    page: &Page,
    settle: Duration,
) -> Option<Timestamp> {
    let has_passed = page.our_now.since(as_of);
    let believed = page.exchange_now.before(settle).before(has_passed).floor();
    (believed < claimed.before(CLOCK_SLACK)).then_some(believed)
}

enum Verdict {
    Sound,
    StartedOver,
    Broken(Guard),
}

#[cfg(test)]
#[path = "walk_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "walk_properties.rs"]
pub(super) mod properties;
