//! The two databases behind one interface, for the code that serves both.

use std::borrow::Cow;
use std::ops::Range;

use super::handles::{Lock, RunId};
use super::rows::Row;
use super::value::{Rows, Value};
use crate::domain::batch::Commit;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Rejected, Trade};
use crate::failure::{Failure, Kind};

/// A statement in both dialects. The parameters have the same positions in both.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) postgres: Cow<'static, str>,
    pub(super) sqlite: Cow<'static, str>,
}

impl Statement {
    /// The statement with this table name in the place of `{target}`.
    pub(super) fn on(&self, target: &str) -> Statement {
        let on = |sql: &str| Cow::Owned(sql.replace("{target}", target));
        Statement { postgres: on(&self.postgres), sqlite: on(&self.sqlite) }
    }
}

/// The statement of this name in the file of this table, in both dialects.
macro_rules! statement {
    ($table:literal, $name:literal) => {{
        static STATEMENT: $crate::store::engine::Statement = $crate::store::engine::Statement {
            postgres: std::borrow::Cow::Borrowed($crate::store::engine::sql!(
                "postgres", $table, $name
            )),
            sqlite: std::borrow::Cow::Borrowed($crate::store::engine::sql!(
                "sqlite", $table, $name
            )),
        };
        &STATEMENT
    }};
}

/// The text of a statement in one dialect. A name that is not in the file does not compile.
macro_rules! sql {
    ($dialect:literal, $table:literal, $name:literal) => {{
        const TEXT: &str = $crate::store::engine::named(
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/sql/",
                $dialect,
                "/",
                $table,
                ".sql"
            )),
            $name,
        );
        TEXT
    }};
}

pub(super) use {sql, statement};

/// The beginning of the line that names the statement below it.
const NAMED: &[u8] = b"-- name: ";

/// The statement that follows the line `-- name: <name>`, up to the next such line.
pub(super) const fn named(file: &'static str, name: &str) -> &'static str {
    let (bytes, name) = (file.as_bytes(), name.as_bytes());
    let mut at = 0;
    while at < bytes.len() {
        let begins = next_line(bytes, at);
        let is_it = holds(bytes, at, NAMED)
            && holds(bytes, at + NAMED.len(), name)
            && at + NAMED.len() + name.len() + 1 == begins;
        if is_it {
            let mut ends = begins;
            while ends < bytes.len() && !holds(bytes, ends, NAMED) {
                ends = next_line(bytes, ends);
            }
            return file.split_at(ends).0.split_at(begins).1.trim_ascii();
        }
        at = begins;
    }
    panic!("the file has no statement of this name");
}

/// The beginning of the line after the one at `at`.
const fn next_line(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'\n' {
        at += 1;
    }
    if at < bytes.len() { at + 1 } else { at }
}

/// Whether `part` stands at this position.
const fn holds(bytes: &[u8], at: usize, part: &[u8]) -> bool {
    let mut place = 0;
    while place < part.len() {
        if at + place >= bytes.len() || bytes[at + place] != part[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// The kind of access that a piece of work needs, as far as the database has to know it at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// One statement that only reads; it needs no right to write.
    Read,
    /// One statement that reads a whole table; its duration depends on the size of the table.
    Scan,
    /// Several statements that only read and see the same instant.
    ReadAsOne,
    /// `ReadAsOne` over whole tables, for as long as a reader takes for their rows.
    Snapshot,
    /// At most one statement that writes, for any number of rows, and statements that read.
    One,
    /// Several statements that write: all of them take effect, or none.
    Write,
    /// `Write` over a whole table.
    WriteScan,
    /// `Write` while no other transaction with the same lock name runs: the rows that it compares with cannot change.
    Alone(&'static str),
    /// `Write` for the rows of a commit, which are found by their keys.
    Commit,
}

/// A connection to a database.
pub(super) trait Engine: Send {
    /// The value of every `source` column: the venue of the rows.
    fn source(&self) -> &'static str;

    /// Does `work` as one transaction. `what` names the attempt in an error.
    fn transact<T>(
        &mut self,
        what: &str,
        access: Access,
        work: impl FnOnce(&mut dyn Work) -> Result<T, Failure>,
    ) -> Result<T, Failure>;

    /// As [`Store::migrate`](super::Store::migrate).
    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure>;

    /// As [`Store::check_schema`](super::Store::check_schema).
    fn check_schema(&mut self) -> Result<(), Failure>;

    /// As [`Store::has_schema`](super::Store::has_schema).
    fn has_schema(&mut self) -> Result<bool, Failure>;

    /// As [`Store::make_views`](super::Store::make_views).
    fn make_views(&mut self) -> Result<(), Failure>;

    /// As [`Store::reconnect`](super::Store::reconnect).
    fn reconnect(&mut self) -> Result<(), Failure>;

    /// As [`Store::try_lock`](super::Store::try_lock).
    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure>;

    /// Returns every row of one statement.
    fn read<T>(
        &mut self,
        what: &str,
        statement: &Statement,
        values: &[Value<'_>],
        read: impl Fn(Row<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        self.transact(what, Access::Read, |work| work.rows(statement, values, read))
    }

    /// Returns every row of one statement that reads a whole table.
    fn scan<T>(
        &mut self,
        what: &str,
        statement: &Statement,
        values: &[Value<'_>],
        read: impl Fn(Row<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        self.transact(what, Access::Scan, |work| work.rows(statement, values, read))
    }

    /// Executes one statement that writes, and returns the number of written rows.
    fn execute(
        &mut self,
        what: &str,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        self.transact(what, Access::One, |work| work.execute(statement, values))
    }
}

/// An open transaction.
pub(super) trait Work {
    /// As [`Engine::source`].
    fn source(&self) -> &'static str;

    /// Hands over every row of a statement.
    fn query(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure>;

    /// As [`Work::query`], for any number of rows: they are not held in memory.
    fn stream(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure>;

    /// An error if another process wrote meanwhile to a database that cannot hold a state for its readers.
    fn check(&self) -> Result<(), Failure>;

    /// Executes a statement, and returns the number of written rows.
    fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, Failure>;

    /// Executes a statement for each of these rows; its parameters are `before`, the row, `after`. Returns the number
    /// of written rows. PostgreSQL gets one statement, with an array for each column of the rows.
    fn execute_each(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<u64, Failure>;

    /// Executes a statement as [`Work::execute_each`] does, and returns the positions of the rows that wrote something.
    /// In PostgreSQL the statement returns the first value, a text, of each of these rows.
    fn execute_each_found(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<Vec<usize>, Failure>;

    /// Stores the trades and the events of a commit. Each database has its own code for this, because it decides most
    /// about the speed of a pass.
    fn store_trades(&mut self, run: RunId, commit: &Commit) -> Result<Stored, Failure>;

    /// Stores those of these trades that the table does not have. The rows come sorted by id, each id once.
    fn add_trades(&mut self, table: &str, rows: &[TradeRow<'_>]) -> Result<Added, Failure>;

    /// Makes an empty table of trades with the keys, checks and indexes of the usual one.
    fn copy_trades_table(&mut self, name: &str) -> Result<(), Failure>;
}

/// A trade for a table of trades, and the origin of its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct TradeRow<'t> {
    pub(super) trade: &'t Trade,
    pub(super) run: RunId,
    pub(super) ingested_at: Timestamp,
}

/// The result of adding trades to a table.
#[derive(Debug)]
pub(super) struct Added {
    /// The positions of the rows whose trade was new.
    pub(super) new: Vec<usize>,
    /// The rows that another transaction has stored, counted and committed already.
    pub(super) ahead: Range<usize>,
}

/// The result of storing the trades and the events of a commit.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// The positions of the rows whose trade was new.
    pub(super) inserted: Vec<usize>,
    /// The rows that another transaction has stored, counted and committed already.
    pub(super) ahead: Range<usize>,
    /// The events that contradict the stored trades and were not stored before.
    pub(super) conflicting: Vec<Rejected>,
    /// The positions of the rejected events that were not stored before.
    pub(super) rejected: Vec<usize>,
}

impl dyn Work + '_ {
    /// Returns every row of a statement.
    pub(super) fn rows<T>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        read: impl Fn(Row<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let mut found = Vec::new();
        self.query(statement, values, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }
}

/// The row of a statement that always returns exactly one.
pub(super) fn only<T>(rows: Vec<T>) -> Result<T, Failure> {
    let missing = || Failure::new(Kind::StoreRefused, "the database gave no answer at all");
    rows.into_iter().next().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_statement_reaches_from_its_name_to_the_next() {
        let file = "-- name: one\n-- Why.\nselect 1\n\n-- name: one_more\nselect 2\n";
        assert_eq!(named(file, "one"), "-- Why.\nselect 1");
        assert_eq!(named(file, "one_more"), "select 2");
    }

    #[test]
    #[should_panic(expected = "no statement of this name")]
    fn a_part_of_a_name_is_no_name() {
        named("-- name: one_more\nselect 2", "one");
    }
}
