//! The states of a walk: the window, the question, the expected trades, and the trades shown so far.

use std::collections::HashSet;
use std::time::Duration;

use super::super::checkpoint::Checkpoint;
use super::super::density::Density;
use super::super::evidence::{Anchor, Evidence};
use super::super::page::{Page, Rules, Traded};
use super::super::time::Timestamp;
use super::super::trade::{RawEvent, Trade};

/// The window that is read. All windows but our own have an upper edge before the first request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// A window that an earlier pass opened and did not finish. A window of our own follows.
    Inherited {
        until: Timestamp,
        /// The anchor at the start of that window.
        anchor: Option<Anchor>,
        /// The oldest trade at which the earlier pass stopped.
        stopped_at: Option<Timestamp>,
    },
    /// A window of this pass, cut to the length of a step. Another window follows.
    Step { until: Timestamp },
    /// A window that a backfill names: this window and no other.
    Given {
        until: Timestamp,
        /// The oldest trade at which the earlier run stopped.
        stopped_at: Option<Timestamp>,
        /// Whether other figures of the exchange say that no trade of it is missing.
        is_vouched: bool,
    },
    /// A window of this pass, up to the newest trade.
    Own,
}

impl Span {
    /// The upper edge; None if the first page gives it.
    pub(super) fn until(&self) -> Option<Timestamp> {
        match self {
            Span::Inherited { until, .. } | Span::Step { until } | Span::Given { until, .. } => {
                Some(*until)
            }
            Span::Own => None,
        }
    }

    /// The trade below which an earlier pass stopped. A gap below it agrees with the answers of that pass.
    pub(super) fn stopped_at(&self) -> Option<Timestamp> {
        match self {
            Span::Inherited { stopped_at, .. } | Span::Given { stopped_at, .. } => *stopped_at,
            Span::Step { .. } | Span::Own => None,
        }
    }
}

/// The start of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The first trade of the list.
    Unbounded,
    /// This long before the newest trade, once that is seen.
    Ago(Duration),
    /// This instant.
    At(Timestamp),
}

impl Start {
    /// The start at this instant; None starts with the first trade.
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

/// How far down the list the questions reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Down to the lower edge.
    ToEdge,
    /// Down to the end of the list: the answer with a lower bound did not show the anchor, or cannot show it.
    ToEnd,
}

/// The next question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// The newest page.
    First,
    /// The page behind this cursor.
    Next(String),
    /// The page from the second of this instant downwards.
    Below(Timestamp),
    /// The same page without a lower bound, which shows whether the list really ends there.
    Confirm(Timestamp),
    /// The window and a span above it (see `empty`), to find a list that shows trades.
    Above(usize),
    /// The newest page of the archive, which shows whether the market traded only there.
    Archive,
}

/// An end of the list that is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The oldest trade that was seen, if any was seen.
    low: Option<Timestamp>,
    /// Whether an empty page had ended the list. The same answer again adds nothing.
    pub(super) is_after_nothing: bool,
}

/// A question about the trades above an empty window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above {
    /// The index of its distance.
    pub(super) step: usize,
    /// The number of pages of its answer that were read.
    pub(super) pages: u32,
    /// Whether a trade below the window was shown, so that only one above it is missing for the proof.
    pub(super) is_below_shown: bool,
}

/// The second question about an end of the list. Its answer has to show the oldest trade again, and nothing older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Second {
    /// The question is not asked, or an older row has refuted the end.
    None,
    /// The question is asked.
    Asked(Doubt),
    /// The answer showed the oldest trade again.
    Agrees(Doubt),
}

/// A question and the pages that follow it by cursor.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) question: Query,
    /// The last row of the previous page, for the guards; `None` at the start.
    pub(super) previous: Option<Oldest>,
    pub(super) second: Second,
    /// The question about the trades above an empty window, if it is asked.
    pub(super) above: Option<Above>,
    /// Whether the current answer had no rows.
    pub(super) is_nothing: bool,
}

impl Chain {
    pub(super) fn of(question: Query) -> Chain {
        Chain { question, previous: None, second: Second::None, above: None, is_nothing: false }
    }

    /// Sets the next question. `low` is the oldest trade seen so far.
    pub(super) fn ask(&mut self, question: Query, low: Option<Timestamp>) {
        match question {
            Query::Next(_) => self.question = question,
            Query::Confirm(_) => {
                let second = Second::Asked(Doubt { low, is_after_nothing: self.is_nothing });
                *self = Chain { second, ..Chain::of(question) };
            }
            Query::Above(step) => {
                let is_below_shown = self.above.is_some_and(|above| above.is_below_shown);
                let above = Some(Above { step, pages: 0, is_below_shown });
                *self = Chain { above, ..Chain::of(question) };
            }
            Query::First | Query::Below(_) | Query::Archive => {
                *self = Chain::of(question);
            }
        }
    }

    /// Compares a page with the second question. `low` is the oldest trade seen, that page included.
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

/// The oldest trade time of a chain of pages, the ids seen at exactly that time, and the density of the page.
#[derive(Clone, Debug)]
pub(super) struct Oldest {
    pub(super) at: Timestamp,
    pub(super) ids: Vec<Box<str>>,
    pub(super) density: Density,
    /// Whether unreadable rows came with it or below it; such rows explain a gap.
    pub(super) has_unreadable: bool,
}

/// The newest stored trade, which a healthy answer shows again.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// No such trade is noted.
    Nothing,
    /// The trade is in the archive: no page can show it, and an empty page is no contradiction.
    Archived,
    /// This trade, which no page of the window has shown yet.
    Awaited(Anchor),
    /// This trade, which a page has shown.
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

    /// The trade that no page of the window has shown yet.
    pub(super) fn awaited(&self) -> Option<&Anchor> {
        match self {
            Expected::Awaited(anchor) => Some(anchor),
            Expected::Nothing | Expected::Archived | Expected::Shown(_) => None,
        }
    }

    /// Looks for the trade on a page.
    pub(super) fn look(&mut self, page: &Page) {
        if let Expected::Awaited(anchor) = self
            && anchor.is_on(page)
        {
            *self = Expected::Shown(anchor.clone());
        }
    }

    /// Another window begins, so the trade has to be shown again.
    pub(super) fn await_again(&mut self) {
        if let Expected::Shown(anchor) = self {
            *self = Expected::Awaited(anchor.clone());
        }
    }
}

/// The stored and claimed state of the market, with which answers are compared.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The start of the claim: nothing older is claimed, so nothing older is stored.
    pub(super) complete_from: Option<Timestamp>,
    /// Everything before this instant is stored.
    pub(super) claim: Option<Timestamp>,
    /// Whether a trade of the market is stored. If so, a missing anchor was never noted.
    pub(super) has_trades: bool,
    /// Whether a list with trades was read to its end. Before that each walk reads down to the end, whatever was
    /// claimed of the silence of the market.
    pub(super) is_read: bool,
    /// The instant up to which a pass has heard silence and believed it.
    pub(super) heard_until: Option<Timestamp>,
    pub(super) expected: Expected,
    /// A trade below everything that is asked for. A healthy list reaches down to it, which shows that it was not cut
    /// short.
    pub(super) footing: Option<Timestamp>,
    /// Whether the end of a list is asked for again without a footing, because an earlier pass read the trades below.
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
        // A silence that two passes heard leaves no hole below the cutoff.
        let is_archived = matches!(expected, Expected::Archived);
        // An older version noted no anchor, or the anchor was removed.
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

/// The facts that the answers about the window have shown so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Their evidence about the exchange.
    pub(super) evidence: Option<Evidence>,
    /// The oldest trade time.
    pub(super) low: Option<Timestamp>,
    /// The count that is compared with the volume of the market.
    pub(super) counted: Counted,
    pub(super) density: Density,
    /// The footing after this window.
    pub(super) footing: Option<Timestamp>,
}

/// The quantity that was shown, each trade once. If it equals the volume of the market, nothing is missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    quantity_e2: i64,
    newest: Option<Timestamp>,
}

impl Counted {
    /// Adds a page of a list. All trades down to `low` were shown before; `oldest` is the last row of the previous
    /// page. A trade that may have been shown already is left out: a sum that is too small proves nothing, but a
    /// trade that counts twice would hide a missing one.
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

    /// Whether the quantity is complete, by the description. The description does not count later trades, and such a
    /// trade must not hide an earlier one that is missing.
    pub(super) fn is_all(&self, traded: Traded) -> bool {
        let Traded::Ever { quantity_e2, as_of } = traded else { return false };
        let is_covered = self.newest.is_some_and(|at| at <= as_of);
        is_covered && self.quantity_e2 == quantity_e2
    }
}

/// The questions that were repeated in this window, so that none is repeated without end.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    /// The instants below which a gap was seen and asked for again.
    pub(super) gaps: Vec<Timestamp>,
    /// The last restart by time.
    restart: Option<Restart>,
}

/// A restart by time: below the oldest trade seen by then, if any was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Restart(Option<Timestamp>);

impl Repeats {
    /// Whether a gap below this instant was asked for before. Notes that it is from now on.
    pub(super) fn has_asked(&mut self, at: Timestamp) -> bool {
        let is_asked = self.gaps.contains(&at);
        if !is_asked {
            self.gaps.push(at);
        }
        is_asked
    }

    /// Notes a restart below the oldest trade seen. Returns false for a second one at the same place, which would be
    /// pointless.
    pub(super) fn restart(&mut self, low: Option<Timestamp>) -> bool {
        let here = Some(Restart(low));
        let is_new = self.restart != here;
        self.restart = here;
        is_new
    }
}
