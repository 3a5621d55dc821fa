//! The two databases, as far as what is written for both needs to know them.

use std::borrow::Cow;

use super::handles::{Lock, RunId};
use super::rows::Row;
use super::value::{Rows, Value};
use crate::domain::batch::Commit;
use crate::domain::time::Timestamp;
use crate::domain::trade::Rejected;
use crate::failure::{Failure, Kind};

/// A statement in both dialects. Its parameters have the same places in both.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) postgres: Cow<'static, str>,
    pub(super) sqlite: Cow<'static, str>,
}

impl Statement {
    /// The statement with the name of a table in the place of `{target}`.
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

/// Its text in one dialect. A name that is not in the file does not compile.
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

/// The line before a statement says its name.
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

/// Where the line after that at `at` begins.
const fn next_line(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'\n' {
        at += 1;
    }
    if at < bytes.len() { at + 1 } else { at }
}

/// Whether `part` stands there.
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

/// What a piece of work does, as far as the database has to know it at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// One statement that only asks; nobody needs the right to write for it.
    Read,
    /// One that goes through a whole table, which takes as long as that is big.
    Scan,
    /// Several that only ask and see the same instant.
    ReadAsOne,
    /// At most one statement that writes, for however many rows, and questions beside it.
    One,
    /// Several that write: all of it happens or nothing.
    Write,
    /// The same, going through a whole table.
    WriteScan,
    /// The same, and nobody else is in it who names the same lock: what it compares with stays as it is.
    Alone(&'static str),
    /// The same for the rows of a commit, which are found by their keys.
    Commit,
}

/// A connection to a database.
pub(super) trait Engine: Send {
    /// The value of every `source` column: the venue whose rows are meant.
    fn source(&self) -> &'static str;

    /// Does `work` as one transaction. `what` says in an error what was attempted.
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

    /// As [`Store::reconnect`](super::Store::reconnect).
    fn reconnect(&mut self) -> Result<(), Failure>;

    /// As [`Store::try_lock`](super::Store::try_lock).
    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure>;

    /// Every row that one statement answers with.
    fn read<T>(
        &mut self,
        what: &str,
        statement: &Statement,
        values: &[Value<'_>],
        read: impl Fn(Row<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        self.transact(what, Access::Read, |work| work.rows(statement, values, read))
    }

    /// The same of one that goes through a whole table.
    fn scan<T>(
        &mut self,
        what: &str,
        statement: &Statement,
        values: &[Value<'_>],
        read: impl Fn(Row<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        self.transact(what, Access::Scan, |work| work.rows(statement, values, read))
    }

    /// Does one statement that writes.
    fn execute(
        &mut self,
        what: &str,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        self.transact(what, Access::One, |work| work.execute(statement, values))
    }
}

/// A transaction at work.
pub(super) trait Work {
    /// As [`Engine::source`].
    fn source(&self) -> &'static str;

    /// Hands over every row that a statement answers with.
    fn query(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure>;

    /// Does a statement; answers with how many rows it wrote.
    fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, Failure>;

    /// Does a statement for each of these rows; its parameters are `before`, the row, `after`. Answers with how many
    /// rows it wrote. PostgreSQL is sent one statement, with a list for each column of the rows.
    fn execute_each(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<u64, Failure>;

    /// The same; answers with the places of those rows that wrote something. In PostgreSQL the statement
    /// answers with the first value, a text, of each of them.
    fn execute_each_found(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<Vec<usize>, Failure>;

    /// Stores the trades and the events of a commit. Written for each database by itself: nothing else counts
    /// as much for how fast a pass is.
    fn store_trades(&mut self, run: RunId, commit: &Commit) -> Result<Stored, Failure>;

    /// Makes an empty table of trades with keys, checks and indexes like the usual one.
    fn copy_trades_table(&mut self, name: &str) -> Result<(), Failure>;
}

/// What became of the trades and the events of a commit.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// The places of the rows whose trade was new.
    pub(super) inserted: Vec<usize>,
    /// The events that say something else than what is stored, as far as they were not kept before.
    pub(super) conflicting: Vec<Rejected>,
    /// The places of the refused events that were not kept before.
    pub(super) rejected: Vec<usize>,
}

impl dyn Work + '_ {
    /// Every row that a statement answers with.
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

/// The one row of a statement that always answers with one.
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
