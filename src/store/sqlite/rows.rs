//! Rows in and out of SQLite: one statement a row, prepared once.

use rusqlite::{Row, Transaction, params};

use crate::domain::batch::{Commit, Receipt};
use crate::domain::checkpoint::{Checkpoint, OpenWalk, Window};
use crate::domain::time::Timestamp;
use crate::domain::trade::{SOURCE, Ticker};
use crate::failure::{Failure, Kind};

/// A count as SQLite holds it; counts beyond `i64` do not happen.
pub(super) fn integer<N: TryInto<i64>>(count: N) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

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
    advance(transaction, commit, &now, &mut receipt)?;
    Ok(receipt)
}

fn advance(
    transaction: &Transaction<'_>,
    commit: &Commit,
    now: &str,
    receipt: &mut Receipt,
) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/advance_checkpoints.sql"))?;
    let text = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
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

/// Reads a row that has the columns of `load_checkpoints.sql`.
pub(super) fn checkpoint(row: &Row<'_>) -> Result<Checkpoint, Failure> {
    let damaged = |what: &str| {
        let message = format!("a row of ingestion_checkpoints is damaged: {what}");
        Failure::new(Kind::StoreRefused, message)
    };
    let instant = |column: &str| -> Result<Option<Timestamp>, Failure> {
        let text: Option<String> = row.get(column).map_err(|e| damaged(column).because(e))?;
        match text {
            None => Ok(None),
            Some(text) => Timestamp::parse_rfc3339(&text).map(Some).ok_or_else(|| damaged(column)),
        }
    };
    let text = |column: &str| -> Result<Option<String>, Failure> {
        row.get(column).map_err(|e| damaged(column).because(e))
    };
    let walk = match instant("walk_until")? {
        None => None,
        Some(until) => Some(OpenWalk {
            window: Window::new(instant("walk_from")?, until)
                .ok_or_else(|| damaged("walk_from, walk_until"))?,
            cursor: text("walk_cursor")?,
            low: instant("walk_low")?,
            opened_at: instant("walk_opened_at")?,
        }),
    };
    Ok(Checkpoint {
        market: text("market_ticker")?
            .and_then(|ticker| Ticker::new(&ticker))
            .ok_or_else(|| damaged("market_ticker"))?,
        complete_from: instant("complete_from")?,
        complete_until: instant("complete_until")?,
        complete_as_of: instant("complete_as_of")?,
        last_trade_at: instant("last_trade_at")?,
        last_success_at: instant("last_success_at")?,
        walk,
        failures: row.get("failures").map_err(|e| damaged("failures").because(e))?,
        last_error: text("last_error")?,
        retired_at: instant("retired_at")?,
        first_selected_at: instant("first_selected_at")?
            .ok_or_else(|| damaged("first_selected_at"))?,
        version: row.get("version").map_err(|e| damaged("version").because(e))?,
    })
}
