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

use std::time::Duration;

use super::checkpoint::{
    Checkpoint, Claim, Completed, Correction, Level, OpenWalk, Progress, Window,
};
use super::density::{Density, is_gap};
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

/// The state machine of one market's walk in one pass.
#[derive(Clone, Debug)]
pub struct Walk {
    market: Ticker,
    tier: Tier,
    rules: Rules,
    traded: Traded,
    failures: u32,
    /// Nothing older is claimed, so nothing older is stored.
    complete_from: Option<Timestamp>,
    /// Everything before it is stored.
    claim: Option<Timestamp>,
    /// Whether a trade of it is stored: then a missing anchor is one that was never noted.
    has_trades: bool,
    anchor: Option<Anchor>,
    /// A trade below all that is asked for: a healthy list reaches down to it, and so says that it was not cut short.
    footing: Option<Timestamp>,
    /// The same of the window being read.
    next_footing: Option<Timestamp>,
    /// The anchor lies in the archive: no page can show it, and an empty one is no contradiction.
    is_anchor_archived: bool,
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
    is_anchor_shown: bool,
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
    /// Takes up what the checkpoint left, or opens a new window above it.
    pub fn new(checkpoint: &Checkpoint, rules: Rules) -> Walk {
        let is_live = |at: Timestamp| rules.cutoff.is_none_or(|cutoff| cutoff <= at);
        let anchor = checkpoint.anchor.clone().filter(|anchor| is_live(anchor.at));
        let is_anchor_archived = anchor.is_none() && checkpoint.anchor.is_some();
        // What two passes heard to be silent is no hole below the cutoff.
        let carried = checkpoint.carried_until().filter(|_| is_anchor_archived);
        let claim = carried.or(checkpoint.complete_until).map(Timestamp::floor);
        let mut walk = Walk {
            market: checkpoint.market.clone(),
            tier: Tier::Live,
            rules,
            traded: Traded::Unknown,
            failures: checkpoint.failures,
            complete_from: checkpoint.complete_from,
            claim,
            has_trades: checkpoint.last_trade_at.is_some(),
            anchor,
            footing: checkpoint.footing.filter(|at| is_live(*at)),
            next_footing: None,
            is_anchor_archived,
            origin: Origin::Own,
            from: claim.or(rules.since.map(Timestamp::floor)),
            fixed_until: None,
            question: Question::First,
            is_bare: is_anchor_archived,
            is_bounded: false,
            confirming: None,
            quantity_e2: 0,
            evidence: None,
            inherited_anchor: None,
            is_anchor_shown: false,
            begins_ago: None,
            head_edge: None,
            low: None,
            density: Density::default(),
            previous: None,
            gaps_asked: Vec::new(),
            gap_believed: None,
            reread_floor: None,
            is_restarted: false,
            corrections: Vec::new(),
            pages: 0,
            end: None,
        };
        if let Some(open) = &checkpoint.walk {
            walk.resume(open);
        }
        walk.leave_to_the_archive();
        walk
    }

    /// The same of a market of which this is known.
    #[must_use]
    pub fn traded(self, traded: Traded) -> Walk {
        Walk { traded, ..self }
    }

    /// The same, but one that was never read and has no other lower edge begins so long before the newest trade.
    #[must_use]
    pub(super) fn beginning_ago(self, span: Duration) -> Walk {
        let begins_ago = (self.from.is_none() && self.origin == Origin::Own).then_some(span);
        Walk { begins_ago, ..self }
    }

    /// The same with an anchor that the checkpoint does not name.
    #[must_use]
    pub(super) fn anchored(self, anchor: Option<Anchor>) -> Walk {
        Walk { anchor, ..self }
    }

    /// A walk of this one window, begun before or not, and of nothing else.
    pub(super) fn of_window(market: Ticker, tier: Tier, open: &OpenWalk, rules: Rules) -> Walk {
        let nobody = Checkpoint::first(market, open.window.until());
        let mut walk = Walk::new(&nobody, Rules { slice: None, ..rules });
        walk.resume(open);
        Walk { tier, origin: Origin::Given, ..walk }
    }

    fn resume(&mut self, open: &OpenWalk) {
        self.origin = Origin::Inherited;
        self.from = open.window.from();
        self.fixed_until = Some(open.window.until());
        (self.low, self.gap_believed) = (open.low, open.low);
        self.inherited_anchor.clone_from(&open.anchor);
        // One that stands above what is still to be read cannot be shown below.
        let is_below = |anchor: &Anchor| open.low.is_none_or(|low| anchor.at < low);
        self.anchor = self.anchor.take().filter(is_below);
        if let Some(cursor) = &open.cursor {
            self.question = Question::Next(cursor.clone());
            let density = Density::default();
            let resumed = |at| Oldest { at, ids: Vec::new(), density, has_unreadable: false };
            self.previous = open.low.map(resumed);
        } else if let Some(low) = open.low {
            self.question = Question::Below(low);
        }
    }

    /// A claim that ends below the live tier does not go on over what only the archive holds.
    fn leave_to_the_archive(&mut self) {
        let Some(cutoff) = self.rules.cutoff.map(Timestamp::ceil) else { return };
        if self.origin != Origin::Own || self.from.is_none_or(|from| cutoff <= from) {
            return;
        }
        if let Some(claimed) = self.claim.take() {
            let claimed = self.complete_from.unwrap_or(claimed);
            let reason = "older trades are in the archive, which only `backfill` reads";
            let claim = Claim::CompleteFrom;
            self.corrections.push(Correction { claim, claimed, proven: Some(cutoff), reason });
        }
        self.complete_from = Some(cutoff);
        self.from = Some(cutoff);
    }

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
        let Some(claim) = self.claim else { return self.from };
        let overlapped = claim.before(self.rules.overlap);
        let edge = self.reread_floor.map_or(overlapped, |floor| floor.min(claim).max(overlapped));
        let reach = match &self.anchor {
            // Whatever is claimed: all above the newest trade that is stored is read.
            Some(anchor) => Some(edge.min(anchor.at)),
            None if self.has_trades || self.market.is_tape() => Some(edge),
            // Nothing of it was ever seen.
            None => None,
        };
        reach.max(self.complete_from)
    }

    /// Rows below this instant are not asked for: anchor and footing have to be shown, also where they
    /// are not kept.
    fn ask_from(&self) -> Option<Timestamp> {
        let shown = [self.anchor_at(), self.footing];
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
        match &mut self.evidence {
            Some(evidence) => evidence.take(page),
            None => {
                let (settle, base) = (self.rules.settle, self.rules.base);
                self.evidence = Some(Evidence::of_first(page, settle, base));
                if is_newest {
                    self.lower_what_lies_ahead(page);
                }
            }
        }
        self.is_anchor_shown |= self.anchor.as_ref().is_some_and(|anchor| anchor.is_on(page));
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
        let Some(claimed) = self.claim.filter(|claim| *claim > latest) else { return };
        let anchor = self.anchor.as_ref().map(|anchor| anchor.at.floor());
        let proven = anchor.max(self.complete_from);
        let reason = "it lies ahead of both clocks";
        self.corrections.push(Correction { claim: Claim::CompleteUntil, claimed, proven, reason });
        (self.claim, self.from) = (proven, proven);
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
        self.is_anchor_shown = false;
        true
    }

    /// A span without trades between two pages, or above the first row of a window that ends below others, in
    /// which many were to be expected: how to ask again, or that it was shown twice.
    fn look_for_gaps(&mut self, page: &Page) -> Option<Result<Question, Guard>> {
        let here = Density::of(page);
        let (first, last) = (here.newest()?, here.oldest()?);
        let is_asked_again = matches!(self.question, Question::Below(_));
        if let Some(low) =
            self.gaps_asked.last().copied().filter(|low| is_asked_again && last < *low)
        {
            let is_above = |event: &Event| event.trade.traded_at >= low;
            let (_, below) = page.events.split_at(page.events.partition_point(is_above));
            let below = Density::of_events(below);
            let gap = self.unclaimed(low, below.newest().unwrap_or(last));
            return is_gap(gap, &[below, self.density]).then_some(Err(Guard::Hole));
        }
        if let Some(previous) = &self.previous {
            let gap = self.unclaimed(previous.at, first);
            let is_explained = previous.has_unreadable || !page.rejected.is_empty();
            let is_believed = self.gap_believed == Some(previous.at);
            if is_explained || is_believed || !is_gap(gap, &[previous.density, here, self.density])
            {
                return None;
            }
            let at = previous.at;
            let is_asked = self.has_asked(at);
            return Some(if is_asked { Err(Guard::Hole) } else { Ok(Question::Below(at)) });
        }
        let is_top = self.question == Question::First && self.market.is_tape();
        let until = self.fixed_until.filter(|_| is_top)?;
        let expected = match self.rules.tape_rate {
            Some(rate) if here.is_unknown() => Density::of_rate(rate),
            _ => here,
        };
        if !is_gap(until.since(first), &[expected]) || self.failures > 0 {
            return None;
        }
        // The exchange may have paused: another pass, or a backfill's second look, has to agree.
        let is_asked = self.has_asked(until);
        match (is_asked, self.origin) {
            (false, _) => Some(Ok(Question::First)),
            (true, Origin::Slice) => Some(Err(Guard::Hole)),
            (true, _) => None,
        }
    }

    /// Whether a gap below this instant was asked for before; it is from now on.
    fn has_asked(&mut self, at: Timestamp) -> bool {
        let is_asked = self.gaps_asked.contains(&at);
        if !is_asked {
            self.gaps_asked.push(at);
        }
        is_asked
    }

    /// So much of the span between two trades is not claimed yet: only there a hole would be claimed.
    fn unclaimed(&self, above: Timestamp, below: Timestamp) -> Duration {
        above.since(self.claim.map_or(below, |claim| claim.max(below)))
    }

    /// What to do after a sound page.
    fn turn(&self, page: &Page) -> Turn {
        let is_below = self.low.zip(self.ask_from()).is_some_and(|(low, edge)| low < edge);
        let is_end = page.cursor.is_none() || page.is_empty();
        let is_proven = is_below || is_end;
        match self.expected_anchor() {
            Some(anchor) if is_proven && !self.is_anchor_shown => {
                return self.without_anchor(anchor);
            }
            _ if is_below => return Turn::Complete,
            _ => {}
        }
        match (&page.cursor, is_end) {
            (Some(cursor), false) => Turn::Ask(Question::Next(cursor.clone())),
            _ => self.at_the_end(page),
        }
    }

    /// Follows the second question about the end of a list; a row further down answers it with no.
    fn follow_confirmation(&mut self, page: &Page) {
        let Some(confirming) = &mut self.confirming else { return };
        if self.low != confirming.low {
            self.confirming = None;
            return;
        }
        let mut times = page.events.iter().map(|event| event.trade.traded_at);
        confirming.is_shown |= times.any(|at| Some(at) == confirming.low);
    }

    /// The anchor, unless it lies above the window that is read.
    fn expected_anchor(&self) -> Option<&Anchor> {
        let is_within = |anchor: &&Anchor| self.fixed_until.is_none_or(|until| anchor.at < until);
        self.anchor.as_ref().filter(is_within)
    }

    /// The list ended, and no row below the lower edge says that it had to.
    fn at_the_end(&self, page: &Page) -> Turn {
        let Some(low) = self.low else { return self.with_nothing_shown(page) };
        // Without a footing nobody can tell; but where nothing new is claimed it does not matter so much.
        let is_below = |claim| low < claim || self.window().is_none_or(|w| w.until() <= claim);
        let is_known = self.footing.is_none() && !page.is_empty();
        let is_founded = self.footing.is_some_and(|footing| low <= footing);
        let is_claimed = is_founded || is_known && self.claim.is_some_and(is_below);
        let is_agreed = self.confirming.is_some_and(|confirming| confirming.is_shown);
        if is_claimed || is_agreed || self.traded == Traded::Ever(self.quantity_e2) {
            return Turn::Complete;
        }
        // The whole of a short window is asked for again, its upper end as well.
        let is_short = self.pages == 1 && self.origin == Origin::Given;
        Turn::Ask(Question::Confirm(self.fixed_until.filter(|_| is_short).unwrap_or(low)))
    }

    /// Neither page nor anchor.
    fn with_nothing_shown(&self, page: &Page) -> Turn {
        if let Some(cursor) = page.cursor.as_ref().filter(|_| !page.is_empty()) {
            return Turn::Ask(Question::Next(cursor.clone()));
        }
        let is_never = matches!(self.traded, Traded::Never(_));
        if let Some(until) = self.fixed_until {
            let is_agreed = self.confirming.is_some() || is_never;
            return if is_agreed { Turn::Complete } else { Turn::Ask(Question::Confirm(until)) };
        }
        if self.is_bounded || (page.cursor.is_some() && !self.is_bare) {
            return Turn::AskBare;
        }
        if !page.is_empty() {
            // Nothing that could be read: it is kept, and nothing is claimed.
            return Turn::Idle;
        }
        match self.traded {
            _ if self.market.is_tape() => Turn::Idle,
            Traded::Ever(_) if !self.is_anchor_archived => Turn::Ask(Question::Archive),
            _ => Turn::Complete,
        }
    }

    /// The exchange does not show the newest trade that is stored.
    fn without_anchor(&self, anchor: &Anchor) -> Turn {
        if !self.is_bare {
            return Turn::AskBare;
        }
        let newest = self.evidence.as_ref().and_then(Evidence::newest);
        let is_passed = self.low.is_some_and(|low| low < anchor.at);
        let has_news = newest.is_some_and(|newest| newest.at > anchor.at);
        let is_empty = newest.is_none() && matches!(self.traded, Traded::Never(_));
        let is_missed = self.failures >= PASSES_MISSED_MIN;
        let is_busted = is_passed && (has_news || is_missed) || is_empty && is_missed;
        // An answer that is merely old looks like one from which the newest trade was taken out.
        if is_busted { Turn::Complete } else { Turn::Broken(Guard::AnchorMissing) }
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

    /// The window being read, as far as its first page says where it ends.
    fn window(&self) -> Option<Window> {
        let until = self.fixed_until.or(self.evidence.as_ref()?.edge())?;
        Window::new(self.from, self.from.map_or(until, |from| until.max(from)))
    }

    /// The anchor that the window leaves.
    fn next_anchor(&self) -> Option<Anchor> {
        if self.origin == Origin::Inherited {
            return self.inherited_anchor.clone();
        }
        self.evidence.as_ref()?.newest().cloned()
    }

    /// The window is read. After an inherited one or a slice, the span since then is opened.
    fn complete(&mut self, walked: &mut Walked) {
        self.find_false_anchor();
        let corrections = std::mem::take(&mut self.corrections);
        let (after, before): (Vec<_>, Vec<_>) =
            corrections.into_iter().partition(|row| row.claim == Claim::CompleteFrom);
        let market = self.market.clone();
        let corrected = |row: Correction| (market.clone(), Progress::Corrected(row));
        walked.progress.extend(before.into_iter().map(corrected));
        let (level, anchor) = (self.level(), self.next_anchor());
        let window = self.window().or_else(|| self.window_of_silence());
        // Of a young market it is its first trade.
        let footing = self.next_footing.or(self.low).filter(|_| self.origin != Origin::Inherited);
        let completed = Completed { window, anchor: anchor.clone(), footing, level };
        walked.progress.push((market.clone(), Progress::Completed(completed)));
        walked.progress.extend(after.into_iter().map(corrected));
        if level.is_some() {
            let heard = self.evidence.as_ref().and_then(Evidence::heard_until);
            walked.heard.extend(heard.map(|until| (market.clone(), until)));
        }
        match (self.origin, window) {
            (Origin::Inherited | Origin::Slice, Some(window)) => self.open_next(window, anchor),
            _ => self.end = Some(End::Level),
        }
    }

    /// Nothing was ever traded, by two different answers: of the page, and of the description.
    fn window_of_silence(&self) -> Option<Window> {
        let settled = self.evidence.as_ref()?.settled();
        let until = match self.traded {
            Traded::Never(as_of) => settled.min(as_of.before(self.rules.settle).floor()),
            Traded::Unknown | Traded::Ever(_) => self.from?,
        };
        Window::new(self.from, self.from.map_or(until, |from| until.max(from)))
    }

    /// Whether the window reaches up to the newest trade, and whether that is still the one of before.
    fn level(&self) -> Option<Level> {
        if self.origin != Origin::Own {
            return None;
        }
        let evidence = self.evidence.as_ref()?;
        let is_same = |newest: &Anchor| self.is_anchor_shown && self.anchor_at() == Some(newest.at);
        let is_quiet = evidence.newest().is_none_or(is_same);
        Some(Level { quiet_until: evidence.heard_until().filter(|_| is_quiet) })
    }

    /// The newest trade below all that the next walk reads.
    fn find_footing(&mut self, events: &[Event]) {
        if self.next_footing.is_none()
            && let Some(until) = self.window().map(Window::until)
        {
            let edge = until.before(self.rules.overlap);
            let times = events.iter().map(|event| event.trade.traded_at);
            self.next_footing = times.into_iter().find(|at| *at < edge);
        }
    }

    fn anchor_at(&self) -> Option<Timestamp> {
        self.anchor.as_ref().map(|anchor| anchor.at)
    }

    /// An anchor that two different questions did not show was taken out of the exchange's list.
    fn find_false_anchor(&mut self) {
        let is_false = self.expected_anchor().is_some() && !self.is_anchor_shown;
        let Some(anchor) = self.anchor.take_if(|_| is_false) else { return };
        let next = self.next_anchor();
        let proven = next.as_ref().map(|next| next.at);
        let reason = "the exchange no longer shows the newest trade that was stored";
        if let (Some(claimed), Some(next)) = (self.claim, proven)
            && next.floor() < claimed
        {
            let proven = Some(next.floor()).max(self.complete_from);
            let claim = Claim::CompleteUntil;
            self.corrections.push(Correction { claim, claimed, proven, reason });
            (self.claim, self.from) = (proven, proven);
        }
        let claim = Claim::Anchor(next);
        self.corrections.push(Correction { claim, claimed: anchor.at, proven, reason });
    }

    fn open_next(&mut self, window: Window, anchor: Option<Anchor>) {
        let until = window.until();
        let settled = self.evidence.as_ref().map(Evidence::settled);
        // What is late for a slice that was read just now was read, unless it is as late as this.
        let reread_floor = settled
            .filter(|_| self.origin == Origin::Slice)
            .map(|settled| settled.before(self.rules.overlap));
        if self.claim.is_none() {
            self.complete_from = window.from();
        }
        *self = Walk {
            claim: Some(until),
            has_trades: self.has_trades || self.low.is_some(),
            // One from above a slice is still to be shown.
            anchor: match (anchor, self.anchor.take()) {
                (Some(new), Some(old)) if old.at > new.at => Some(old),
                (new, old) => new.or(old),
            },
            // What is late below a slice was read just now.
            footing: None,
            next_footing: None,
            origin: Origin::Own,
            from: Some(until),
            fixed_until: None,
            question: Question::First,
            is_bare: false,
            confirming: None,
            quantity_e2: 0,
            evidence: None,
            inherited_anchor: None,
            is_anchor_shown: false,
            low: None,
            density: Density::default(),
            previous: None,
            gaps_asked: Vec::new(),
            gap_believed: None,
            reread_floor,
            is_restarted: false,
            ..self.clone()
        };
        self.begin_slice();
    }

    /// The archive's newest page: a market that traded there only has its anchor there.
    fn archived(&mut self, page: &Page) -> Walked {
        let mut walked = self.walked(Vec::new(), Vec::new(), page.exchange_now);
        let Some(newest) = page.newest() else {
            self.end = Some(End::Guarded(Guard::NothingShown));
            return walked;
        };
        let from = self.from.or(self.rules.cutoff.map(Timestamp::ceil));
        let from = from.unwrap_or_else(|| newest.at.ceil());
        if let Some(window) = Window::new(Some(from), from) {
            let quiet_until = self.evidence.as_ref().and_then(Evidence::heard_until);
            let level = Some(Level { quiet_until });
            let completed =
                Completed { window: Some(window), anchor: Some(newest), footing: None, level };
            walked.progress.push((self.market.clone(), Progress::Completed(completed)));
            walked.heard.extend(quiet_until.map(|until| (self.market.clone(), until)));
        }
        self.end = Some(End::Level);
        walked
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
        let late_by = |at: Timestamp| self.claim.filter(|edge| at < *edge).map(|e| e.since(at));
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
        if page.foreign > 0 {
            return Verdict::Broken(Guard::ForeignRows);
        }
        let cursor = match &self.question {
            Question::Next(cursor) => Some(cursor),
            _ => None,
        };
        if page.is_empty() {
            return Verdict::Sound;
        }
        if cursor.is_some() && page.cursor.as_ref() == cursor {
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
    /// hiccup, not the end.
    fn ends_too_soon(&self, page: &Page) -> bool {
        let is_by_time = matches!(self.question, Question::Below(_) | Question::Confirm(_));
        let Some(low) = self.low.filter(|_| is_by_time && self.previous.is_none()) else {
            return false;
        };
        let would_end = page.cursor.is_none() || page.is_empty();
        let is_asked = self.ask_from().is_none_or(|edge| edge <= low);
        let is_reached = page.events.iter().any(|event| event.trade.traded_at <= low);
        would_end && is_asked && !is_reached
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
        let quantity = |event: &Event| event.trade.quantity.e2();
        self.quantity_e2 = events.iter().map(quantity).fold(self.quantity_e2, i64::saturating_add);
        let density = Density::of_events(events);
        self.density = self.density.joined(density);
        self.previous = Some(Oldest { at, ids, density, has_unreadable: false });
        if self.low.is_none_or(|low| at < low) {
            self.low = Some(at);
            self.is_restarted = false;
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
