//! Reads the rows of a database.

use postgres::types::{FromSql, Type};

use crate::domain::checkpoint::{Checkpoint, Left, OpenWalk, Quiet, Window};
use crate::domain::evidence::Anchor;
use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};

/// A row of either database.
#[derive(Clone, Copy)]
pub(super) enum Row<'r> {
    Postgres(&'r postgres::Row),
    Sqlite(&'r rusqlite::Row<'r>),
}

impl<'r> Row<'r> {
    /// The row as one of this table; an error about a damaged row names the table.
    pub(super) fn of(self, table: &'static str) -> Record<'r> {
        Record { table, row: self }
    }
}

/// A row, and the table that errors about it name.
#[derive(Clone, Copy)]
pub(super) struct Record<'r> {
    table: &'static str,
    row: Row<'r>,
}

type Unreadable = Box<dyn std::error::Error + Send + Sync>;

/// A value that a column can hold.
pub(super) trait Field: Sized {
    fn of_postgres(row: &postgres::Row, column: &str) -> Result<Self, Unreadable>;
    fn of_sqlite(row: &rusqlite::Row<'_>, column: &str) -> Result<Self, Unreadable>;
}

/// The types that both databases hold unchanged.
macro_rules! fields {
    ($($field:ty),*) => {
        $(impl Field for $field {
            fn of_postgres(row: &postgres::Row, column: &str) -> Result<Self, Unreadable> {
                Ok(row.try_get(column)?)
            }

            fn of_sqlite(row: &rusqlite::Row<'_>, column: &str) -> Result<Self, Unreadable> {
                Ok(row.get(column)?)
            }
        })*
    };
}

fields!(bool, Option<bool>, f64, Option<f64>, String, Option<String>);

/// An integer column of PostgreSQL, of any width.
struct Integer(i64);

impl<'a> FromSql<'a> for Integer {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Integer, Unreadable> {
        Ok(Integer(match *kind {
            Type::INT2 => i16::from_sql(kind, raw)?.into(),
            Type::INT4 => i32::from_sql(kind, raw)?.into(),
            _ => i64::from_sql(kind, raw)?,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT2, Type::INT4, Type::INT8].contains(kind)
    }
}

impl Field for Option<i64> {
    fn of_postgres(row: &postgres::Row, column: &str) -> Result<Self, Unreadable> {
        Ok(row.try_get::<_, Option<Integer>>(column)?.map(|integer| integer.0))
    }

    fn of_sqlite(row: &rusqlite::Row<'_>, column: &str) -> Result<Self, Unreadable> {
        Ok(row.get(column)?)
    }
}

impl Field for Option<Timestamp> {
    /// An error when only PostgreSQL knows the value, such as infinity.
    fn of_postgres(row: &postgres::Row, column: &str) -> Result<Self, Unreadable> {
        Ok(row.try_get::<_, Option<_>>(column)?.map(Timestamp::from_chrono))
    }

    fn of_sqlite(row: &rusqlite::Row<'_>, column: &str) -> Result<Self, Unreadable> {
        let Some(text) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
        Timestamp::parse_rfc3339(&text).map(Some).ok_or_else(|| "it is no time".into())
    }
}

impl Field for Vec<String> {
    fn of_postgres(row: &postgres::Row, column: &str) -> Result<Self, Unreadable> {
        Ok(row.try_get(column)?)
    }

    fn of_sqlite(row: &rusqlite::Row<'_>, column: &str) -> Result<Self, Unreadable> {
        Ok(serde_json::from_str(&row.get::<_, String>(column)?)?)
    }
}

impl Field for Option<Box<str>> {
    fn of_postgres(row: &postgres::Row, column: &str) -> Result<Self, Unreadable> {
        Ok(row.try_get::<_, Option<&str>>(column)?.map(Box::from))
    }

    fn of_sqlite(row: &rusqlite::Row<'_>, column: &str) -> Result<Self, Unreadable> {
        Ok(row.get::<_, Option<String>>(column)?.map(String::into_boxed_str))
    }
}

/// The types whose columns are never null.
macro_rules! never_null {
    ($($field:ty),*) => {
        $(impl Field for $field {
            fn of_postgres(row: &postgres::Row, column: &str) -> Result<Self, Unreadable> {
                Option::<$field>::of_postgres(row, column)?.ok_or_else(|| "it is null".into())
            }

            fn of_sqlite(row: &rusqlite::Row<'_>, column: &str) -> Result<Self, Unreadable> {
                Option::<$field>::of_sqlite(row, column)?.ok_or_else(|| "it is null".into())
            }
        })*
    };
}

never_null!(i64, Timestamp, Box<str>);

impl Record<'_> {
    pub(super) fn damaged(&self, what: &str) -> Failure {
        let message = format!("a row of {} is damaged: {what}", self.table);
        Failure::new(Kind::StoreRefused, message)
    }

    pub(super) fn get<T: Field>(&self, column: &str) -> Result<T, Failure> {
        let read = match self.row {
            Row::Postgres(row) => T::of_postgres(row, column),
            Row::Sqlite(row) => T::of_sqlite(row, column),
        };
        read.map_err(|error| self.damaged(column).because(error))
    }

    /// An integer that is narrower than its column.
    pub(super) fn narrow<T: TryFrom<i64>>(&self, column: &str) -> Result<T, Failure> {
        T::try_from(self.get(column)?).map_err(|_| self.damaged(column))
    }

    /// A text column that `parse` reads.
    pub(super) fn parsed<T>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        parse(&self.get::<Box<str>>(column)?).ok_or_else(|| self.damaged(column))
    }

    pub(super) fn scope(&self, column: &str) -> Result<Scope, Failure> {
        self.parsed(column, Scope::parse)
    }

    pub(super) fn ticker(&self, column: &str) -> Result<Ticker, Failure> {
        self.parsed(column, Ticker::new)
    }

    /// A list of tickers.
    pub(super) fn tickers<T: FromIterator<Ticker>>(&self, column: &str) -> Result<T, Failure> {
        let names: Vec<String> = self.get(column)?;
        let ticker = |name: &String| Ticker::new(name).ok_or_else(|| self.damaged(column));
        names.iter().map(ticker).collect()
    }

    fn anchor(&self, at: &str, id: &str) -> Result<Option<Anchor>, Failure> {
        let id = self.get(id)?;
        Ok(self.get::<Option<Timestamp>>(at)?.map(|at| Anchor { at, id }))
    }
}

/// Reads a row that has the columns of `load_checkpoints.sql`.
pub(super) fn checkpoint(row: Row<'_>) -> Result<Checkpoint, Failure> {
    let record = row.of("ingestion_checkpoints");
    let instant = |column| record.get::<Option<Timestamp>>(column);
    let walk = match instant("walk_until")? {
        None => None,
        Some(until) => Some(OpenWalk {
            window: Window::new(instant("walk_from")?, until)
                .ok_or_else(|| record.damaged("walk_from, walk_until"))?,
            cursor: record.get("walk_cursor")?,
            low: instant("walk_low")?,
            anchor: record.anchor("walk_anchor_at", "walk_anchor_id")?,
        }),
    };
    let quiet = instant("quiet_until")?.zip(record.get("quiet_run")?);
    let left = record.get::<Option<f64>>("left_seconds")?.zip(instant("left_at")?);
    Ok(Checkpoint {
        scope: record.scope("market_ticker")?,
        complete_from: instant("complete_from")?,
        complete_until: instant("complete_until")?,
        checked_until: instant("checked_until")?,
        anchor: record.anchor("anchor_at", "anchor_id")?,
        footing: instant("footing_at")?,
        quiet: quiet.map(|(until, run)| Quiet { until, run }),
        carried_until: instant("carried_until")?,
        last_trade_at: instant("last_trade_at")?,
        last_success_at: instant("last_success_at")?,
        walk,
        level_at: instant("level_at")?,
        left: left.and_then(|(seconds, since)| Left::of_seconds(seconds, since)),
        failures: record.narrow("failures")?,
        last_error: record.get("last_error")?,
        retired_at: instant("retired_at")?,
        first_selected_at: record.get("first_selected_at")?,
        version: record.get("version")?,
    })
}
