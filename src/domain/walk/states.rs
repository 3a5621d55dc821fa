//! The states of a walk: the window that is read, the question at work, what is expected and what was shown.

use std::collections::HashSet;
use std::time::Duration;

use super::super::checkpoint::Checkpoint;
use super::super::density::Density;
use super::super::evidence::{Anchor, Evidence};
use super::super::page::{Page, Rules, Traded};
use super::super::time::Timestamp;
use super::super::trade::{RawEvent, Trade};

/// Which window is read. All but our own have an upper edge before the first page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// One that an earlier pass opened and did not finish; a window of our own follows.
    Inherited {
        until: Timestamp,
        /// The anchor that it began with.
        anchor: Option<Anchor>,
        /// Where the earlier pass had to stop.
        stopped_at: Option<Timestamp>,
    },
    /// One of this pass, cut off at the length of a step; another follows.
    Step { until: Timestamp },
    /// One that a backfill names: this window and no other.
    Given {
        until: Timestamp,
        /// Where the run before had to stop.
        stopped_at: Option<Timestamp>,
        /// Whether other figures of the exchange's say that nothing of it is missing.
        is_vouched: bool,
    },
    /// One of this pass, up to the newest trade.
    Own,
}

impl Span {
    /// The upper edge, unless that is for the first page to say.
    pub(super) fn until(&self) -> Option<Timestamp> {
        match self {
            Span::Inherited { until, .. } | Span::Step { until } | Span::Given { until, .. } => {
                Some(*until)
            }
            Span::Own => None,
        }
    }

    /// The trade below which an earlier pass stopped: a gap below it agrees with what that pass saw.
    pub(super) fn stopped_at(&self) -> Option<Timestamp> {
        match self {
            Span::Inherited { stopped_at, .. } | Span::Given { stopped_at, .. } => *stopped_at,
            Span::Step { .. } | Span::Own => None,
        }
    }
}

/// Where the window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With the first trade of the list.
    Unbounded,
    /// So long before the newest trade, once that is seen.
    Ago(Duration),
    /// At this instant.
    At(Timestamp),
}

impl Start {
    /// At this instant, or with the first trade.
    pub(super) fn of(at: Option<Timestamp>) -> Start {
        at.map_or(Start::Unbounded, Start::At)
    }

    pub(super) fn at(self) -> Option<Timestamp> {
        match self {
            Start::At(at) => Some(at),
            Start::Unbounded | Start::Ago(_) => None,
        }
    }
}

/// How far down the list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Down to the lower edge.
    ToEdge,
    /// Down to its end: the answer with a bound did not show the anchor, or cannot show it.
    ToEnd,
}

/// What is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The newest page.
    First,
    /// On by cursor.
    Next(String),
    /// By time, from this instant's second downwards.
    Below(Timestamp),
    /// The same without a lower bound: whether the list really ends there.
    Confirm(Timestamp),
    /// The window and what lies so far above it (see `empty`): a list that shows something.
    Above(usize),
    /// The newest page of the archive: whether the market traded there only.
    Archive,
}

/// An end of the list that is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The oldest trade that was seen, if any was.
    low: Option<Timestamp>,
    /// Whether an empty page had said that the list ends: whoever answers so now says nothing else.
    pub(super) is_after_nothing: bool,
}

/// A question about what lies above an empty window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above {
    /// How far it reaches.
    pub(super) step: usize,
    /// How many pages of its answer were read.
    pub(super) pages: u32,
    /// Whether a trade from below the window was shown: one from above is all that is missing.
    pub(super) is_below_shown: bool,
}

/// The second question about an end of the list: it has to show the oldest trade again, and nothing older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Second {
    /// It is not asked, or a row further down answered it with no.
    None,
    /// It is asked.
    Asked(Doubt),
    /// It showed the oldest trade again.
    Agrees(Doubt),
}

/// A question and the pages that follow it by cursor.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) question: Question,
    /// The last row of the page before, for the guards; `None` at the start.
    pub(super) previous: Option<Oldest>,
    pub(super) second: Second,
    /// What is asked of what lies above an empty window.
    pub(super) above: Option<Above>,
    /// Whether the answer in hand had no rows.
    pub(super) is_nothing: bool,
}

impl Chain {
    pub(super) fn of(question: Question) -> Chain {
        Chain { question, previous: None, second: Second::None, above: None, is_nothing: false }
    }

    /// Asks this next; `low` is the oldest trade that was seen so far.
    pub(super) fn ask(&mut self, question: Question, low: Option<Timestamp>) {
        match question {
            Question::Next(_) => self.question = question,
            Question::Confirm(_) => {
                let second = Second::Asked(Doubt { low, is_after_nothing: self.is_nothing });
                *self = Chain { second, ..Chain::of(question) };
            }
            Question::Above(step) => {
                let is_below_shown = self.above.is_some_and(|above| above.is_below_shown);
                let above = Some(Above { step, pages: 0, is_below_shown });
                *self = Chain { above, ..Chain::of(question) };
            }
            Question::First | Question::Below(_) | Question::Archive => {
                *self = Chain::of(question);
            }
        }
    }

    /// Holds a page against the second question; `low` is the oldest trade that was seen, that page included.
    pub(super) fn follow(&mut self, page: &Page, low: Option<Timestamp>) {
        self.is_nothing = page.is_empty();
        if let Some(above) = &mut self.above {
            above.pages += 1;
        }
        let (Second::Asked(doubt) | Second::Agrees(doubt)) = self.second else { return };
        if low != doubt.low {
            self.second = Second::None;
        } else if page.events.iter().any(|event| Some(event.trade.traded_at) == doubt.low) {
            self.second = Second::Agrees(doubt);
        }
    }
}

/// The oldest trade time of a chain of pages, the ids seen at exactly that time, and how dense the page was.
#[derive(Clone, Debug)]
pub(super) struct Oldest {
    pub(super) at: Timestamp,
    pub(super) ids: Vec<Box<str>>,
    pub(super) density: Density,
    /// Whether rows that nobody can read came with it or below it: then there is no gap.
    pub(super) has_unreadable: bool,
}

/// The newest trade that is stored: a healthy answer shows it again.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// None is noted.
    Nothing,
    /// It lies in the archive: no page can show it, and an empty one is no contradiction.
    Archived,
    /// This one, and no page of the window has shown it yet.
    Awaited(Anchor),
    /// This one, and a page has shown it.
    Shown(Anchor),
}

impl Expected {
    pub(super) fn of(anchor: Option<Anchor>) -> Expected {
        anchor.map_or(Expected::Nothing, Expected::Awaited)
    }

    pub(super) fn anchor(&self) -> Option<&Anchor> {
        match self {
            Expected::Awaited(anchor) | Expected::Shown(anchor) => Some(anchor),
            Expected::Nothing | Expected::Archived => None,
        }
    }

    /// The one that no page of the window has shown yet.
    pub(super) fn awaited(&self) -> Option<&Anchor> {
        match self {
            Expected::Awaited(anchor) => Some(anchor),
            Expected::Nothing | Expected::Archived | Expected::Shown(_) => None,
        }
    }

    /// Looks for it on a page.
    pub(super) fn look(&mut self, page: &Page) {
        if let Expected::Awaited(anchor) = self
            && anchor.is_on(page)
        {
            *self = Expected::Shown(anchor.clone());
        }
    }

    /// Another window begins: it has to be shown again.
    pub(super) fn await_again(&mut self) {
        if let Expected::Shown(anchor) = self {
            *self = Expected::Awaited(anchor.clone());
        }
    }
}

/// What is stored and claimed of the market: answers are held against it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Nothing older is claimed, so nothing older is stored.
    pub(super) complete_from: Option<Timestamp>,
    /// Everything before it is stored.
    pub(super) claim: Option<Timestamp>,
    /// Whether a trade of it is stored: then a missing anchor is one that was never noted.
    pub(super) has_trades: bool,
    /// Whether a list that showed trades was read to its end; before that each walk reads down to the bottom, whatever
    /// was claimed of its silence.
    pub(super) is_read: bool,
    /// Up to when a pass has heard that there is nothing, and believed it.
    pub(super) heard_until: Option<Timestamp>,
    pub(super) expected: Expected,
    /// A trade below all that is asked for: a healthy list reaches down to it, and so says that it was not cut short.
    pub(super) footing: Option<Timestamp>,
    /// Whether the end of a list is asked for again where there is no footing: an earlier pass read what lies below.
    pub(super) confirms_ends: bool,
}

impl Held {
    pub(super) fn of(checkpoint: &Checkpoint, rules: Rules) -> Held {
        let is_live = |at: Timestamp| rules.cutoff.is_none_or(|cutoff| cutoff <= at);
        let expected = match &checkpoint.anchor {
            Some(anchor) if is_live(anchor.at) => Expected::Awaited(anchor.clone()),
            Some(_) => Expected::Archived,
            None => Expected::Nothing,
        };
        // What two passes heard to be silent is no hole below the cutoff.
        let is_archived = matches!(expected, Expected::Archived);
        // An older version noted no anchor, or it was taken back.
        let is_below =
            checkpoint.last_trade_at.is_some_and(|at| Some(at) < checkpoint.complete_until);
        let was_read =
            matches!(expected, Expected::Nothing) && checkpoint.level_at.is_some() && is_below;
        let carried = checkpoint.carried_until().filter(|_| is_archived);
        Held {
            complete_from: checkpoint.complete_from,
            claim: carried.or(checkpoint.complete_until).map(Timestamp::floor),
            has_trades: checkpoint.last_trade_at.is_some(),
            is_read: matches!(expected, Expected::Awaited(_)) || was_read,
            heard_until: checkpoint.checked_until,
            expected,
            footing: checkpoint.footing.filter(|at| is_live(*at)),
            confirms_ends: false,
        }
    }
}

/// What the answers about the window have shown so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What they say of the exchange.
    pub(super) evidence: Option<Evidence>,
    /// The oldest trade time.
    pub(super) low: Option<Timestamp>,
    /// What is held against the market's own volume.
    pub(super) counted: Counted,
    pub(super) density: Density,
    /// What the window leaves as its footing.
    pub(super) footing: Option<Timestamp>,
}

/// What was shown, each trade once: if it comes to the market's own volume, nothing is missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    quantity_e2: i64,
    newest: Option<Timestamp>,
}

impl Counted {
    /// Adds a page of a list of which all down to `low` was shown before, and `oldest` just before this page. What may
    /// have been shown is left out: too small a sum proves nothing, and one in which a trade counts twice would hide
    /// another.
    pub(super) fn add(
        &mut self,
        events: &[RawEvent],
        low: Option<Timestamp>,
        oldest: Option<&Oldest>,
    ) {
        let is_new_tie = |trade: &Trade| {
            oldest.is_some_and(|oldest| {
                oldest.at == trade.traded_at && !oldest.ids.contains(&trade.trade_id)
            })
        };
        let is_new = |trade: &Trade| {
            low.is_none_or(|low| {
                trade.traded_at < low || trade.traded_at == low && is_new_tie(trade)
            })
        };
        let mut ids: HashSet<&str> = HashSet::new();
        for trade in events.iter().map(|event| &event.trade) {
            self.newest = self.newest.max(Some(trade.traded_at));
            if is_new(trade) && ids.insert(&trade.trade_id) {
                self.quantity_e2 = self.quantity_e2.saturating_add(trade.quantity.e2());
            }
        }
    }

    /// Whether that is all, as a description says. It says nothing of later trades, and none may make up for an
    /// earlier one that is missing.
    pub(super) fn is_all(&self, traded: Traded) -> bool {
        let Traded::Ever { quantity_e2, as_of } = traded else { return false };
        let is_covered = self.newest.is_some_and(|at| at <= as_of);
        is_covered && self.quantity_e2 == quantity_e2
    }
}

/// What was asked a second time in this window, so that it is not asked for ever.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    /// Below these instants a gap was seen, and asked for again.
    pub(super) gaps: Vec<Timestamp>,
    /// Where the walk began again by time.
    restart: Option<Restart>,
}

/// Where a walk began again by time: below the oldest trade seen by then, if any was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Restart(Option<Timestamp>);

impl Repeats {
    /// Whether a gap below this instant was asked for before; it is from now on.
    pub(super) fn has_asked(&mut self, at: Timestamp) -> bool {
        let is_asked = self.gaps.contains(&at);
        if !is_asked {
            self.gaps.push(at);
        }
        is_asked
    }

    /// Begins again below the oldest trade that was seen; a second time at the same place is pointless.
    pub(super) fn restart(&mut self, low: Option<Timestamp>) -> bool {
        let here = Some(Restart(low));
        let is_new = self.restart != here;
        self.restart = here;
        is_new
    }
}
