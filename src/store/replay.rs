//! Raw events: their replay into trades, and their pruning.

use super::counts;
use super::engine::{Access, Added, Engine, TradeRow, Work, only, statement};
use super::rows::Row;
use super::value::{Value, values};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::trade::{CONFLICT, Trade};
use crate::failure::Failure;

/// The lock of a transaction that makes tables: one at a time.
const TABLES: &str = "tables";

/// One row of `raw_kalshi_trade_events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRawEvent {
    /// The number of the event; it grows with time.
    pub event_id: i64,
    /// The run that received it.
    pub run_id: i64,
    /// The time of receipt.
    pub received_at: Timestamp,
    /// The market of the event, or the scope that was read when it arrived.
    pub scope: Scope,
    /// The exchange's JSON, byte for byte.
    pub payload: Box<str>,
    /// The reason why it was rejected at its receipt; `None` if it was a trade.
    pub rejected: Option<Box<str>>,
}

impl StoredRawEvent {
    /// Whether the event was stored because it contradicts the trade of another event: such an event is never a trade
    /// itself.
    pub fn is_conflict(&self) -> bool {
        self.rejected.as_deref().is_some_and(|reason| reason.starts_with(CONFLICT))
    }
}

/// A trade to be written by a replay, with the origin of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The run that received the event.
    pub run_id: i64,
    /// The time of receipt: the trade's `ingested_at`.
    pub received_at: Timestamp,
    /// The trade of the event.
    pub trade: Trade,
}

/// The cursor of a replay: its source, its target and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayCursor {
    /// The table that the replay writes.
    pub target: String,
    /// Only events received at this instant or later.
    pub from: Option<Timestamp>,
    /// Only events received before this instant.
    pub until: Option<Timestamp>,
    /// The last event that was replayed; 0 at the beginning.
    pub after_event: i64,
}

/// The differences of two tables of trades.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Trades that only the usual table has.
    pub only_here: u64,
    /// Trades that only the other table has.
    pub only_there: u64,
    /// Trades that both tables have, with different values.
    pub changed: u64,
    /// Examples of these differences: the trade's id, and the difference in words.
    pub examples: Vec<(String, String)>,
}

/// The result of pruning a page of raw events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The number of events on the page.
    pub found: u64,
    /// The number of these that stay.
    pub kept: u64,
    /// The number of these that are deleted, because their trade is stored.
    pub deleted: u64,
    /// The number of the last event on the page: the next page begins after it. `None` if the page is empty.
    pub last: Option<i64>,
}

/// The usual table of trades.
pub const TRADES_TABLE: &str = "prediction_market_trades";

/// The part of a store that is about raw events.
pub trait Replays {
    /// The next raw events after the cursor, at most `count`, by number.
    fn raw_events(
        &mut self,
        cursor: &ReplayCursor,
        count: u32,
    ) -> Result<Vec<StoredRawEvent>, Failure>;

    /// The cursor of an unfinished replay with this target and these bounds; a new cursor if there is none.
    fn replay_cursor(
        &mut self,
        target: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<ReplayCursor, Failure>;

    /// Makes an empty table of trades with the keys, checks and indexes of the usual one, unless a table of that name
    /// exists. Rejects a name that is no plain identifier (lower-case ASCII letters, digits and `_`, at most 50,
    /// beginning with a letter), and the name of a table of another shape.
    fn make_trades_table(&mut self, name: &str) -> Result<(), Failure>;

    /// Writes the trades that the target does not have and moves the cursor, never without them. Returns the number of
    /// new trades. `run_id` and `ingested_at` are those of the event, so that a replay restores deleted trades bit for
    /// bit.
    fn replay(
        &mut self,
        cursor: &ReplayCursor,
        trades: &[Replayed],
        now: Timestamp,
    ) -> Result<u64, Failure>;

    /// Deletes the cursor: the replay is finished.
    fn finish_replay(&mut self, cursor: &ReplayCursor) -> Result<(), Failure>;

    /// Compares another table of trades with the usual one: source, id, market, side, price, quantity, time, block
    /// flag. Returns at most `examples` examples.
    fn compare_trades(&mut self, other: &str, examples: u32) -> Result<Difference, Failure>;

    /// The number of raw events received before `before`, and the number of those never normalized. An
    /// event was never normalized if its trade is not in the usual table, whether the event was rejected or not, or if
    /// the stored trade came from a different event.
    fn prunable(&mut self, before: Timestamp) -> Result<(u64, u64), Failure>;

    /// Looks at the next raw events received before `before`, at most `count` with a number above `after`, the oldest
    /// first, and deletes in one transaction those whose trade is stored. Events that were never normalized stay, and
    /// events that contradict the stored trade.
    fn prune(&mut self, before: Timestamp, after: i64, count: u32) -> Result<Pruned, Failure>;
}

impl<E: Engine> Replays for E {
    fn raw_events(
        &mut self,
        cursor: &ReplayCursor,
        count: u32,
    ) -> Result<Vec<StoredRawEvent>, Failure> {
        let wanted = values![cursor.after_event, cursor.from, cursor.until, count];
        self.scan("loading raw events", statement!("replay", "load_events"), &wanted, |row| {
            let record = row.of("raw_kalshi_trade_events");
            Ok(StoredRawEvent {
                event_id: record.get("event_id")?,
                run_id: record.get("run_id")?,
                received_at: record.get("received_at")?,
                scope: record.scope("market_ticker")?,
                payload: record.get("payload")?,
                rejected: record.get("rejected")?,
            })
        })
    }

    fn replay_cursor(
        &mut self,
        target: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<ReplayCursor, Failure> {
        let mut cursor = ReplayCursor { target: target.to_owned(), from, until, after_event: 0 };
        let what = "loading the place of a replay";
        let key = values![self.source(), target, cursor.bounds()];
        let known = self.read(what, statement!("replay", "load_place"), &key, |row| {
            row.of("replay_places").get("after_event")
        })?;
        cursor.after_event = known.into_iter().next().unwrap_or(0);
        Ok(cursor)
    }

    fn make_trades_table(&mut self, name: &str) -> Result<(), Failure> {
        check_name(name)?;
        self.transact("making a table of trades", Access::Alone(TABLES), |work| {
            match is_alike(work, name)? {
                Some(true) => Ok(()),
                Some(false) => Err(other_shape(name)),
                None => work.copy_trades_table(name),
            }
        })
    }

    fn replay(
        &mut self,
        cursor: &ReplayCursor,
        trades: &[Replayed],
        now: Timestamp,
    ) -> Result<u64, Failure> {
        check_name(&cursor.target)?;
        let mut rows: Vec<TradeRow<'_>> = trades.iter().map(row).collect();
        // In the order of the key, so that two writers cannot block each other.
        rows.sort_by(|a, b| a.trade.trade_id.cmp(&b.trade.trade_id));
        rows.dedup_by(|later, kept| later.trade.trade_id == kept.trade.trade_id);
        self.transact("replaying trades", Access::Commit, |work| {
            // Without a trade there need not be a table.
            let Added { new, ahead } = match &rows[..] {
                [] => Added { new: Vec::new(), ahead: 0..0 },
                rows => work.add_trades(&cursor.target, rows)?,
            };
            if cursor.target == TRADES_TABLE {
                let own = new.iter().filter(|at| !ahead.contains(*at));
                counts::add(work, own.map(|at| rows[*at].trade))?;
            }
            let moved =
                values![work.source(), &cursor.target, cursor.bounds(), cursor.after_event, now];
            work.execute(statement!("replay", "move_place"), &moved)?;
            Ok(number(new.len()))
        })
    }

    fn finish_replay(&mut self, cursor: &ReplayCursor) -> Result<(), Failure> {
        let what = "forgetting the place of a replay";
        let key = values![self.source(), &cursor.target, cursor.bounds()];
        self.execute(what, statement!("replay", "delete_place"), &key).map(|_| ())
    }

    fn compare_trades(&mut self, other: &str, examples: u32) -> Result<Difference, Failure> {
        check_name(other)?;
        self.transact("comparing tables of trades", Access::Scan, |work| {
            if is_alike(work, other)? != Some(true) {
                return Err(other_shape(other));
            }
            let mut difference = Difference::default();
            let compare = statement!("replay", "compare_trades").on(other);
            work.query(&compare, &values![examples], &mut |row| {
                let record = row.of(TRADES_TABLE);
                if let Some(trade_id) = record.get("trade_id")? {
                    difference.examples.push((trade_id, record.get("words")?));
                } else {
                    difference.only_here = record.narrow("only_here")?;
                    difference.only_there = record.narrow("only_there")?;
                    difference.changed = record.narrow("changed")?;
                }
                Ok(())
            })?;
            Ok(difference)
        })
    }

    fn prunable(&mut self, before: Timestamp) -> Result<(u64, u64), Failure> {
        let (what, mut found, mut kept, mut after) = ("counting raw events", 0, 0, 0);
        loop {
            let page = OldEvents::load(self, what, before, after, COUNTED_AT_ONCE)?;
            let Some(last) = page.last else { return Ok((found, kept)) };
            let stored = self.read(
                what,
                statement!("replay", "find_stored"),
                &page.question(self.source()),
                |_| Ok(()),
            )?;
            found += page.found;
            kept += page.found.saturating_sub(number(stored.len()));
            after = last;
        }
    }

    fn prune(&mut self, before: Timestamp, after: i64, count: u32) -> Result<Pruned, Failure> {
        // The events are found before the transaction that deletes them: finding can take long, and other processes
        // want to write.
        let what = "pruning raw events";
        let page = OldEvents::load(self, what, before, after, count)?;
        let mut pruned =
            Pruned { found: page.found, kept: page.found, deleted: 0, last: page.last };
        if page.events.is_empty() {
            return Ok(pruned);
        }
        self.transact(what, Access::WriteScan, |work| {
            let question = page.question(work.source());
            let stored = work.rows(statement!("replay", "find_stored"), &question, |row| {
                row.of("raw_kalshi_trade_events").get::<i64>("event_id")
            })?;
            pruned.kept -= number(stored.len());
            pruned.deleted =
                work.execute(statement!("replay", "prune_events"), &values![stored])?;
            // SQLite reuses the numbers of deleted events when no higher one is left, so no cursor may be above them.
            work.execute(statement!("replay", "lower_places"), &[])?;
            Ok(pruned)
        })
    }
}

/// The number of raw events that are counted together.
const COUNTED_AT_ONCE: u32 = 10_000;

/// A page of raw events that are old enough to be deleted.
struct OldEvents {
    /// The number of events on the page.
    found: u64,
    /// The number of the last one.
    last: Option<i64>,
    /// The numbers of the events that may go if their trade is stored…
    events: Vec<i64>,
    /// …the ids of these trades…
    trades: Vec<String>,
    /// …and the markets under which they came.
    markets: Vec<String>,
}

impl OldEvents {
    fn load(
        engine: &mut impl Engine,
        what: &str,
        before: Timestamp,
        after: i64,
        count: u32,
    ) -> Result<OldEvents, Failure> {
        let wanted = values![before, after, count];
        let rows = engine.scan(what, statement!("replay", "load_old"), &wanted, |row| {
            let record = row.of("raw_kalshi_trade_events");
            let trade: Option<String> = record.get("trade_id")?;
            Ok((record.get("event_id")?, trade, record.get("market_ticker")?))
        })?;
        let (found, last) = (number(rows.len()), rows.last().map(|row| row.0));
        let mut page = OldEvents { found, last, events: vec![], trades: vec![], markets: vec![] };
        for (event, trade, market) in rows {
            if let Some(trade) = trade {
                page.events.push(event);
                page.trades.push(trade);
                page.markets.push(market);
            }
        }
        Ok(page)
    }

    /// The parameters of the question which of their trades are stored.
    fn question(&self, source: &'static str) -> [Value<'_>; 4] {
        values![source, self.events.clone(), &*self.trades, &*self.markets]
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Whether the object of this name is a table like the usual one; `None` when there is none.
fn is_alike(work: &mut dyn Work, name: &str) -> Result<Option<bool>, Failure> {
    let shape = |row: Row<'_>| {
        let record = row.of(TRADES_TABLE);
        // The value is null when the table has no key.
        let is_alike = record.get::<Option<bool>>("is_alike")?.unwrap_or(false);
        Ok(record.get::<bool>("is_there")?.then_some(is_alike))
    };
    only(work.rows(statement!("replay", "check_table"), &values![name, TRADES_TABLE], shape)?)
}

fn row(replayed: &Replayed) -> TradeRow<'_> {
    let Replayed { run_id, received_at, trade } = replayed;
    TradeRow { trade, run: *run_id, ingested_at: *received_at }
}

/// The longest name of a table of trades. The names of its indexes are longer.
const NAME_LEN_MAX: usize = 50;

/// Checks the name of a table of trades. A valid name needs no escape between quotes.
fn check_name(name: &str) -> Result<(), Failure> {
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

/// The failure for a name that an object of another shape has.
fn other_shape(name: &str) -> Failure {
    Failure::config(format!(
        "there is a {name:?} in the database, and it is no table with the columns and the key of \
         {TRADES_TABLE}; choose another name"
    ))
}

impl ReplayCursor {
    /// The bounds as text. They distinguish the replays into one target.
    fn bounds(&self) -> String {
        let edge = |at: Option<Timestamp>| at.map_or_else(|| "..".to_owned(), |at| at.to_string());
        format!("{}/{}", edge(self.from), edge(self.until))
    }
}
