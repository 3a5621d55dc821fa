//! Tables of trades beside the usual one, and raw events that are not needed any more.

use rusqlite::{Connection, Row, params};

use super::transaction::Transaction;
use super::{SqliteStore, because};
use crate::domain::time::Timestamp;
use crate::domain::trade::SOURCE;
use crate::failure::Failure;
use crate::store::history::{Difference, ReplayPlace, Replayed, TRADES_TABLE, other_shape};

/// A count, which is never negative.
pub(super) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// Makes the table unless it is there; one of another shape is refused.
pub(super) fn make_table(store: &mut SqliteStore, name: &str) -> Result<(), Failure> {
    let is_alike = store.write("making a table of trades", |transaction| {
        if let Some(is_alike) = check(transaction, name)? {
            return Ok(is_alike);
        }
        copy(transaction, name)?;
        Ok(true)
    })?;
    if is_alike { Ok(()) } else { Err(other_shape(name)) }
}

/// Whether what has this name is a table like the usual one; `None` when nothing has it.
fn check(connection: &Connection, name: &str) -> rusqlite::Result<Option<bool>> {
    connection.query_row(
        include_str!("../../../sql/sqlite/check_table.sql"),
        params![name, TRADES_TABLE],
        |row| Ok(if row.get("is_there")? { Some(row.get("is_alike")?) } else { None }),
    )
}

/// Makes a table with its indexes from the statements that made the usual one.
fn copy(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    let mut statements = transaction.prepare(
        "select name, sql from sqlite_schema
         where tbl_name = ?1 and type in ('table', 'index') and sql is not null
         order by type = 'index', name",
    )?;
    let made: Vec<(String, String)> = statements
        .query_map([TRADES_TABLE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (original, sql) in made {
        // Names come before the first parenthesis, and only the columns after it matter.
        let Some((head, columns)) = sql.split_once('(') else { continue };
        let head = if original == TRADES_TABLE {
            format!("create table \"{name}\"")
        } else {
            let kind = if head.starts_with("CREATE UNIQUE") { "unique index" } else { "index" };
            let suffix = original.strip_prefix(TRADES_TABLE).unwrap_or(&original);
            format!("create {kind} \"{name}{suffix}\" on \"{name}\"")
        };
        transaction.execute_batch(&format!("{head} ({columns}"))?;
    }
    Ok(())
}

/// Writes the trades that the target does not have; answers with how many.
pub(super) fn store(
    transaction: &Transaction<'_>,
    place: &ReplayPlace,
    trades: &[Replayed],
    now: &str,
) -> rusqlite::Result<u64> {
    let stored = if trades.is_empty() { 0 } else { insert(transaction, &place.target, trades)? };
    let sql = include_str!("../../../sql/sqlite/move_place.sql");
    let parameters = params![SOURCE, place.target, place.bounds(), place.after_event, now];
    transaction.prepare_cached(sql)?.execute(parameters)?;
    Ok(stored)
}

fn insert(
    transaction: &Transaction<'_>,
    target: &str,
    trades: &[Replayed],
) -> rusqlite::Result<u64> {
    let sql = include_str!("../../../sql/sqlite/replay_trades.sql");
    let mut insert = transaction.prepare_cached(&sql.replace("{target}", target))?;
    let mut sorted: Vec<&Replayed> = trades.iter().collect();
    sorted.sort_by(|a, b| a.event.trade.trade_id.cmp(&b.event.trade.trade_id));
    let mut stored = 0;
    for Replayed { run_id, received_at, event } in sorted {
        let trade = &event.trade;
        let count = insert.execute(params![
            SOURCE,
            &*trade.trade_id,
            trade.market.as_str(),
            trade.side.as_str(),
            trade.price.e4_cents(),
            trade.quantity.e2(),
            trade.traded_at.to_string(),
            trade.is_block_trade,
            run_id,
            received_at.to_string(),
        ])?;
        stored += u64::try_from(count).unwrap_or(0);
    }
    Ok(stored)
}

/// Compares the other table with the usual one.
pub(super) fn compare(
    store: &SqliteStore,
    other: &str,
    examples: u32,
) -> Result<Difference, Failure> {
    let what = "comparing tables of trades";
    let is_alike = check(&store.connection, other).map_err(because(what))?.unwrap_or(false);
    if !is_alike {
        return Err(other_shape(other));
    }
    let sql = include_str!("../../../sql/sqlite/compare_trades.sql").replace("{other}", other);
    let mut difference = Difference::default();
    let mut statement = store.connection.prepare(&sql).map_err(because(what))?;
    let mut rows = statement.query([examples]).map_err(because(what))?;
    while let Some(row) = rows.next().map_err(because(what))? {
        let mut read = || {
            if let Some(trade_id) = row.get("trade_id")? {
                difference.examples.push((trade_id, row.get("words")?));
            } else {
                difference.only_here = count(row, "only_here")?;
                difference.only_there = count(row, "only_there")?;
                difference.changed = count(row, "changed")?;
            }
            Ok(())
        };
        read().map_err(because(what))?;
    }
    Ok(difference)
}

/// Deletes the oldest events whose trade is stored; answers with how many.
pub(super) fn prune(
    store: &mut SqliteStore,
    before: Timestamp,
    count: u32,
) -> Result<u64, Failure> {
    // Found outside the transaction: looking can take long, and others want to write.
    let sql = include_str!("../../../sql/sqlite/load_prunable.sql");
    let what = "pruning raw events";
    let events = store.read(what, sql, params![SOURCE, before.to_string(), count], |row| {
        row.get::<_, i64>(0).map_err(because(what))
    })?;
    if events.is_empty() {
        return Ok(0);
    }
    let events = serde_json::Value::from(events).to_string();
    let deleted = store.write(what, |transaction| {
        let sql = include_str!("../../../sql/sqlite/prune_events.sql");
        let deleted = transaction.prepare_cached(sql)?.execute(params![SOURCE, events])?;
        // Numbers of deleted events are given again when no higher one is left: no place may be
        // above them.
        transaction.execute(
            "update replay_places set after_event = newest.event_id
             from (select coalesce(max(event_id), 0) as event_id from raw_kalshi_trade_events) as newest
             where after_event > newest.event_id",
            [],
        )?;
        Ok(deleted)
    })?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}
