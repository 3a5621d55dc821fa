//! Rows in and out of SQLite: one statement a row, prepared once.

use rusqlite::types::FromSql;
use rusqlite::{Row, Transaction, params};

use super::history;
use crate::domain::batch::{Commit, Receipt};
use crate::domain::checkpoint::{Checkpoint, OpenWalk, Window};
use crate::domain::time::Timestamp;
use crate::domain::trade::{SOURCE, Ticker};
use crate::failure::{Failure, Kind};

/// A count as SQLite holds it; counts beyond `i64` do not happen.
pub(super) fn integer<N: TryInto<i64>>(count: N) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// An instant as SQLite holds it.
pub(super) fn text(instant: Option<Timestamp>) -> Option<String> {
    instant.map(|instant| instant.to_string())
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

/// A row, and the table to name when it is damaged.
pub(super) struct Record<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a Row<'a>,
}

impl Record<'_> {
    pub(super) fn damaged(&self, what: &str) -> Failure {
        let message = format!("a row of {} is damaged: {what}", self.table);
        Failure::new(Kind::StoreRefused, message)
    }

    pub(super) fn get<T: FromSql>(&self, column: &str) -> Result<T, Failure> {
        self.row.get(column).map_err(|error| self.damaged(column).because(error))
    }

    pub(super) fn instant(&self, column: &str) -> Result<Option<Timestamp>, Failure> {
        match self.get::<Option<String>>(column)? {
            None => Ok(None),
            Some(text) => {
                Timestamp::parse_rfc3339(&text).map(Some).ok_or_else(|| self.damaged(column))
            }
        }
    }

    /// Of a column that is never null.
    pub(super) fn known_instant(&self, column: &str) -> Result<Timestamp, Failure> {
        self.instant(column)?.ok_or_else(|| self.damaged(column))
    }

    pub(super) fn ticker(&self, column: &str) -> Result<Ticker, Failure> {
        Ticker::new(&self.get::<String>(column)?).ok_or_else(|| self.damaged(column))
    }
}

/// Reads a row that has the columns of `load_checkpoints.sql`.
pub(super) fn checkpoint(row: &Row<'_>) -> Result<Checkpoint, Failure> {
    let record = Record { table: "ingestion_checkpoints", row };
    let walk = match record.instant("walk_until")? {
        None => None,
        Some(until) => Some(OpenWalk {
            window: Window::new(record.instant("walk_from")?, until)
                .ok_or_else(|| record.damaged("walk_from, walk_until"))?,
            cursor: record.get("walk_cursor")?,
            low: record.instant("walk_low")?,
            opened_at: record.instant("walk_opened_at")?,
        }),
    };
    Ok(Checkpoint {
        market: record.ticker("market_ticker")?,
        complete_from: record.instant("complete_from")?,
        complete_until: record.instant("complete_until")?,
        complete_as_of: record.instant("complete_as_of")?,
        last_trade_at: record.instant("last_trade_at")?,
        last_success_at: record.instant("last_success_at")?,
        walk,
        failures: record.get("failures")?,
        last_error: record.get("last_error")?,
        retired_at: record.instant("retired_at")?,
        first_selected_at: record.known_instant("first_selected_at")?,
        version: record.get("version")?,
    })
}
