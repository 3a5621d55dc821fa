//! What a walk and the exchange say to each other, and what comes of it.

use std::fmt;
use std::time::Duration;

use super::checkpoint::Progress;
use super::slice::SliceProgress;
use super::tier::Tier;
use super::time::Timestamp;
use super::trade::{Event, Rejected, Ticker};

/// The most rows the exchange puts on a page, and what we ask for.
pub const ROWS_PER_PAGE: u16 = 1_000;

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
    /// The longest window: what is longer is read in slices, oldest first, each complete before the
    /// next; `None`: in one.
    pub slice: Option<Duration>,
}

impl Rules {
    /// A given window, all of it and nothing else.
    pub const EXACT: Rules = Rules {
        overlap: Duration::ZERO,
        settle: Duration::ZERO,
        since: None,
        pages_max: u32::MAX,
        slice: None,
    };
}

/// One request for trades. Every filter is sent on every page: cursors carry none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Whose trades; everybody's when it is the [tape](Ticker::is_tape).
    pub market: Ticker,
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
    pub events: Vec<Event>,
    /// What could not be normalized.
    pub rejected: Vec<Rejected>,
    /// Rows of other markets: the filter was ignored somewhere; they are left out.
    pub foreign: usize,
    /// Where the exchange says to go on; `None` at the end of the list.
    pub cursor: Option<String>,
    /// The answer's `Date`: when the exchange's world looked like this.
    pub exchange_now: Timestamp,
    /// Our clock when it came.
    pub our_now: Timestamp,
}

impl Page {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.rejected.is_empty() && self.foreign == 0
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
    /// A page was not sorted newest first.
    Unordered,
    /// Cursors are refused or ignored, and going on by time gets no further either.
    CursorsUseless,
    /// The list ended above a trade that an earlier answer had shown.
    EndsTooSoon,
    /// The page cap was reached.
    TooManyPages,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guard::CursorRepeats => "the exchange answered with the cursor it was asked with",
            Guard::NothingNew => "the exchange sent the same page again under another cursor",
            Guard::Unordered => "the exchange sent a page that is not sorted newest first",
            Guard::CursorsUseless => {
                "the exchange does not honour its cursors, and going on by time leads nowhere"
            }
            Guard::EndsTooSoon => "the exchange ended its list above a trade it had shown before",
            Guard::TooManyPages => "the walk reached its page cap",
        })
    }
}

/// One row to store, with what was known when it was seen.
#[derive(Debug)]
pub struct Row {
    /// The trade and its raw event.
    pub event: Event,
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
    pub(super) scope: Ticker,
    pub(super) rows: Vec<Row>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) progress: Vec<(Ticker, Progress)>,
    pub(super) tape: Option<TapeSpan>,
    pub(super) slice: Option<SliceProgress>,
}

/// How busy the tape was while it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapeSpan {
    /// Trades of whatever market.
    pub trades: u64,
    /// In so much of the exchange's time.
    pub span: Duration,
}
