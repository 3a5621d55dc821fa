//! What a walk and the exchange say to each other, and what comes of it.

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

/// How walks are done; the same for every market of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How far below the checkpoint each walk re-reads, for late trades.
    pub overlap: Duration,
    /// How long before the exchange's now a window ends.
    pub settle: Duration,
    /// Where a market without a checkpoint begins; `None`: its whole live history.
    pub since: Option<Timestamp>,
    /// A runaway guard: the most pages one walk reads in one pass.
    pub pages_max: u32,
    /// The longest window: what is longer is read in steps, oldest first, each complete before the
    /// next; `None`: in one.
    pub step: Option<Duration>,
    /// Where the archive ends, if that was asked: older trades are not on the live endpoint.
    pub cutoff: Option<Timestamp>,
    /// What an answer's `Date` has to agree with to be new.
    pub base: Option<ClockPair>,
    /// Trades a second on the tape, as the passes before counted them.
    pub tape_rate: Option<f64>,
    /// By how many seconds lower bounds are lowered in this pass: on a quiet market the question would be
    /// the same in every pass, and a cache could answer it.
    pub nudge: i64,
}

impl Rules {
    /// A given window, all of it and nothing else.
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

/// One request for trades. Every filter is sent on every page: cursors carry none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Whose trades.
    pub scope: Scope,
    /// Where they are.
    pub tier: Tier,
    /// Where to go on; `None` for the newest page within the bounds.
    pub cursor: Option<String>,
    /// Unix seconds; one less than needed: found to be inclusive, but documented as "after".
    pub min_ts: Option<i64>,
    /// Unix seconds; one more than needed, since nobody knows whether it is inclusive.
    pub max_ts: Option<i64>,
}

/// One decoded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The trades of the market asked for, in the order received.
    pub events: Vec<RawEvent>,
    /// What could not be normalized.
    pub rejected: Vec<Rejected>,
    /// Rows of other markets: the filter was ignored somewhere. They refuse the answer.
    pub foreign: usize,
    /// Where the exchange says to go on; `None` at the end of the list.
    pub cursor: Option<String>,
    /// The answer's `Date` less its `Age`: when the exchange's world looked like this.
    pub exchange_now: Timestamp,
    /// Our clock when it came.
    pub our_now: Timestamp,
}

impl Page {
    /// The newest trade on it that can be one: none is later than both clocks.
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

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask this.
    Fetch(PageRequest),
    /// Nothing: the walk is over.
    Done(End),
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything up to the frozen edge was read.
    Level,
    /// A slice was read to its end, and nothing proves that it was shown whole.
    Unproven,
    /// The answers made no sense together. What was stored stays; the next pass tries again.
    Guarded(Guard),
}

/// Why a walk was broken off rather than believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// An answer named the cursor it was asked with.
    CursorRepeats,
    /// A page held nothing that the page before it had not.
    NothingNew,
    /// A page held rows of other markets: its filter was ignored.
    ForeignRows,
    /// A page was not sorted newest first.
    Unordered,
    /// Cursors are refused or ignored, and going on by time gets no further either.
    CursorsUseless,
    /// The list ended above a trade that an earlier answer had shown.
    EndsTooSoon,
    /// An answer showed older trades than the oldest one seen, and not that one.
    OldestMissing,
    /// The newest trade that is stored is on no answer.
    AnchorMissing,
    /// The market has traded, and neither endpoint shows a trade.
    NothingShown,
    /// A span in which many trades were to be expected was shown empty twice.
    Hole,
    /// An empty page ended the list, also when that was asked for again.
    EndsEmpty,
    /// An answer was older than the window that was asked for.
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

/// One row to store, with what was known when it was seen.
#[derive(Debug)]
pub struct Row {
    /// The trade and its raw event.
    pub event: RawEvent,
    /// Exchange time of the answer it came in.
    pub seen_at: Timestamp,
    /// How far below the end of what was already complete it lies; `None` when it does not.
    pub late_by: Option<Duration>,
}

/// The rows of one page worth storing, and what storing them proves. They cannot be parted: the
/// fields are private and only a [`Batch`](super::batch::Batch) takes them.
#[derive(Debug)]
pub struct Walked {
    /// What was read: a market, or the tape.
    pub(super) scope: Scope,
    pub(super) rows: Vec<Row>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) progress: Vec<(Scope, Progress)>,
    pub(super) tape: Option<TapeSpan>,
    pub(super) slice: Option<SliceProgress>,
    /// Up to when each of these was heard to have nothing more.
    pub(super) heard: Vec<(Scope, Timestamp)>,
    /// The newest trade of the tape, if this is its newest page.
    pub(super) head: Option<Anchor>,
    /// The newest trades on this page of the tape of markets that it was not read for.
    pub(super) strangers: BTreeMap<Ticker, Timestamp>,
}

impl Walked {
    /// Up to when each of these markets was heard to have nothing more: what freshness is made of.
    pub fn heard(&self) -> &[(Scope, Timestamp)] {
        &self.heard
    }

    /// The newest trade of the tape, if this is its newest page.
    pub fn head(&self) -> Option<&Anchor> {
        self.head.as_ref()
    }

    /// The newest trades on this page of the tape of markets that it was not read for.
    pub fn strangers(&self) -> &BTreeMap<Ticker, Timestamp> {
        &self.strangers
    }

    /// What was found false.
    pub fn corrections(&self) -> impl Iterator<Item = (&Scope, &Correction)> {
        self.progress.iter().filter_map(|(market, progress)| match progress {
            Progress::Corrected(correction) => Some((market, correction)),
            Progress::Continues(_) | Progress::Completed(_) | Progress::Spoke => None,
        })
    }
}

/// Whether a market has ever traded, as its description says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traded {
    /// Nobody has said.
    #[default]
    Unknown,
    /// Not by this instant of exchange time.
    Never(Timestamp),
    /// It has: so much, in 0.01 contract, by an instant of exchange time. Later trades are not in it.
    Ever {
        /// All trades together.
        quantity_e2: i64,
        /// By this instant.
        as_of: Timestamp,
    },
    /// It has: trades of it are stored. How many there are nobody has said.
    Stored,
}

/// How busy the tape was while it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapeSpan {
    /// Trades of whatever market.
    pub trades: u64,
    /// In so much of the exchange's time.
    pub span: Duration,
}

#[cfg(test)]
mod tests {
    use crate::domain::walk::tests::transcript::page_from;

    /// Also what nobody can read, and what is of others.
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
