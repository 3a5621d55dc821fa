//! Rows out of PostgreSQL.

use chrono::{DateTime, Utc};
use postgres::Row;

use crate::domain::checkpoint::{Checkpoint, OpenWalk, Window};
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, Kind};

pub(super) type Instants = Vec<Option<DateTime<Utc>>>;

/// A row, and the table to name when it is damaged.
pub(super) struct Record<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a Row,
}

impl Record<'_> {
    pub(super) fn damaged(&self, what: &str) -> Failure {
        let message = format!("a row of {} is damaged: {what}", self.table);
        Failure::new(Kind::StoreRefused, message)
    }

    pub(super) fn instant(&self, column: &str) -> Result<Option<Timestamp>, Failure> {
        // It can be one that only PostgreSQL knows, such as infinity.
        let instant = self.row.try_get::<_, Option<DateTime<Utc>>>(column);
        let instant = instant.map_err(|error| self.damaged(column).because(error))?;
        Ok(instant.map(Timestamp::from_chrono))
    }

    /// Of a column that is never null.
    pub(super) fn known_instant(&self, column: &str) -> Result<Timestamp, Failure> {
        self.instant(column)?.ok_or_else(|| self.damaged(column))
    }

    pub(super) fn ticker(&self, column: &str) -> Result<Ticker, Failure> {
        Ticker::new(self.row.get(column)).ok_or_else(|| self.damaged(column))
    }
}

/// Reads a row that has the columns of `load_checkpoints.sql`.
pub(super) fn checkpoint(row: &Row) -> Result<Checkpoint, Failure> {
    let record = Record { table: "ingestion_checkpoints", row };
    let walk = match record.instant("walk_until")? {
        None => None,
        Some(until) => Some(OpenWalk {
            window: Window::new(record.instant("walk_from")?, until)
                .ok_or_else(|| record.damaged("walk_from, walk_until"))?,
            cursor: row.get("walk_cursor"),
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
        failures: u32::try_from(row.get::<_, i32>("failures")).unwrap_or(0),
        last_error: row.get("last_error"),
        retired_at: record.instant("retired_at")?,
        first_selected_at: record.known_instant("first_selected_at")?,
        version: row.get("version"),
    })
}
