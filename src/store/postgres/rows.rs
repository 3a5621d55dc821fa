//! Rows out of PostgreSQL.

use chrono::{DateTime, Utc};
use postgres::Row;

use crate::domain::checkpoint::{Checkpoint, Left, OpenWalk, Quiet, Window};
use crate::domain::evidence::Anchor;
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

    fn anchor(&self, at: &str, id: &str) -> Result<Option<Anchor>, Failure> {
        let id = self.row.get::<_, Option<String>>(id).map(String::into_boxed_str);
        Ok(self.instant(at)?.map(|at| Anchor { at, id }))
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
            anchor: record.anchor("walk_anchor_at", "walk_anchor_id")?,
        }),
    };
    let quiet = record.instant("quiet_until")?.zip(row.get("quiet_run"));
    let left = row.get::<_, Option<f64>>("left_seconds").zip(record.instant("left_at")?);
    Ok(Checkpoint {
        market: record.ticker("market_ticker")?,
        complete_from: record.instant("complete_from")?,
        complete_until: record.instant("complete_until")?,
        checked_until: record.instant("checked_until")?,
        anchor: record.anchor("anchor_at", "anchor_id")?,
        footing: record.instant("footing_at")?,
        quiet: quiet.map(|(until, run)| Quiet { until, run }),
        carried_until: record.instant("carried_until")?,
        last_trade_at: record.instant("last_trade_at")?,
        last_success_at: record.instant("last_success_at")?,
        walk,
        level_at: record.instant("level_at")?,
        left: left.and_then(|(seconds, since)| Left::of_seconds(seconds, since)),
        failures: u32::try_from(row.get::<_, i32>("failures")).unwrap_or(0),
        last_error: row.get("last_error"),
        retired_at: record.instant("retired_at")?,
        first_selected_at: record.known_instant("first_selected_at")?,
        version: row.get("version"),
    })
}
