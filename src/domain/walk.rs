//! The walk: reading one market newest to oldest, page by page. Pure.
//!
//! [`Walk::next`] says what to ask, [`Walk::page`] is told the answer and says which rows to
//! store and what storing them proves. The exchange answers newest first, so a walk that
//! breaks leaves its gap *below* what it has: only the page that reaches the lower edge
//! completes the window.
//!
//! A walk proves what it has shown, and nothing else ([`Evidence`]). It is asked from the newest
//! trade that is stored, its anchor, so a healthy answer is never empty; an answer without the
//! anchor, an end of the list, and a gap in which many trades were to be expected are believed only
//! when a second, different question agrees.

mod completion;
mod ends;
mod gaps;
mod guards;
mod origins;

use std::collections::BTreeMap;
use std::time::Duration;

use super::checkpoint::{Checkpoint, Claim, Correction, OpenWalk, Progress};
use super::density::Density;
use super::evidence::{Anchor, Evidence};
use super::page::{End, Guard, Page, PageRequest, Row, Rules, Step, Traded, Walked};
use super::tier::Tier;
use super::time::{CLOCK_SLACK, Timestamp};
use super::trade::{Event, Rejected, Ticker};

/// Trades younger than this are still on the live endpoint, which holds about sixty days.
pub const LIVE_MIN: Duration = Duration::from_secs(30 * 86_400);
/// So many passes in a row have to miss an anchor that was the newest trade, before it counts as busted:
/// an answer that is merely old looks the same.
const PASSES_MISSED_MIN: u32 = 2;

/// The oldest trade time of a chain of pages, the ids seen at exactly that time, and how dense the page was.
#[derive(Clone, Debug)]
struct Oldest {
    at: Timestamp,
    ids: Vec<Box<str>>,
    density: Density,
    /// Whether rows that nobody can read came with it or below it: then there is no gap.
    has_unreadable: bool,
}

/// The second question about an end of the list: it has to show the oldest trade again, and nothing older.
#[derive(Clone, Copy, Debug)]
struct Confirming {
    /// The oldest trade that was seen, if any was.
    low: Option<Timestamp>,
    is_shown: bool,
}

/// Who opened the window being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// An earlier pass, which did not finish it; a window of our own follows.
    Inherited,
    /// This pass; it was cut off at the length of a slice, so that another follows.
    Slice,
    /// A backfill: this window and no other.
    Given,
    /// This pass.
    Own,
}

/// What is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    /// The newest page, down to the lower edge.
    First,
    /// On by cursor.
    Next(String),
    /// By time, from this instant's second downwards.
    Below(Timestamp),
    /// The same without a lower bound: whether the list really ends there.
    Confirm(Timestamp),
    /// The newest page of the archive: whether the market traded there only.
    Archive,
}

/// What comes of an answer.
enum Turn {
    Ask(Question),
    /// From the top again, without a bound.
    AskBare,
    Complete,
    /// Nothing is proven, and nothing is wrong.
    Idle,
    Broken(Guard),
}

/// What is stored and claimed of the market: answers are held against it.
#[derive(Clone, Debug)]
struct Held {
    /// Nothing older is claimed, so nothing older is stored.
    complete_from: Option<Timestamp>,
    /// Everything before it is stored.
    claim: Option<Timestamp>,
    /// Whether a trade of it is stored: then a missing anchor is one that was never noted.
    has_trades: bool,
    anchor: Option<Anchor>,
    is_anchor_shown: bool,
    /// The anchor lies in the archive: no page can show it, and an empty one is no contradiction.
    is_anchor_archived: bool,
    /// A trade below all that is asked for: a healthy list reaches down to it, and so says that it was not cut short.
    footing: Option<Timestamp>,
}

impl Held {
    fn of(checkpoint: &Checkpoint, rules: Rules) -> Held {
        let is_live = |at: Timestamp| rules.cutoff.is_none_or(|cutoff| cutoff <= at);
        let anchor = checkpoint.anchor.clone().filter(|anchor| is_live(anchor.at));
        let is_anchor_archived = anchor.is_none() && checkpoint.anchor.is_some();
        // What two passes heard to be silent is no hole below the cutoff.
        let carried = checkpoint.carried_until().filter(|_| is_anchor_archived);
        Held {
            complete_from: checkpoint.complete_from,
            claim: carried.or(checkpoint.complete_until).map(Timestamp::floor),
            has_trades: checkpoint.last_trade_at.is_some(),
            anchor,
            is_anchor_shown: false,
            is_anchor_archived,
            footing: checkpoint.footing.filter(|at| is_live(*at)),
        }
    }
}

/// The state machine of one market's walk in one pass.
#[derive(Clone, Debug)]
pub struct Walk {
    market: Ticker,
    tier: Tier,
    rules: Rules,
    traded: Traded,
    failures: u32,
    held: Held,
    origin: Origin,
    from: Option<Timestamp>,
    /// The upper edge, if that is not for the first page to say.
    fixed_until: Option<Timestamp>,
    question: Question,
    /// Whether the chain of pages has no lower bound.
    is_bare: bool,
    /// Whether the request in hand has one.
    is_bounded: bool,
    /// The second question about an end of the list, as long as it leads no further down.
    confirming: Option<Confirming>,
    /// The sum of what was shown, in 0.01 contract: equal to the market's own volume, it proves all.
    quantity_e2: i64,
    evidence: Option<Evidence>,
    /// The anchor that an inherited walk began with.
    inherited_anchor: Option<Anchor>,
    /// What the window being read leaves as its footing.
    next_footing: Option<Timestamp>,
    /// How long before the newest trade a window begins that nothing else bounds below; `None`
    /// once that is settled.
    begins_ago: Option<Duration>,
    /// Up to where the newest page proves that there is something above.
    head_edge: Option<Timestamp>,
    /// The oldest trade time seen so far, and the newest of the chain.
    low: Option<Timestamp>,
    density: Density,
    /// The last row of the page before, for the guards; `None` at the start of a chain of pages.
    previous: Option<Oldest>,
    /// Below these instants a gap was seen, and asked for again.
    gaps_asked: Vec<Timestamp>,
    /// Below this trade an earlier pass had to stop: what is seen there now agrees with what it saw.
    gap_believed: Option<Timestamp>,
    /// The slice before this one was read so late that nothing below this is late for it.
    reread_floor: Option<Timestamp>,
    /// Whether the walk was restarted since `low` last fell: a second time would be pointless.
    is_restarted: bool,
    corrections: Vec<Correction>,
    pages: u32,
    end: Option<End>,
}

impl Walk {
    /// The market being read.
    pub fn market(&self) -> &Ticker {
        &self.market
    }

    /// What to ask next, or how it ended.
    pub fn next(&self) -> Step {
        if let Some(end) = self.end {
            return Step::Done(end);
        }
        if self.pages >= self.rules.pages_max {
            return Step::Done(End::Guarded(Guard::TooManyPages));
        }
        let lowest = self.lowest();
        let cursor = match &self.question {
            Question::Next(cursor) => Some(cursor.clone()),
            _ => None,
        };
        Step::Fetch(PageRequest {
            market: self.market.clone(),
            tier: if self.question == Question::Archive { Tier::Archive } else { self.tier },
            cursor,
            // A second lower, too: what it brings from below the edge is not kept.
            min_ts: lowest.map(|edge| edge.second() - 1 - self.rules.nudge),
            // Also for a whole second: an exclusive bound must not cut off its ties.
            max_ts: self.upper_edge().map(|edge| edge.max(lowest.unwrap_or(edge)).second() + 1),
        })
    }

    /// Rows below this instant are not kept.
    pub fn lower_edge(&self) -> Option<Timestamp> {
        let Some(claim) = self.held.claim else { return self.from };
        let overlapped = claim.before(self.rules.overlap);
        let edge = self.reread_floor.map_or(overlapped, |floor| floor.min(claim).max(overlapped));
        let reach = match &self.held.anchor {
            // Whatever is claimed: all above the newest trade that is stored is read.
            Some(anchor) => Some(edge.min(anchor.at)),
            None if self.held.has_trades || self.market.is_tape() => Some(edge),
            // Nothing of it was ever seen.
            None => None,
        };
        reach.max(self.held.complete_from)
    }

    /// Rows below this instant are not asked for: anchor and footing have to be shown, also where they
    /// are not kept.
    fn ask_from(&self) -> Option<Timestamp> {
        let shown = [self.anchor_at(), self.held.footing];
        let edge = self.lower_edge()?;
        Some(shown.into_iter().flatten().fold(edge, Timestamp::min))
    }

    /// The lower bound of the request in hand.
    fn lowest(&self) -> Option<Timestamp> {
        let is_unbounded =
            self.is_bare || matches!(self.question, Question::Confirm(_) | Question::Archive);
        self.ask_from().filter(|_| !is_unbounded)
    }

    fn upper_edge(&self) -> Option<Timestamp> {
        match &self.question {
            Question::Below(low) | Question::Confirm(low) => Some(*low),
            Question::Archive => None,
            Question::First => self.fixed_until,
            // Rows above the window are read as well, down from the newest.
            Question::Next(_) => {
                self.fixed_until.map(|until| self.low.map_or(until, |low| low.max(until)))
            }
        }
    }

    /// The exchange refused the request because of its cursor: go on by time instead.
    pub fn cursor_refused(&mut self) {
        self.restart_by_time();
    }

    /// Whether the next request begins a chain of pages.
    pub(super) fn is_at_the_top(&self) -> bool {
        self.question == Question::First
    }

    /// Whether the request in hand carries a cursor, so that refusing it may be the cursor's fault.
    pub fn has_cursor(&self) -> bool {
        matches!(self.question, Question::Next(_))
    }

    fn restart_by_time(&mut self) {
        if self.is_restarted {
            self.end = Some(End::Guarded(Guard::CursorsUseless));
            return;
        }
        self.is_restarted = true;
        self.ask(self.low.map_or(Question::First, Question::Below));
    }

    fn ask(&mut self, question: Question) {
        match &question {
            Question::Next(_) => {}
            Question::Confirm(_) => {
                self.previous = None;
                self.confirming = Some(Confirming { low: self.low, is_shown: false });
            }
            _ => (self.previous, self.confirming) = (None, None),
        }
        self.question = question;
    }

    /// Takes the answer to the request in hand; says what to store and what that proves.
    pub fn page(&mut self, page: Page) -> Walked {
        self.pages += 1;
        if self.question == Question::Archive {
            return self.archived(&page);
        }
        self.is_bounded = self.lowest().is_some();
        match self.inspect(&page) {
            Verdict::StartedOver => {
                // Newer rows than the walk is at: they are stored already or belong to the next window.
                self.restart_by_time();
                return self.walked(Vec::new(), Vec::new(), page.exchange_now);
            }
            Verdict::Broken(guard) => return self.broken(guard, page),
            Verdict::Sound => {}
        }
        let head = self.listen(&page);
        if self.is_cut_to_a_slice() {
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
        if let Some(previous) = &mut self.previous {
            previous.has_unreadable |= !page.rejected.is_empty();
        }
        self.follow_confirmation(&page);
        let turn = self.turn(&page);
        let mut walked = self.answer(turn, page);
        walked.head = head;
        walked
    }

    fn broken(&mut self, guard: Guard, page: Page) -> Walked {
        self.end = Some(End::Guarded(guard));
        self.walked(page.events, page.rejected, page.exchange_now)
    }

    /// What the page says of the exchange; the newest trade of the tape if this is its newest page.
    fn listen(&mut self, page: &Page) -> Option<Anchor> {
        let is_newest = self.question == Question::First && self.fixed_until.is_none();
        if let Some(evidence) = &mut self.evidence {
            evidence.take(page);
        } else {
            let (settle, base) = (self.rules.settle, self.rules.base);
            self.evidence = Some(Evidence::of_first(page, settle, base));
            if is_newest {
                self.lower_what_lies_ahead(page);
            }
        }
        self.held.is_anchor_shown |=
            self.held.anchor.as_ref().is_some_and(|anchor| anchor.is_on(page));
        let newest = self.evidence.as_ref().and_then(Evidence::newest).cloned();
        if let (Some(span), Some(newest)) = (self.begins_ago, &newest) {
            self.from = Some(newest.at.before(span).floor());
            self.begins_ago = None;
        }
        newest.filter(|_| is_newest && self.market.is_tape())
    }

    /// No claim is later than both clocks: nobody has seen that yet.
    fn lower_what_lies_ahead(&mut self, page: &Page) {
        let latest = page.exchange_now.max(page.our_now).after(CLOCK_SLACK);
        let Some(claimed) = self.held.claim.filter(|claim| *claim > latest) else { return };
        let anchor = self.held.anchor.as_ref().map(|anchor| anchor.at.floor());
        let proven = anchor.max(self.held.complete_from);
        let reason = "it lies ahead of both clocks";
        self.corrections.push(Correction { claim: Claim::CompleteUntil, claimed, proven, reason });
        (self.held.claim, self.from) = (proven, proven);
    }

    /// A long window is read in slices, the oldest first, each below a trade that was shown.
    fn is_cut_to_a_slice(&mut self) -> bool {
        if self.origin != Origin::Own || self.question != Question::First || self.is_bare {
            return false;
        }
        self.head_edge = self.evidence.as_ref().and_then(Evidence::edge);
        self.begin_slice()
    }

    /// The next slice, if what is left is longer than one.
    fn begin_slice(&mut self) -> bool {
        let (Some(from), Some(length)) = (self.from, self.rules.slice) else { return false };
        let until = from.after(length).floor();
        // A slice of less than a second would end where it begins.
        if self.head_edge.is_none_or(|edge| edge <= until) || until <= from {
            return false;
        }
        self.origin = Origin::Slice;
        self.fixed_until = Some(until);
        self.evidence = None;
        self.held.is_anchor_shown = false;
        true
    }

    fn answer(&mut self, turn: Turn, page: Page) -> Walked {
        let mut walked = self.walked(page.events, page.rejected, page.exchange_now);
        match turn {
            Turn::Ask(question) => {
                if let (Question::Next(cursor), Some(window)) = (&question, self.window()) {
                    // Where the cursor stands, which after a restart by time may be above `self.low`.
                    let low = self.previous.as_ref().map(|previous| previous.at).or(self.low);
                    let is_looking_back = !self.gaps_asked.is_empty() && low > self.low;
                    let (cursor, anchor) = (Some(cursor.clone()), self.next_anchor());
                    let open = OpenWalk { window, cursor, low, anchor };
                    if !is_looking_back {
                        walked.progress.push((self.market.clone(), Progress::Continues(open)));
                    }
                }
                self.ask(question);
            }
            Turn::AskBare => self.ask_bare(),
            Turn::Complete => self.complete(&mut walked),
            Turn::Idle => self.end = Some(End::Level),
            Turn::Broken(guard) => self.end = Some(End::Guarded(guard)),
        }
        walked
    }

    fn ask_bare(&mut self) {
        self.is_bare = true;
        (self.evidence, self.low, self.quantity_e2, self.next_footing) = (None, None, 0, None);
        self.density = Density::default();
        self.ask(Question::First);
    }

    fn anchor_at(&self) -> Option<Timestamp> {
        self.held.anchor.as_ref().map(|anchor| anchor.at)
    }

    fn kept(&self, events: Vec<Event>) -> Vec<Event> {
        let lower_edge = self.lower_edge();
        // A backfill is asked for a window; a pass keeps whatever is shown above its edge.
        let below = self.fixed_until.filter(|_| self.origin == Origin::Given);
        let is_inside = |at: Timestamp| {
            below.is_none_or(|until| at < until) && lower_edge.is_none_or(|edge| edge <= at)
        };
        events.into_iter().filter(|event| is_inside(event.trade.traded_at)).collect()
    }

    fn walked(&self, events: Vec<Event>, rejected: Vec<Rejected>, seen_at: Timestamp) -> Walked {
        let late_by =
            |at: Timestamp| self.held.claim.filter(|edge| at < *edge).map(|e| e.since(at));
        let row = |event: Event| Row { late_by: late_by(event.trade.traded_at), event, seen_at };
        Walked {
            scope: self.market.clone(),
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
