//! A connection in use: values in SQLite's types, a statement executed once for each row.

use rusqlite::types::{ToSql, ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::opening::Stamp;
use super::transaction::Transaction;
use super::{because, commit, unbroken};
use crate::domain::batch::Commit;
use crate::failure::Failure;
use crate::store::engine::{Added, Statement, Stored, TradeRow, Work};
use crate::store::handles::RunId;
use crate::store::replay::TRADES_TABLE;
use crate::store::rows::Row;
use crate::store::value::{Rows, Value};

/// A connection, in a transaction or not, and the attempt that errors name.
pub(super) struct OpenWork<'c> {
    pub(super) connection: &'c Connection,
    pub(super) what: &'c str,
    pub(super) source: &'static str,
    /// The stamp of a file that is read as immutable.
    pub(super) stamp: Option<&'c Stamp>,
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let null = || ToSqlOutput::Owned(Owned::Null);
        let owned = |words| ToSqlOutput::Owned(Owned::Text(words));
        Ok(match self {
            Value::Text(None) | Value::Names(None) => null(),
            Value::Text(Some(words)) => ToSqlOutput::Borrowed(ValueRef::Text(words.as_bytes())),
            Value::Int(number) => ToSqlOutput::Owned((*number).into()),
            Value::Float(fraction) => ToSqlOutput::Owned((*fraction).into()),
            Value::Bool(is_so) => ToSqlOutput::Owned(is_so.map(i64::from).into()),
            Value::Instant(instant) => instant.map_or_else(null, |at| owned(at.to_string())),
            // SQLite has no arrays, so the names are JSON.
            Value::Names(Some(names)) => {
                owned(serde_json::Value::from(names.as_slice()).to_string())
            }
            Value::Numbers(numbers) => {
                owned(serde_json::Value::from(numbers.as_slice()).to_string())
            }
        })
    }
}

impl OpenWork<'_> {
    /// Executes a statement for each row, and reports the number of rows that each one wrote.
    fn each(
        &self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
        mut told: impl FnMut(usize),
    ) -> rusqlite::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        // All rows take effect or none, also outside of a transaction.
        let alone = self.connection.is_autocommit().then(|| Transaction::to_write(self.connection));
        let alone = alone.transpose()?;
        let mut statement = self.connection.prepare_cached(&statement.sqlite)?;
        // Values that are the same for all rows are bound once and stay. A parameter that is not bound would be null.
        let width = rows.width();
        let (wanted, given) = (statement.parameter_count(), before.len() + width + after.len());
        if wanted != given {
            return Err(rusqlite::Error::InvalidParameterCount(given, wanted));
        }
        for (place, value) in before.iter().enumerate() {
            statement.raw_bind_parameter(place + 1, value)?;
        }
        for (place, value) in after.iter().enumerate() {
            statement.raw_bind_parameter(before.len() + width + place + 1, value)?;
        }
        for row in rows.iter() {
            for (place, value) in row.iter().enumerate() {
                statement.raw_bind_parameter(before.len() + place + 1, value)?;
            }
            told(statement.raw_execute()?);
        }
        drop(statement);
        alone.map_or(Ok(()), Transaction::commit)
    }
}

impl Work for OpenWork<'_> {
    fn source(&self) -> &'static str {
        self.source
    }

    fn query(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let what = self.what;
        let mut statement =
            self.connection.prepare_cached(&statement.sqlite).map_err(because(what))?;
        let mut found = statement.query(params_from_iter(values)).map_err(because(what))?;
        while let Some(row) = found.next().map_err(because(what))? {
            each(Row::Sqlite(row))?;
        }
        Ok(())
    }

    fn stream(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // Rows come one by one anyway.
        self.query(statement, values, each)
    }

    fn check(&self) -> Result<(), Failure> {
        unbroken(self.stamp)
    }

    fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, Failure> {
        let done = self
            .connection
            .prepare_cached(&statement.sqlite)
            .and_then(|mut statement| statement.execute(params_from_iter(values)));
        done.map(count).map_err(because(self.what))
    }

    fn execute_each(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<u64, Failure> {
        let mut written = 0;
        self.each(statement, before, rows, after, |rows| written += count(rows))
            .map_err(because(self.what))?;
        Ok(written)
    }

    fn execute_each_found(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<Vec<usize>, Failure> {
        let mut written = Vec::with_capacity(rows.len());
        self.each(statement, before, rows, after, |rows| written.push(rows > 0))
            .map_err(because(self.what))?;
        let places = written.into_iter().enumerate().filter(|(_, is_written)| *is_written);
        Ok(places.map(|(place, _)| place).collect())
    }

    fn store_trades(&mut self, run: RunId, commit: &Commit) -> Result<Stored, Failure> {
        commit::store(self.connection, self.source, run, commit).map_err(because(self.what))
    }

    fn add_trades(&mut self, table: &str, rows: &[TradeRow<'_>]) -> Result<Added, Failure> {
        let new = commit::add(self.connection, self.source, table, rows);
        Ok(Added { new: new.map_err(because(self.what))?, ahead: 0..0 })
    }

    fn copy_trades_table(&mut self, name: &str) -> Result<(), Failure> {
        copy(self.connection, name).map_err(because(self.what))
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// Makes a table with its indexes from the statements that made the usual one.
fn copy(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let mut statements = connection.prepare(
        "select name, sql from sqlite_schema
         where tbl_name = ?1 and type in ('table', 'index') and sql is not null
         order by type = 'index', name",
    )?;
    let made: Vec<(String, String)> = statements
        .query_map([TRADES_TABLE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (original, sql) in made {
        // Names come before the first parenthesis, and only the columns after it need no change.
        let Some((head, columns)) = sql.split_once('(') else { continue };
        let head = if original == TRADES_TABLE {
            format!("create table \"{name}\"")
        } else {
            let kind = if head.starts_with("CREATE UNIQUE") { "unique index" } else { "index" };
            let suffix = original.strip_prefix(TRADES_TABLE).unwrap_or(&original);
            format!("create {kind} \"{name}{suffix}\" on \"{name}\"")
        };
        connection.execute_batch(&format!("{head} ({columns}"))?;
    }
    Ok(())
}
