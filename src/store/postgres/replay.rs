//! Tables of trades beside the usual one, and raw events that are not needed any more.

use chrono::{DateTime, Utc};
use postgres::types::Type;
use postgres::{Error, Row};

use super::transaction::Transaction;
use super::{PostgresStore, SCAN_LIMITS, because};
use crate::domain::time::Timestamp;
use crate::domain::trade::{SOURCE, Side};
use crate::failure::Failure;
use crate::store::history::{Difference, ReplayPlace, Replayed, TRADES_TABLE, other_shape};

/// One at a time makes tables.
const TABLES: &str = "tables";

/// A count, which is never negative.
pub(super) fn count(row: &Row, column: &str) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

/// Makes the table unless it is there; one of another shape is refused.
pub(super) fn make_table(store: &mut PostgresStore, name: &str) -> Result<(), Failure> {
    let what = "making a table of trades";
    let mut transaction = store.alone(what, TABLES)?;
    match check(&mut transaction, name).map_err(because(what))? {
        Some(true) => return Ok(()),
        Some(false) => return Err(other_shape(name)),
        None => {}
    }
    transaction
        .batch_execute(&format!("create table \"{name}\" (like {TRADES_TABLE} including all)"))
        .map_err(because(what))?;
    transaction.commit().map_err(because(what))
}

/// Whether what has this name is a table like the usual one; `None` when nothing has it.
fn check(transaction: &mut Transaction<'_>, name: &str) -> Result<Option<bool>, Error> {
    let row = transaction.query_typed_one(
        include_str!("../../../sql/postgres/check_table.sql"),
        &[(&name, Type::TEXT), (&TRADES_TABLE, Type::TEXT)],
    )?;
    // Null when it has no key.
    let is_alike = row.get::<_, Option<bool>>("is_alike").unwrap_or(false);
    Ok(row.get::<_, bool>("is_there").then_some(is_alike))
}

/// Writes the trades that the target does not have; answers with how many.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    place: &ReplayPlace,
    trades: &[Replayed],
    now: Timestamp,
) -> Result<u64, Error> {
    let stored = if trades.is_empty() { 0 } else { insert(transaction, &place.target, trades)? };
    transaction.execute_typed(
        include_str!("../../../sql/postgres/move_place.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&place.target, Type::TEXT),
            (&place.bounds(), Type::TEXT),
            (&place.after_event, Type::INT8),
            (&now.to_chrono(), Type::TIMESTAMPTZ),
        ],
    )?;
    Ok(stored)
}

fn insert(
    transaction: &mut Transaction<'_>,
    target: &str,
    trades: &[Replayed],
) -> Result<u64, Error> {
    let mut sorted: Vec<&Replayed> = trades.iter().collect();
    sorted.sort_by(|a, b| a.event.trade.trade_id.cmp(&b.event.trade.trade_id));
    let trades = || sorted.iter().map(|replayed| &replayed.event.trade);
    let ids: Vec<&str> = trades().map(|trade| &*trade.trade_id).collect();
    let markets: Vec<&str> = trades().map(|trade| trade.market.as_str()).collect();
    let is_yes: Vec<bool> = trades().map(|trade| trade.side == Side::Yes).collect();
    let prices: Vec<i32> = trades().map(|trade| trade.price.e4_cents()).collect();
    let quantities: Vec<i64> = trades().map(|trade| trade.quantity.e2()).collect();
    let times: Vec<DateTime<Utc>> = trades().map(|trade| trade.traded_at.to_chrono()).collect();
    let blocks: Vec<Option<bool>> = trades().map(|trade| trade.is_block_trade).collect();
    let runs: Vec<i64> = sorted.iter().map(|replayed| replayed.run_id).collect();
    let received: Vec<DateTime<Utc>> =
        sorted.iter().map(|replayed| replayed.received_at.to_chrono()).collect();
    let sql = include_str!("../../../sql/postgres/replay_trades.sql");
    transaction.execute_typed(
        &sql.replace("{target}", target),
        &[
            (&SOURCE, Type::TEXT),
            (&ids, Type::TEXT_ARRAY),
            (&markets, Type::TEXT_ARRAY),
            (&is_yes, Type::BOOL_ARRAY),
            (&prices, Type::INT4_ARRAY),
            (&quantities, Type::INT8_ARRAY),
            (&times, Type::TIMESTAMPTZ_ARRAY),
            (&blocks, Type::BOOL_ARRAY),
            (&runs, Type::INT8_ARRAY),
            (&received, Type::TIMESTAMPTZ_ARRAY),
        ],
    )
}

/// Compares the other table with the usual one.
pub(super) fn compare(
    store: &mut PostgresStore,
    other: &str,
    examples: u32,
) -> Result<Difference, Failure> {
    let rows = store.within("comparing tables of trades", SCAN_LIMITS, |transaction| {
        if check(transaction, other)? != Some(true) {
            return Ok(None);
        }
        let sql = include_str!("../../../sql/postgres/compare_trades.sql");
        let examples = i64::from(examples);
        transaction
            .query_typed(&sql.replace("{other}", other), &[(&examples, Type::INT8)])
            .map(Some)
    })?;
    let mut difference = Difference::default();
    for row in &rows.ok_or_else(|| other_shape(other))? {
        if let Some(trade_id) = row.get("trade_id") {
            difference.examples.push((trade_id, row.get("words")));
        } else {
            difference.only_here = count(row, "only_here");
            difference.only_there = count(row, "only_there");
            difference.changed = count(row, "changed");
        }
    }
    Ok(difference)
}

/// Deletes the oldest events whose trade is stored; answers with how many.
pub(super) fn prune(
    transaction: &mut Transaction<'_>,
    before: DateTime<Utc>,
    count: u32,
) -> Result<u64, Error> {
    let rows = transaction.query_typed(
        include_str!("../../../sql/postgres/load_prunable.sql"),
        &[(&SOURCE, Type::TEXT), (&before, Type::TIMESTAMPTZ), (&i64::from(count), Type::INT8)],
    )?;
    let events: Vec<i64> = rows.iter().map(|row| row.get("event_id")).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/prune_events.sql"),
        &[(&events, Type::INT8_ARRAY)],
    )
}
