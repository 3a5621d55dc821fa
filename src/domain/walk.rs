//! The walk reads one market, newest trade first, page by page. Pure.
//!
//! [`Walk::next`] returns the request. [`Walk::page`] takes the answer and returns the rows to store and the progress
//! that they prove. The exchange lists the newest trade first, so a walk that breaks off leaves its gap *below* the
//! rows it has: only the page that reaches the lower edge completes the window.
//!
//! A walk proves the trades that it has shown, and nothing else ([`Evidence`]). Its questions reach down to the
//! newest stored trade, its anchor, so a healthy answer is never empty. Three answers are believed only if a second,
//! different question agrees: an answer without the anchor, an end of the list, and a gap in which many trades were
//! to be expected.

mod completion;
mod empty;
mod ends;
mod gaps;
mod guards;
mod origins;
mod silence;
mod states;

use std::collections::BTreeMap;

use super::checkpoint::{Claim, Correction, OpenWalk, Progress};
use super::evidence::{Anchor, Evidence};
use super::page::{End, Guard, Next, Page, PageRequest, Row, Rules, Traded, Walked};
use super::scope::Scope;
use super::tier::Tier;
use super::time::{CLOCK_SLACK, Timestamp};
use super::trade::{RawEvent, Rejected};
use states::{Chain, Depth, Held, Query, Repeats, Seen, Span, Start};

/// This many passes in a row have to miss an anchor that was the newest trade before the trade counts as removed: an
/// answer that is only old looks the same.
const PASSES_MISSED_MIN: u32 = 2;

/// The reaction to an answer.
enum Turn {
    Ask(Query),
    /// Begin again with the newest page, without a lower bound.
    AskToEnd,
    Complete,
    /// End the walk. Nothing is proven, and nothing is wrong.
    Idle,
    /// End the walk. Nothing is proven, but the market was heard to be silent.
    Silent,
    /// Read a step that shows nothing together with the step above it.
    Widen,
    /// Look for trades above a window that shows nothing, whatever was shown below it.
    LookAbove,
    Broken(Guard),
}

/// The state machine of one market's walk in one pass.
#[derive(Clone, Debug)]
pub struct Walk {
    scope: Scope,
    tier: Tier,
    rules: Rules,
    traded: Traded,
    failures: u32,
    held: Held,
    span: Span,
    start: Start,
    depth: Depth,
    chain: Chain,
    seen: Seen,
    repeats: Repeats,
    /// The newest page proves that there is a trade at or above this instant.
    head_edge: Option<Timestamp>,
    /// The upper edge of the steps that showed nothing. An empty step proves nothing, so the next one reaches higher
    /// and down to the same lower edge.
    nothing_until: Option<Timestamp>,
    /// The number of ends of lists that agree with an earlier pass, including the end at which that pass broke off:
    /// this exchange ends its lists so.
    ends_believed: u32,
    /// The step before this one was read so late that a trade below this instant is not late for it.
    reread_floor: Option<Timestamp>,
    corrections: Vec<Correction>,
    pages: u32,
    end: Option<End>,
}

impl Walk {
    /// The scope that is read.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The next request, or the end of the walk.
    pub fn next(&self) -> Next {
        if let Some(end) = self.end {
            return Next::Done(end);
        }
        if self.pages >= self.rules.pages_max {
            return Next::Done(End::Guarded(Guard::TooManyPages));
        }
        let lowest = self.lowest();
        let cursor = match &self.chain.question {
            Query::Next(cursor) => Some(cursor.clone()),
            _ => None,
        };
        Next::Fetch(PageRequest {
            scope: self.scope.clone(),
            tier: if self.chain.question == Query::Archive { Tier::Archive } else { self.tier },
            cursor,
            // The bound is one second lower than needed; rows that this brings from below the edge are dropped.
            min_ts: lowest.map(|edge| edge.second() - 1 - self.rules.nudge),
            // The bound is one second higher, also for a whole second: an exclusive bound must not cut off trades of
            // the same instant.
            max_ts: self.upper_edge().map(|edge| edge.max(lowest.unwrap_or(edge)).second() + 1),
        })
    }

    /// The lower edge: rows below this instant are not kept.
    pub fn lower_edge(&self) -> Option<Timestamp> {
        let Some(claim) = self.held.claim else { return self.start.at() };
        let overlapped = claim.before(self.rules.overlap);
        let edge = self.reread_floor.map_or(overlapped, |floor| floor.min(claim).max(overlapped));
        let reach = match self.held.expected.anchor() {
            // All trades above the newest stored one are read, even if they are claimed.
            Some(anchor) => Some(edge.min(anchor.at)),
            None if self.held.is_read || self.scope.is_tape() => Some(edge),
            // The market was only ever silent.
            None => None,
        };
        reach.max(self.held.complete_from)
    }

    /// The lower bound of questions. The anchor and the footing have to be shown, so it reaches down to them even if
    /// their rows are not kept.
    fn ask_from(&self) -> Option<Timestamp> {
        let shown = [self.anchor_at(), self.held.footing];
        let edge = self.lower_edge()?;
        Some(shown.into_iter().flatten().fold(edge, Timestamp::min))
    }

    /// The lower bound of the current request; None if it has none.
    fn lowest(&self) -> Option<Timestamp> {
        let is_unbounded = self.depth == Depth::ToEnd
            || matches!(self.chain.question, Query::Confirm(_) | Query::Archive);
        self.ask_from().filter(|_| !is_unbounded)
    }

    fn upper_edge(&self) -> Option<Timestamp> {
        match &self.chain.question {
            Query::Below(low) | Query::Confirm(low) => Some(*low),
            Query::Archive => None,
            Query::Above(step) => self.above_edge(*step),
            Query::First => self.span.until(),
            // The pages also hold rows above the window, from the newest one down.
            Query::Next(_) => {
                self.span.until().map(|until| self.seen.low.map_or(until, |low| low.max(until)))
            }
        }
    }

    /// The exchange refused the request because of its cursor, so the walk goes on by time.
    pub fn cursor_refused(&mut self) {
        self.restart_by_time();
    }

    /// Whether the next request begins a chain of pages.
    pub(super) fn is_at_the_top(&self) -> bool {
        self.chain.question == Query::First
    }

    /// Whether the current request carries a cursor, so that the cursor may be the reason of a refusal.
    pub fn has_cursor(&self) -> bool {
        matches!(self.chain.question, Query::Next(_))
    }

    fn restart_by_time(&mut self) {
        if !self.repeats.restart(self.seen.low) {
            self.end = Some(End::Guarded(Guard::CursorsUseless));
            return;
        }
        self.ask(self.seen.low.map_or(Query::First, Query::Below));
    }

    fn ask(&mut self, question: Query) {
        self.chain.ask(question, self.seen.low);
    }

    /// Takes the answer to the current request. Returns the rows to store and the progress that they prove.
    pub fn page(&mut self, page: Page) -> Walked {
        let spoken = self.end_silence(&page);
        let mut walked = self.read(page);
        walked.progress.splice(0..0, spoken.map(|progress| (self.scope.clone(), progress)));
        walked
    }

    fn read(&mut self, page: Page) -> Walked {
        self.pages += 1;
        if self.chain.question == Query::Archive {
            return self.archived(&page);
        }
        let is_bounded = self.lowest().is_some();
        match self.inspect(&page) {
            Verdict::StartedOver => {
                // The page has newer rows than the position of the walk: they are stored already or belong to the
                // next window.
                self.restart_by_time();
                return self.walked(Vec::new(), Vec::new(), page.exchange_now);
            }
            Verdict::Broken(guard) => return self.broken(guard, page),
            Verdict::Sound => {}
        }
        let head = self.listen(&page);
        if self.is_cut_to_a_step() {
            let mut walked = self.walked(page.events, page.rejected, page.exchange_now);
            walked.head = head;
            return walked;
        }
        if let Some(broken) = self.look_for_gaps(&page) {
            return match broken {
                Ok(question) => {
                    self.ask(question);
                    self.walked(page.events, page.rejected, page.exchange_now)
                }
                Err(guard) => self.broken(guard, page),
            };
        }
        self.remember_oldest(&page.events);
        self.find_footing(&page.events);
        if let Some(previous) = &mut self.chain.previous {
            previous.has_unreadable |= !page.rejected.is_empty();
        }
        self.chain.follow(&page, self.seen.low);
        let turn = self.turn(&page, is_bounded);
        let mut walked = self.answer(turn, page);
        walked.head = head;
        walked
    }

    fn broken(&mut self, guard: Guard, page: Page) -> Walked {
        self.end = Some(End::Guarded(guard));
        self.walked(page.events, page.rejected, page.exchange_now)
    }

    /// Takes the evidence of the page. Returns the newest trade of the tape if this is its newest page.
    fn listen(&mut self, page: &Page) -> Option<Anchor> {
        let is_newest = self.chain.question == Query::First && self.span == Span::Own;
        if let Some(evidence) = &mut self.seen.evidence {
            evidence.take(page);
        } else {
            let (settle, base) = (self.rules.settle, self.rules.base);
            self.seen.evidence = Some(Evidence::of_first(page, settle, base));
            if is_newest {
                self.lower_what_lies_ahead(page);
            }
        }
        self.held.expected.look(page);
        let newest = self.newest().cloned();
        if let (Start::Ago(ago), Some(newest)) = (self.start, &newest) {
            self.start = Start::At(newest.at.before(ago).floor());
        }
        newest.filter(|_| is_newest && self.scope.is_tape())
    }

    /// Lowers a claim that is later than both clocks: no answer can have proven it.
    fn lower_what_lies_ahead(&mut self, page: &Page) {
        let latest = page.exchange_now.max(page.our_now).after(CLOCK_SLACK);
        let Some(claimed) = self.held.claim.filter(|claim| *claim > latest) else { return };
        let anchor = self.anchor_at().map(Timestamp::floor);
        let proven = anchor.max(self.held.complete_from);
        let reason = "it lies ahead of both clocks";
        self.corrections.push(Correction { claim: Claim::CompleteUntil, claimed, proven, reason });
        (self.held.claim, self.start) = (proven, Start::of(proven));
    }

    /// Cuts a long window to a step. The oldest step is read first, and each step lies below a trade that was shown.
    fn is_cut_to_a_step(&mut self) -> bool {
        let is_newest = self.span == Span::Own && self.chain.question == Query::First;
        if !is_newest || self.depth == Depth::ToEnd {
            return false;
        }
        self.head_edge = self.seen.evidence.as_ref().and_then(Evidence::edge);
        self.begin_step()
    }

    /// Begins the next step if the rest of the window is longer than one step.
    fn begin_step(&mut self) -> bool {
        let (Some(from), Some(length)) = (self.start.at(), self.rules.step) else { return false };
        let nothing_until = self.nothing_until.map_or(from, |at| at.max(from));
        // Each empty step is twice as long as the one before it: a day without trades must not cost a hundred
        // questions.
        let until = nothing_until.after(length.max(nothing_until.since(from))).floor();
        // A step of less than a second would end where it begins.
        if self.head_edge.is_none_or(|edge| edge <= until) || until <= from {
            return false;
        }
        self.span = Span::Step { until };
        self.seen.evidence = None;
        self.held.expected.await_again();
        true
    }

    fn answer(&mut self, turn: Turn, page: Page) -> Walked {
        let mut walked = self.walked(page.events, page.rejected, page.exchange_now);
        match turn {
            Turn::Ask(question) => {
                if let (Query::Next(cursor), Some(window)) = (&question, self.window()) {
                    // The position of the cursor; after a restart by time it may be above `self.seen.low`.
                    let low = self.chain.previous.as_ref().map(|p| p.at).or(self.seen.low);
                    let is_looking_back = !self.repeats.gaps.is_empty() && low > self.seen.low;
                    let (cursor, anchor) = (Some(cursor.clone()), self.next_anchor());
                    let open = OpenWalk { window, cursor, low, anchor };
                    if !is_looking_back && !self.is_above_the_window() {
                        walked.progress.push((self.scope.clone(), Progress::Continues(open)));
                    }
                }
                self.ask(question);
            }
            Turn::AskToEnd => self.ask_to_end(),
            Turn::Complete => self.complete(&mut walked),
            Turn::Idle => self.end = Some(End::Level),
            Turn::Silent => {
                let heard = self.seen.evidence.as_ref().and_then(Evidence::heard_until);
                walked.heard.extend(heard.map(|until| (self.scope.clone(), until)));
                self.end = Some(End::Level);
            }
            Turn::Widen => self.widen(),
            Turn::LookAbove => self.ask_above(),
            Turn::Broken(guard) => self.end = Some(End::Guarded(guard)),
        }
        walked
    }

    fn ask_to_end(&mut self) {
        self.depth = Depth::ToEnd;
        self.seen = Seen::default();
        self.ask(Query::First);
    }

    fn anchor_at(&self) -> Option<Timestamp> {
        self.held.expected.anchor().map(|anchor| anchor.at)
    }

    /// The newest trade that the answers about this window have shown.
    fn newest(&self) -> Option<&Anchor> {
        self.seen.evidence.as_ref().and_then(Evidence::newest)
    }

    fn kept(&self, events: Vec<RawEvent>) -> Vec<RawEvent> {
        let lower_edge = self.lower_edge();
        // A backfill keeps only the rows of its window. A pass keeps all rows above its lower edge.
        let below = match self.span {
            Span::Given { until, .. } => Some(until),
            _ => None,
        };
        let is_inside = |at: Timestamp| {
            below.is_none_or(|until| at < until) && lower_edge.is_none_or(|edge| edge <= at)
        };
        events.into_iter().filter(|event| is_inside(event.trade.traded_at)).collect()
    }

    fn walked(&self, events: Vec<RawEvent>, rejected: Vec<Rejected>, seen_at: Timestamp) -> Walked {
        let late_by =
            |at: Timestamp| self.held.claim.filter(|edge| at < *edge).map(|e| e.since(at));
        let row = |event: RawEvent| Row { late_by: late_by(event.trade.traded_at), event, seen_at };
        Walked {
            scope: self.scope.clone(),
            rows: self.kept(events).into_iter().map(row).collect(),
            rejected,
            progress: Vec::new(),
            tape: None,
            slice: None,
            heard: Vec::new(),
            head: None,
            strangers: BTreeMap::new(),
        }
    }
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
