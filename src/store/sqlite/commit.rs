//! What a commit writes in SQLite: one statement a row, prepared once.

use rusqlite::{Row, Transaction, params};

use super::history;
use super::rows::text;
use crate::domain::batch::{Commit, Receipt};
use crate::domain::time::Timestamp;
use crate::domain::trade::{Event, Price, Quantity, Rejected, SOURCE, Side, Ticker, Trade};

/// Everything a commit writes, inside the caller's transaction.
pub(super) fn write(
    transaction: &Transaction<'_>,
    run: i64,
    commit: &Commit,
) -> rusqlite::Result<Receipt> {
    let now = commit.now().to_string();
    let mut receipt = Receipt::default();
    insert_trades(transaction, run, &now, commit, &mut receipt)?;
    let conflicting = conflicting(transaction, &commit.seen_again(&receipt.inserted))?;
    let kept = insert_rejected(transaction, run, &now, &conflicting)?;
    receipt.conflicting = kept.into_iter().map(|at| conflicting[at].clone()).collect();
    receipt.rejected = insert_rejected(transaction, run, &now, commit.rejected())?;
    advance(transaction, commit, &now, &mut receipt)?;
    if !commit.slices().is_empty() {
        history::advance(transaction, commit, &now, &receipt.inserted)?;
    }
    if commit.offered() + receipt.rejected.len() > 0 {
        let [ingested, duplicate, rejected, conflicting] =
            commit.counts(&receipt).map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let sql = include_str!("../../../sql/sqlite/tally_run.sql");
        let counts = params![run, ingested, duplicate, rejected, conflicting];
        transaction.prepare_cached(sql)?.execute(counts)?;
    }
    Ok(receipt)
}

fn insert_trades(
    transaction: &Transaction<'_>,
    run: i64,
    now: &str,
    commit: &Commit,
    receipt: &mut Receipt,
) -> rusqlite::Result<()> {
    let mut trades =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_trades.sql"))?;
    let mut events =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_events.sql"))?;
    for (position, row) in commit.rows().iter().enumerate() {
        let trade = &row.event.trade;
        let stored = trades.execute(params![
            SOURCE,
            &*trade.trade_id,
            trade.market.as_str(),
            trade.side.as_str(),
            trade.price.e4_cents(),
            trade.quantity.e2(),
            trade.traded_at.to_string(),
            trade.is_block_trade,
            run,
            now,
        ])?;
        if stored > 0 {
            let market = trade.market.as_str();
            events.execute(params![run, now, market, &*trade.trade_id, &*row.event.payload])?;
            receipt.inserted.push(position);
        }
    }
    Ok(())
}

/// Which of these say something else than what is stored.
fn conflicting(transaction: &Transaction<'_>, again: &[&Event]) -> rusqlite::Result<Vec<Rejected>> {
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/conflicting_trades.sql"))?;
    let mut conflicting = Vec::new();
    for event in again {
        let trade = &event.trade;
        let mut rows = statement.query(params![
            SOURCE,
            &*trade.trade_id,
            trade.market.as_str(),
            trade.side.as_str(),
            trade.price.e4_cents(),
            trade.quantity.e2(),
            trade.traded_at.to_string(),
        ])?;
        if let Some(row) = rows.next()? {
            conflicting.extend(stored(row)?.and_then(|stored| event.conflict_with(&stored)));
        }
    }
    Ok(conflicting)
}

/// A trade of `conflicting_trades`; `None` if somebody stored one that cannot be.
fn stored(row: &Row<'_>) -> rusqlite::Result<Option<Trade>> {
    let (id, market, side): (String, String, String) =
        (row.get("trade_id")?, row.get("market_ticker")?, row.get("side")?);
    let (price, quantity): (i64, i64) = (row.get("price_e4")?, row.get("quantity_e2")?);
    let at: String = row.get("traded_at")?;
    Ok(Ticker::new(&market).and_then(|market| {
        Some(Trade {
            trade_id: id.into(),
            market,
            side: if side == Side::Yes.as_str() { Side::Yes } else { Side::No },
            price: Price::from_e4_cents(price)?,
            quantity: Quantity::from_e2(quantity)?,
            traded_at: Timestamp::parse_rfc3339(&at)?,
            is_block_trade: None,
        })
    }))
}

/// Answers with the positions of the events that were not kept before.
fn insert_rejected(
    transaction: &Transaction<'_>,
    run: i64,
    now: &str,
    events: &[Rejected],
) -> rusqlite::Result<Vec<usize>> {
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_rejected.sql"))?;
    let mut kept = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let (market, id) = (event.market.as_str(), event.trade_id.as_deref());
        if statement.execute(params![run, now, market, id, &*event.payload, event.reason])? > 0 {
            kept.push(position);
        }
    }
    Ok(kept)
}

fn advance(
    transaction: &Transaction<'_>,
    commit: &Commit,
    now: &str,
    receipt: &mut Receipt,
) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/advance_checkpoints.sql"))?;
    for update in commit.checkpoints() {
        let next = update.next();
        let walk = next.walk.as_ref();
        let moved = statement.execute(params![
            SOURCE,
            next.market.as_str(),
            update.expected_version(),
            text(next.complete_from),
            text(next.complete_until),
            text(next.last_trade_at),
            text(next.last_success_at),
            text(walk.and_then(|walk| walk.window.from())),
            text(walk.map(|walk| walk.window.until())),
            walk.and_then(|walk| walk.cursor.as_deref()),
            text(walk.and_then(|walk| walk.low)),
            next.failures,
            next.last_error,
            text(next.retired_at),
            now,
            text(next.complete_as_of),
            text(walk.and_then(|walk| walk.opened_at)),
        ])?;
        if moved == 0 {
            receipt.overtaken.push(next.market.clone());
        }
    }
    Ok(())
}
