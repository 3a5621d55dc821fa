//! What a commit writes in SQLite: one statement a row, prepared once.

use rusqlite::{Transaction, params};

use super::history;
use super::rows::text;
use crate::domain::batch::{Commit, Receipt};
use crate::domain::trade::SOURCE;

/// Everything a commit writes, inside the caller's transaction.
pub(super) fn write(
    transaction: &Transaction<'_>,
    run: i64,
    commit: &Commit,
) -> rusqlite::Result<Receipt> {
    let now = commit.now().to_string();
    let mut receipt = Receipt::default();
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
    let mut rejected =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_rejected.sql"))?;
    for (position, event) in commit.rejected().iter().enumerate() {
        let (market, id) = (event.market.as_str(), event.trade_id.as_deref());
        let kept =
            rejected.execute(params![run, now, market, id, &*event.payload, event.reason])?;
        if kept > 0 {
            receipt.rejected.push(position);
        }
    }
    advance(transaction, run, commit, &now, &mut receipt)?;
    if !commit.slices().is_empty() {
        history::advance(transaction, commit, &now, &receipt.inserted)?;
    }
    if commit.offered() + receipt.rejected.len() > 0 {
        let [ingested, duplicate, kept] = commit.counts(&receipt);
        let sql = include_str!("../../../sql/sqlite/tally_run.sql");
        transaction.prepare_cached(sql)?.execute(params![run, ingested, duplicate, kept])?;
    }
    Ok(receipt)
}

fn advance(
    transaction: &Transaction<'_>,
    run: i64,
    commit: &Commit,
    now: &str,
    receipt: &mut Receipt,
) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/advance_checkpoints.sql"))?;
    let mut corrections =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_corrections.sql"))?;
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
            text(next.checked_until),
            text(next.anchor.as_ref().map(|anchor| anchor.at)),
            next.anchor.as_ref().and_then(|anchor| anchor.id.as_deref()),
            text(next.quiet.map(|quiet| quiet.until)),
            next.quiet.map(|quiet| quiet.run),
            text(next.carried_until),
            text(walk.and_then(|walk| Some(walk.anchor.as_ref()?.at))),
            walk.and_then(|walk| walk.anchor.as_ref()?.id.as_deref()),
            text(next.level_at),
            next.left.map(|left| left.span.as_secs_f64()),
            update.is_lowered(),
            text(next.left.map(|left| left.since)),
            text(next.footing),
        ])?;
        if moved == 0 {
            receipt.overtaken.push(next.market.clone());
            continue;
        }
        for row in update.corrections() {
            let (market, claim) = (next.market.as_str(), row.claim.as_str());
            let (claimed, proven) = (row.claimed.to_string(), text(row.proven));
            corrections
                .execute(params![SOURCE, market, claim, claimed, proven, row.reason, run, now])?;
        }
    }
    Ok(())
}
