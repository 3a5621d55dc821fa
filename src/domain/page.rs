//! The question of a walk, the page that answers it, and the result.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::checkpoint::{Correction, Progress};
use super::evidence::{Anchor, ClockPair, Evidence};
use super::scope::Scope;
use super::slice::SliceProgress;
use super::ticker::Ticker;
use super::tier::Tier;
use super::time::Timestamp;
use super::trade::{RawEvent, Rejected};

/// The rules of all walks of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The span below the checkpoint that each walk reads again, for late trades.
    pub overlap: Duration,
    /// The settling time: a window ends this long before the exchange's now.
    pub settle: Duration,
    /// The start of a market without a checkpoint; `None` for its whole live history.
    pub since: Option<Timestamp>,
    /// The most pages that one walk reads in one pass: a guard against endless lists.
    pub pages_max: u32,
    /// The longest window. A longer one is read in steps, oldest first, and each step is complete before the next.
    /// `None` reads it as one window.
    pub step: Option<Duration>,
    /// The end of the archive, if that was asked. Older trades are not on the live endpoint.
    pub cutoff: Option<Timestamp>,
    /// The pair of clocks that the `Date` of an answer has to agree with to count as new.
    pub base: Option<ClockPair>,
    /// Trades a second on the tape, as earlier passes counted them.
    pub tape_rate: Option<f64>,
    /// The number of seconds by which lower bounds are lowered in this pass. On a quiet market the question would
    /// otherwise be the same in every pass, and a cache could answer it.
    pub nudge: i64,
}

impl Rules {
    /// The rules for a given window: all of it and nothing else.
    pub const EXACT: Rules = Rules {
        overlap: Duration::ZERO,
        settle: Duration::ZERO,
        since: None,
        pages_max: u32::MAX,
        step: None,
        cutoff: None,
        base: None,
        tape_rate: None,
        nudge: 0,
    };
}

/// One request for trades. Every filter is sent on every page, because cursors carry none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The market or the tape whose trades are requested.
    pub scope: Scope,
    /// The tier that is asked.
    pub tier: Tier,
    /// The cursor of the page; `None` for the newest page within the bounds.
    pub cursor: Option<String>,
    /// Lower bound in Unix seconds, one less than needed: tests found it inclusive, but the documentation says
    /// "after".
    pub min_ts: Option<i64>,
    /// Upper bound in Unix seconds, one more than needed, because it is unknown whether the bound is inclusive.
    pub max_ts: Option<i64>,
}

/// One decoded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The trades of the requested market, in the order of the answer.
    pub events: Vec<RawEvent>,
    /// The rows that could not be normalized.
    pub rejected: Vec<Rejected>,
    /// The number of rows of other markets: some server ignored the filter. Such rows make the answer invalid.
    pub foreign: usize,
    /// The cursor of the next page; `None` at the end of the list.
    pub cursor: Option<String>,
    /// The `Date` of the answer less its `Age`: the exchange time of its content.
    pub exchange_now: Timestamp,
    /// Our clock when the answer came.
    pub our_now: Timestamp,
}

impl Page {
    /// The newest possible trade of the page: no trade is later than both clocks.
    pub fn newest(&self) -> Option<Anchor> {
        Evidence::of_first(self, Duration::ZERO, None).newest().cloned()
    }

    pub(super) fn row_count(&self) -> usize {
        self.events.len() + self.rejected.len() + self.foreign
    }

    pub(super) fn is_empty(&self) -> bool {
        self.row_count() == 0
    }
}

/// The next action of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this request.
    Fetch(PageRequest),
    /// The walk is over.
    Done(End),
}

/// The end of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All trades up to the frozen upper edge were read.
    Level,
    /// A slice was read to its end, but no evidence shows that the answers were complete.
    Unproven,
    /// The answers contradict each other. Stored rows stay, and the next pass tries again.
    Guarded(Guard),
}

/// The reason why a walk was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// An answer repeated the cursor of its request.
    CursorRepeats,
    /// A page held no row that the page before it did not hold.
    NothingNew,
    /// A page held rows of other markets: its filter was ignored.
    ForeignRows,
    /// A page was not sorted newest first.
    Unordered,
    /// Cursors are refused or ignored, and going on by time makes no progress either.
    CursorsUseless,
    /// The list ended above a trade that an earlier answer had shown.
    EndsTooSoon,
    /// An answer showed older trades than the oldest one seen, but not that one.
    OldestMissing,
    /// No answer shows the newest stored trade.
    AnchorMissing,
    /// The market has traded, and neither endpoint shows a trade.
    NothingShown,
    /// Two answers showed an empty span in which many trades were to be expected.
    Hole,
    /// An empty page ended the list, and the repeated question ended in the same way.
    EndsEmpty,
    /// An answer was older than the end of the requested window.
    OldAnswer,
    /// The page cap was reached.
    TooManyPages,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guard::CursorRepeats => "the exchange answered with the cursor it was asked with",
            Guard::NothingNew => "the exchange sent the same page again under another cursor",
            Guard::ForeignRows => {
                "the exchange answered with rows of other markets; is the ticker filter ignored?"
            }
            Guard::Unordered => "the exchange sent a page that is not sorted newest first",
            Guard::CursorsUseless => {
                "the exchange does not honour its cursors, and going on by time leads nowhere"
            }
            Guard::EndsTooSoon => "the exchange ended its list above a trade it had shown before",
            Guard::OldestMissing => {
                "the exchange left out a trade it had shown before; the next pass asks again"
            }
            Guard::AnchorMissing => {
                "the exchange no longer shows the newest trade that is stored; nothing new is believed in this pass"
            }
            Guard::NothingShown => {
                "the exchange says that the market has traded, and shows no trade of it"
            }
            Guard::Hole => {
                "the exchange showed no trades where many were to be expected; the next pass asks again"
            }
            Guard::EndsEmpty => {
                "the exchange ended its list with an empty page each time; the next pass asks again"
            }
            Guard::OldAnswer => {
                "the exchange answered with a page that is older than the window; run it again later"
            }
            Guard::TooManyPages => "the walk reached its page cap",
        })
    }
}

/// One row to store, with the facts known when it was read.
#[derive(Debug)]
pub struct Row {
    /// The trade and its raw event.
    pub event: RawEvent,
    /// Exchange time of the answer that held it.
    pub seen_at: Timestamp,
    /// The distance below the end of the span that was already complete; `None` if the row is above it.
    pub late_by: Option<Duration>,
}

/// The rows of one page worth storing, and the progress that they prove once they are stored. The two cannot be
/// separated: the fields are private, and only a [`Batch`](super::batch::Batch) takes them.
#[derive(Debug)]
pub struct Walked {
    /// The market or the tape that was read.
    pub(super) scope: Scope,
    pub(super) rows: Vec<Row>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) progress: Vec<(Scope, Progress)>,
    pub(super) tape: Option<TapeSpan>,
    pub(super) slice: Option<SliceProgress>,
    /// The instant up to which each of these scopes was heard to have nothing newer.
    pub(super) heard: Vec<(Scope, Timestamp)>,
    /// The newest trade of the tape, if this is its newest page.
    pub(super) head: Option<Anchor>,
    /// The newest trades on this page of the tape of markets that are no riders.
    pub(super) strangers: BTreeMap<Ticker, Timestamp>,
}

impl Walked {
    /// The instant up to which each of these scopes was heard to have nothing newer. Freshness is computed from it.
    pub fn heard(&self) -> &[(Scope, Timestamp)] {
        &self.heard
    }

    /// The newest trade of the tape, if this is its newest page.
    pub fn head(&self) -> Option<&Anchor> {
        self.head.as_ref()
    }

    /// The newest trades on this page of the tape of markets that are no riders.
    pub fn strangers(&self) -> &BTreeMap<Ticker, Timestamp> {
        &self.strangers
    }

    /// The claims that were found false.
    pub fn corrections(&self) -> impl Iterator<Item = (&Scope, &Correction)> {
        self.progress.iter().filter_map(|(market, progress)| match progress {
            Progress::Corrected(correction) => Some((market, correction)),
            Progress::Continues(_) | Progress::Completed(_) | Progress::Spoke => None,
        })
    }
}

/// Whether a market has ever traded, by its description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traded {
    /// No description is known.
    #[default]
    Unknown,
    /// It had not traded by this instant of exchange time.
    Never(Timestamp),
    /// It has traded this quantity, in 0.01 contract, by an instant of exchange time. Later trades are not included.
    Ever {
        /// The quantity of all trades.
        quantity_e2: i64,
        /// The instant of that quantity.
        as_of: Timestamp,
    },
    /// It has traded, because trades of it are stored. No description gives the quantity.
    Stored,
}

/// The number of trades on the tape while it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapeSpan {
    /// The number of trades of all markets.
    pub trades: u64,
    /// The span of exchange time.
    pub span: Duration,
}

#[cfg(test)]
mod tests {
    use crate::domain::walk::tests::transcript::page_from;

    /// Unreadable rows and rows of other markets count as rows.
    #[test]
    fn a_page_with_any_row_is_not_empty() {
        for (answer, rows) in
            [("@9", 0), ("@9 a8", 1), ("@9 !x", 1), ("@9 ?", 1), ("@9 a8 !x ?", 3)]
        {
            let page = page_from(answer);
            assert_eq!((page.row_count(), page.is_empty()), (rows, rows == 0), "{answer}");
        }
    }
}
