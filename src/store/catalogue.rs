//! What every store promises about markets: what the exchange says of them, which belong to what
//! was selected, and their order books. `tests/it/catalogue.rs` holds each store to it.

use std::borrow::Cow;

use crate::domain::backfill::Life;
use crate::domain::book::Snapshot;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::market::{
    Absence, EventRecord, FalseMark, Known, Refusal, Scope, Sighting, WatchChange, WatchRecord,
};
use crate::domain::selection::Target;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::Failure;
use crate::store::RunId;

/// The part of a store that is not about trades. No call takes more round trips for more markets.
pub trait Catalogue {
    /// The records of these entries of the selection, in any order; one is made, as first
    /// selected now, for each that has none.
    fn watches(&mut self, names: &[String], now: Timestamp) -> Result<Vec<WatchRecord>, Failure>;

    /// The records of those of these entries that have one, in any order. Nothing is written: a
    /// role that may only read can ask.
    fn watches_on_record(&mut self, names: &[String]) -> Result<Vec<WatchRecord>, Failure>;

    /// Records what was learnt about entries, in one transaction.
    fn save_watches(&mut self, changes: &[WatchChange]) -> Result<(), Failure>;

    /// Takes a mark of a sync away if it is still the one on record, with the reason on record in the
    /// same transaction; whether it was.
    fn lower_mark(&mut self, mark: &FalseMark, run: RunId, now: Timestamp)
    -> Result<bool, Failure>;

    /// The newest trade, not after `until`, that any pass has seen.
    fn newest_trade(&mut self, until: Timestamp) -> Result<Option<Timestamp>, Failure>;

    /// Which of these names of the selection the exchange refused, in any order. Reads only.
    fn refusals(&mut self, names: &[String]) -> Result<Vec<Refusal>, Failure>;

    /// Records the names that the exchange refused now, and forgets those that it takes again, in
    /// one transaction. A refused name that was never known is no entry any more, and a refused market of
    /// which no trade was read retires.
    fn save_refusals(
        &mut self,
        refused: &[String],
        lifted: &[String],
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Whether anything is stored of what this stands for. Reads only.
    fn is_on_record(&mut self, target: &Target) -> Result<bool, Failure>;

    /// The checkpoints of those of these markets that have one, in any order. Reads only.
    fn checkpoints_on_record(&mut self, markets: &[Ticker]) -> Result<Vec<Checkpoint>, Failure>;

    /// What is remembered of markets of a series or an event that are over: at most `count_max` of
    /// those that ended at `ended_after` or later, and as many of all; of both those not asked for for longest.
    fn over_markets(
        &mut self,
        scope: Scope<'_>,
        ended_after: Timestamp,
        count_max: usize,
    ) -> Result<Vec<Known>, Failure>;

    /// Those of these events that are on record, in any order.
    fn series_of_events(&mut self, events: &[Box<str>]) -> Result<Vec<EventRecord>, Failure>;

    /// What is remembered of those of these markets that were ever seen, in any order.
    fn known_markets(&mut self, tickers: &[Ticker]) -> Result<Vec<Known>, Failure>;

    /// What is remembered of the markets in scope that are not over, by ticker.
    fn unsettled_markets(&mut self, scope: Scope<'_>) -> Result<Vec<Known>, Failure>;

    /// The markets in scope (of these only, if some are named) whose life, as far as it is known, touches
    /// `[from, until)`, by ticker.
    fn lives(
        &mut self,
        scope: Scope<'_>,
        only: Option<&[Ticker]>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Life>, Failure>;

    /// Stores markets as seen, each ticker at most once in `seen`, and notes the absence of known
    /// ones, in one transaction; answers with how many changed their status.
    ///
    /// Each status that differs from the one on record (a first sighting included) is one row in
    /// `market_status_changes`, also when two processes see it at once. A sighting older than
    /// the one on record changes nothing but `checked_at` and that the market is not missed. A series once known is kept when a
    /// later sighting does not name it, and taken from `prediction_events` when that knows it.
    fn save_markets(
        &mut self,
        seen: &[Sighting],
        absent: &[Absence],
        now: Timestamp,
    ) -> Result<u64, Failure>;

    /// The events of stored markets whose series is not on record, sorted.
    fn events_without_series(&mut self) -> Result<Vec<Box<str>>, Failure>;

    /// Stores events, and their series with the markets that were stored without one.
    fn save_events(&mut self, events: &[EventRecord], now: Timestamp) -> Result<(), Failure>;

    /// Appends snapshots of order books, in one transaction. One of the same market and instant
    /// as a stored one is left out.
    fn save_books(&mut self, books: &[Snapshot]) -> Result<(), Failure>;

    /// How many trades a second the tape held lately, as the last runs counted them.
    fn tape_rate(&mut self) -> Result<Option<f64>, Failure>;
}

/// Words of the exchange's as both stores can hold them: PostgreSQL's text has no U+0000. The
/// payload says what they were.
pub(super) fn storable(words: &str) -> Cow<'_, str> {
    if words.contains('\0') {
        Cow::Owned(words.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(words)
    }
}
