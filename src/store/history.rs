//! What every store promises about the past: the ledger of backfills, scores of completeness, the
//! replay and the pruning of raw events. `tests/it/history.rs` holds each store to it.

use crate::domain::batch::Commit;
use crate::domain::completeness::{HourVolume, Score};
use crate::domain::slice::{Slice, SliceKey};
use crate::domain::time::Timestamp;
use crate::domain::trade::{CONFLICT, Event, Ticker};
use crate::failure::Failure;

/// One row of `raw_kalshi_trade_events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Its number; grows with time.
    pub event_id: i64,
    /// The run that received it.
    pub run_id: i64,
    /// When.
    pub received_at: Timestamp,
    /// Its market, or that on whose page it came.
    pub market: Ticker,
    /// The exchange's JSON, byte for byte.
    pub payload: Box<str>,
    /// Why it was no trade then; `None` if it was one.
    pub rejected: Option<Box<str>>,
}

impl RawEvent {
    /// Whether it was kept since it contradicts the trade of another event: never a trade itself.
    pub fn is_conflict(&self) -> bool {
        self.rejected.as_deref().is_some_and(|reason| reason.starts_with(CONFLICT))
    }
}

/// A trade to be written by a replay, with where its event came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The run that received the event.
    pub run_id: i64,
    /// When: the trade's `ingested_at`.
    pub received_at: Timestamp,
    /// The trade and its event.
    pub event: Event,
}

/// A replay's place: which rows go where, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayPlace {
    /// The table written to.
    pub target: String,
    /// Only events received from then on.
    pub from: Option<Timestamp>,
    /// Only events received before.
    pub until: Option<Timestamp>,
    /// The last event done; 0 at the beginning.
    pub after_event: i64,
}

/// How two tables of trades differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Trades that only the usual table has.
    pub only_here: u64,
    /// Trades that only the other table has.
    pub only_there: u64,
    /// Trades that both have, with different values.
    pub changed: u64,
    /// Some of all these: the trade's id and what differs, in words.
    pub examples: Vec<(String, String)>,
}

/// The usual table of trades.
pub const TRADES_TABLE: &str = "prediction_market_trades";

/// The part of a store that is about the past.
pub trait History {
    /// The slices of these names (markets, the tape, groups) that touch `[from, until)`, by key.
    fn slices(
        &mut self,
        names: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Slice>, Failure>;

    /// Records slices as they are given, those already on record excepted; with `reset` these are
    /// set back to what is given, one version on. One transaction, whatever their number.
    fn add_slices(&mut self, slices: &[Slice], reset: bool, now: Timestamp) -> Result<(), Failure>;

    /// Slices read from the live tier that are complete now that `strips` are on record for what the
    /// cutoff has passed over; both in one transaction. Only slices with the status `read` change.
    fn complete_slices(
        &mut self,
        complete: &[SliceKey],
        strips: &[Slice],
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// The quantity stored of each of these markets, over its whole life or up to an instant, which belongs to it;
    /// markets without such trades are left out.
    fn stored_lifetime(
        &mut self,
        markets: &[Ticker],
        until: Option<Timestamp>,
    ) -> Result<Vec<(Ticker, i64)>, Failure>;

    /// The quantity stored of each of these markets by hour, for trades with
    /// `from < traded_at <= until` (both full hours); hours without trades are left out.
    fn stored_by_hour(
        &mut self,
        markets: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HourVolume>, Failure>;

    /// Appends scores.
    fn save_scores(&mut self, scores: &[Score], now: Timestamp) -> Result<(), Failure>;

    /// The next raw events of the place, at most `count`, by number.
    fn raw_events(&mut self, place: &ReplayPlace, count: u32) -> Result<Vec<RawEvent>, Failure>;

    /// How many raw events are left of the place.
    fn raw_events_left(&mut self, place: &ReplayPlace) -> Result<u64, Failure>;

    /// Where an unfinished replay with this target and bounds stands; its beginning if there is none.
    fn replay_place(
        &mut self,
        target: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<ReplayPlace, Failure>;

    /// Makes an empty table of trades with keys, checks and indexes like the usual one, unless there
    /// is one of that name; refuses a name that is no plain identifier (lower-case ASCII letters,
    /// digits and `_`, at most 50, beginning with a letter), and one of a table that is not of that shape.
    fn make_trades_table(&mut self, name: &str) -> Result<(), Failure>;

    /// Writes trades that the target does not have and moves the place, in one transaction;
    /// answers with how many were new. `run_id` and `ingested_at` are those of the event, so that what was
    /// deleted comes back bit for bit.
    fn replay(
        &mut self,
        place: &ReplayPlace,
        trades: &[Replayed],
        now: Timestamp,
    ) -> Result<u64, Failure>;

    /// Forgets the place: the replay is finished.
    fn finish_replay(&mut self, place: &ReplayPlace) -> Result<(), Failure>;

    /// Compares another table of trades with the usual one: source, id, market, side, price,
    /// quantity, time, block flag. At most `examples` examples.
    fn compare_trades(&mut self, other: &str, examples: u32) -> Result<Difference, Failure>;

    /// How many raw events received before `before` there are, and how many of them were never
    /// normalized: their trade is not in the usual table, whether they were refused or not, or is
    /// there as another event told it.
    fn prunable(&mut self, before: Timestamp) -> Result<(u64, u64), Failure>;

    /// Deletes at most `count` raw events received before `before` whose trade is stored, the
    /// oldest first, in one transaction; answers with how many. Those never normalized stay, and
    /// those that contradict the stored trade.
    fn prune(&mut self, before: Timestamp, count: u32) -> Result<u64, Failure>;
}

/// The longest name of a table of trades; those of its indexes are longer.
const NAME_LEN_MAX: usize = 50;

/// Whether a table of trades can be called so: what passes needs no escape between quotes.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_plain = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && name.bytes().all(is_part)
        && name.len() <= NAME_LEN_MAX;
    if is_plain {
        return Ok(());
    }
    Err(Failure::config(format!(
        "{name:?} cannot be the name of a table of trades; use lower-case letters, digits and _, \
         at most {NAME_LEN_MAX}, beginning with a letter"
    )))
}

/// What is said of a name that something else has.
pub(super) fn other_shape(name: &str) -> Failure {
    Failure::config(format!(
        "there is a {name:?} in the database, and it is no table with the columns and the key of \
         {TRADES_TABLE}; choose another name"
    ))
}

impl ReplayPlace {
    /// What tells replays into one target apart.
    pub(super) fn bounds(&self) -> String {
        let edge = |at: Option<Timestamp>| at.map_or_else(|| "..".to_owned(), |at| at.to_string());
        format!("{}/{}", edge(self.from), edge(self.until))
    }
}

/// How many trades of a commit were new, for each of its slices: those of its market (of the tape
/// any market's) whose time lies in it.
pub(super) fn new_by_slice(commit: &Commit, inserted: &[usize]) -> Vec<i64> {
    let trades = || inserted.iter().map(|at| &commit.rows()[*at].event.trade);
    let mut times: Vec<Timestamp> = trades().map(|trade| trade.traded_at).collect();
    times.sort_unstable();
    let mut by_market: Vec<(&Ticker, Timestamp)> =
        trades().map(|trade| (&trade.market, trade.traded_at)).collect();
    by_market.sort_unstable();
    let count = |slice: &Slice| {
        let (market, from, until) = (slice.key.market(), slice.key.from(), slice.key.until());
        if market.as_str().starts_with('*') {
            below(&times, &until) - below(&times, &from)
        } else {
            below(&by_market, &(market, until)) - below(&by_market, &(market, from))
        }
    };
    commit.slices().iter().map(|slice| i64::try_from(count(slice)).unwrap_or(i64::MAX)).collect()
}

/// How many of these sorted values come before `edge`.
fn below<T: Ord>(sorted: &[T], edge: &T) -> usize {
    sorted.partition_point(|value| value < edge)
}
