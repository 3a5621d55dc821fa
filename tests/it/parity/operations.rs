//! What can be asked of a store, as data: one enum a trait, one variant a method, named like it.

use kalshi_ingest::domain::account_limits::AccountRecord;
use kalshi_ingest::domain::book::Snapshot;
use kalshi_ingest::domain::candle::{Candle, Interval};
use kalshi_ingest::domain::checkpoint::{Correction, Retirement};
use kalshi_ingest::domain::completeness::Score;
use kalshi_ingest::domain::exchange_record::{ComeBack, ExchangeRecord};
use kalshi_ingest::domain::export::Table;
use kalshi_ingest::domain::market::{
    Absence, EventRecord, FalseMark, MarketScope, Sighting, WatchChange,
};
use kalshi_ingest::domain::page::{Page, Traded};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::selection::{Target, Watch};
use kalshi_ingest::domain::slice::{Slice, SliceKey};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::store::{ExchangeKey, Replayed, RunRecord};
use std::time::Duration;

/// One call.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Store(Store),
    Catalogue(Catalogue),
    Exchanges(Exchanges),
    History(History),
    Oversight(Oversight),
    /// No method: the locks taken so far are given free.
    Release,
    /// No method: the trades of a market are deleted by hand, and its count is wrong until it is counted anew.
    Delete {
        market: Ticker,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Store {
    Migrate { now: Timestamp },
    CheckSchema,
    HasSchema,
    MakeViews,
    Reconnect,
    BeginRun { command: String, now: Timestamp },
    FinishRun { run: i64, record: RunRecord },
    TryLock { name: String },
    Checkpoints { scopes: Vec<Scope>, now: Timestamp },
    Commit { run: i64, now: Timestamp, believed: Believed, work: Work },
    Report { now: Timestamp },
}

#[derive(Clone, Debug)]
pub(super) enum Catalogue {
    Watches { names: Vec<String>, now: Timestamp },
    WatchesOnRecord { names: Vec<String> },
    SaveWatches { changes: Vec<WatchChange> },
    LowerMark { mark: FalseMark, run: i64, now: Timestamp },
    NewestTrade { until: Timestamp },
    Refusals { names: Vec<String> },
    SaveRefusals { refused: Vec<String>, lifted: Vec<String>, now: Timestamp },
    IsOnRecord { target: Target },
    CheckpointsOnRecord { scopes: Vec<Scope> },
    OverMarkets { of: Of, ended_after: Timestamp, count_max: usize },
    SeriesOfEvents { events: Vec<Box<str>> },
    KnownMarkets { tickers: Vec<Ticker> },
    UnsettledMarkets { of: Of },
    Lifespans { of: Of, only: Option<Vec<Ticker>>, from: Timestamp, until: Timestamp },
    SaveMarkets { seen: Vec<Sighting>, absent: Vec<Absence>, now: Timestamp },
    EventsWithoutSeries,
    SaveEvents { events: Vec<EventRecord>, now: Timestamp },
    SaveBooks { books: Vec<Snapshot> },
    SaveCandles { interval: Interval, candles: Vec<Candle> },
    StoredCandles { interval: Interval, markets: Vec<Ticker> },
    TapeRate,
}

#[derive(Clone, Debug)]
pub(super) enum Exchanges {
    ExchangeRecord { key: ExchangeKey },
    SaveExchangeRecord { key: ExchangeKey, record: Box<ExchangeRecord>, now: Timestamp },
    SaveComeBack { key: ExchangeKey, come_back: ComeBack, now: Timestamp },
    SaveAccount { key: ExchangeKey, account: AccountRecord, now: Timestamp },
}

#[derive(Clone, Debug)]
pub(super) enum History {
    Slices { scopes: Vec<Scope>, from: Timestamp, until: Timestamp },
    AddSlices { slices: Vec<Slice>, reset: bool, now: Timestamp },
    CompleteSlices { complete: Vec<SliceKey>, strips: Vec<Slice>, now: Timestamp },
    StoredLifetime { markets: Vec<Ticker>, until: Option<Timestamp> },
    StoredByHour { markets: Vec<Ticker>, from: Timestamp, until: Timestamp },
    SaveScores { scores: Vec<Score>, now: Timestamp },
    RawEvents { place: Spot, count: u32 },
    ReplayCursor { target: String, from: Option<Timestamp>, until: Option<Timestamp> },
    MakeTradesTable { name: String },
    Replay { place: Spot, trades: Vec<Replayed> },
    FinishReplay { place: Spot },
    CompareTrades { other: String, examples: u32 },
    Prunable { before: Timestamp },
    Prune { before: Timestamp, count: u32 },
    Export { table: Table, target: Target, markets: Vec<Ticker>, from: Timestamp, until: Timestamp },
    CountedMarkets,
    Recount { markets: Vec<Ticker> },
}

#[derive(Clone, Debug)]
pub(super) enum Oversight {
    NoteSelection { watches: Vec<Watch>, now: Timestamp },
    Overview { now: Timestamp },
    Entries,
    ClockOffset,
    RetiredTotal,
}

/// A scope that owns its name.
#[derive(Clone, Debug)]
pub(super) enum Of {
    All,
    Series(String),
    Event(String),
}

impl Of {
    pub(super) fn scope(&self) -> MarketScope<'_> {
        match self {
            Of::All => MarketScope::All,
            Of::Series(name) => MarketScope::Series(name),
            Of::Event(name) => MarketScope::Event(name),
        }
    }
}

/// A replay's place. How far it is, is a count of the raw events that are there: the two databases
/// number them differently where something was refused or deleted.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) target: String,
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) events_done: usize,
}

/// Which checkpoints or slices a commit is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Believed {
    /// As they are on record.
    Now,
    /// As the last commit found them: somebody else may have been there.
    Before,
}

/// What a commit holds: a pass or a backfill.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Pass { walks: Vec<Walked>, marks: Vec<Mark> },
    Backfill { slices: Vec<SliceWalked>, broken: Vec<SliceKey> },
}

/// The pages of one walk.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    pub(super) whose: Whose,
    pub(super) pages: Vec<Page>,
    pub(super) traded: Traded,
    /// Whether the second question about the end of the list is asked, and agrees.
    pub(super) is_confirmed: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Whose {
    Market(Ticker),
    Tape { keeps_all: bool, riders: Vec<Ticker> },
}

/// The pages of a slice's walk.
#[derive(Clone, Debug)]
pub(super) struct SliceWalked {
    pub(super) key: SliceKey,
    pub(super) pages: Vec<Page>,
    pub(super) traded: Traded,
    pub(super) is_confirmed: bool,
}

/// What a pass says of a market besides its walks.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    Fail(Scope, String),
    Retire(Scope, Retirement),
    Check(Scope, Timestamp),
    Correct(Scope, Correction),
    Leave(Scope, Duration),
}
