//! An open transaction: values in PostgreSQL's types, one array for each column of rows.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::{ToSql, Type};
use postgres::{Error, Row};

use super::because;
use super::commit::{self, Origin};
use super::halves::{Kept, in_two};
use super::layout::Layout;
use super::second::SecondConnection;
use super::trades::{Expectation, Table};
use super::transaction::Transaction;
use crate::domain::batch::Commit;
use crate::domain::time::Timestamp;
use crate::failure::Failure;
use crate::store::engine::{Access, Added, Statement, Stored, TradeRow, Work};
use crate::store::handles::RunId;
use crate::store::replay::TRADES_TABLE;
use crate::store::rows;
use crate::store::value::{Rows, Value};

/// An open transaction, and the attempt that errors name.
pub(super) struct OpenWork<'t> {
    pub(super) transaction: Transaction<'t>,
    pub(super) what: &'t str,
    pub(super) source: &'static str,
    pub(super) memory: &'t mut Memory,
}

/// The knowledge that a store keeps between its transactions.
pub(super) struct Memory {
    pub(super) second: SecondConnection,
    /// The layouts of tables of trades, by the name of the table.
    pub(super) layouts: HashMap<String, Layout>,
    pub(super) expectation: Expectation,
    /// Whether trades could not be stored. Then neither the connections nor this knowledge are used again.
    pub(super) is_doubtful: bool,
}

impl Memory {
    /// The knowledge of a new store.
    pub(super) fn new(second: SecondConnection) -> Memory {
        Memory {
            second,
            layouts: HashMap::new(),
            expectation: Expectation::FIRST,
            is_doubtful: false,
        }
    }

    /// The layout of a table of trades, which is looked up once.
    fn layout(&mut self, transaction: &mut Transaction<'_>, table: &str) -> Result<Layout, Error> {
        if let Some(known) = self.layouts.get(table) {
            return Ok(known.clone());
        }
        let layout = Layout::of(transaction, table)?;
        if let Some(key) = layout.other_key() {
            log::info!("the key of {table} is ({key}): a trade counts as stored by these columns");
        }
        self.layouts.insert(table.to_owned(), layout.clone());
        Ok(layout)
    }
}

/// A parameter with its type.
type Parameter<'v> = (Box<dyn ToSql + Sync + 'v>, Type);

impl OpenWork<'_> {
    /// Ends the transaction.
    pub(super) fn end(self, access: Access) -> Result<(), Failure> {
        let ended = match access {
            // There is nothing to commit together.
            Access::Read | Access::Scan | Access::Snapshot | Access::One => {
                self.transaction.leave()
            }
            _ => self.transaction.commit(),
        };
        ended.map_err(because(self.what))
    }

    fn query_typed(
        &mut self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let sql = &*statement.postgres;
        let adapted = if Layout::matters_to(sql) {
            let layout = self.memory.layout(&mut self.transaction, TRADES_TABLE);
            Cow::Owned(layout.map_err(because(self.what))?.adapt(sql).into_owned())
        } else {
            Cow::Borrowed(sql)
        };
        let found = self.transaction.query_typed(&adapted, &lent(parameters));
        found.map_err(because(self.what))
    }
}

fn lent<'p>(parameters: &'p [Parameter<'_>]) -> Vec<(&'p (dyn ToSql + Sync), Type)> {
    parameters.iter().map(|(value, kind)| (&**value, kind.clone())).collect()
}

impl Work for OpenWork<'_> {
    fn source(&self) -> &'static str {
        self.source
    }

    fn query(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        each: &mut dyn FnMut(rows::Row<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let parameters: Vec<Parameter<'_>> = values.iter().map(scalar).collect();
        let found = self.query_typed(statement, &parameters)?;
        found.iter().try_for_each(|row| each(rows::Row::Postgres(row)))
    }

    fn stream(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        each: &mut dyn FnMut(rows::Row<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let parameters: Vec<Parameter<'_>> = values.iter().map(scalar).collect();
        let what = self.what;
        let mut found = self
            .transaction
            .client()
            .query_typed_raw(&statement.postgres, lent(&parameters))
            .map_err(because(what))?;
        while let Some(row) = found.next().map_err(because(what))? {
            each(rows::Row::Postgres(&row))?;
        }
        Ok(())
    }

    /// The server holds a state for each transaction that asks for one.
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, Failure> {
        let parameters: Vec<Parameter<'_>> = values.iter().map(scalar).collect();
        let done = self.transaction.execute_typed(&statement.postgres, &lent(&parameters));
        done.map_err(because(self.what))
    }

    fn execute_each(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<u64, Failure> {
        if rows.is_empty() {
            return Ok(0);
        }
        let parameters = arrays(before, rows, after);
        let done = self.transaction.execute_typed(&statement.postgres, &lent(&parameters));
        done.map_err(because(self.what))
    }

    fn execute_each_found(
        &mut self,
        statement: &Statement,
        before: &[Value<'_>],
        rows: &Rows<'_>,
        after: &[Value<'_>],
    ) -> Result<Vec<usize>, Failure> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.query_typed(statement, &arrays(before, rows, after))?;
        let keys: Result<Vec<&str>, Error> = found.iter().map(|row| row.try_get(0)).collect();
        let mut keys = keys.map_err(because(self.what))?;
        keys.sort_unstable();
        let is_found = |value: &Value<'_>| match value {
            Value::Text(Some(key)) => keys.binary_search(&&**key).is_ok(),
            _ => false,
        };
        let places = rows.column(0).enumerate().filter(|(_, value)| is_found(value));
        Ok(places.map(|(place, _)| place).collect())
    }

    fn store_trades(&mut self, run: RunId, commit: &Commit) -> Result<Stored, Failure> {
        let (transaction, memory) = (&mut self.transaction, &mut *self.memory);
        memory.is_doubtful = true;
        let layout = memory.layout(transaction, TRADES_TABLE).map_err(because(self.what))?;
        let origin = Origin {
            source: self.source,
            layout: &layout,
            run,
            now: commit.now(),
            expected: memory.expectation.next(),
        };
        let stored = commit::store(transaction, &mut memory.second, origin, commit)
            .map_err(because(self.what))?;
        memory.is_doubtful = false;
        if !commit.rows().is_empty() {
            memory.expectation.learn(stored.inserted.len(), commit.rows().len());
        }
        Ok(stored)
    }

    fn add_trades(&mut self, table: &str, rows: &[TradeRow<'_>]) -> Result<Added, Failure> {
        let (transaction, memory) = (&mut self.transaction, &mut *self.memory);
        memory.is_doubtful = true;
        let layout = memory.layout(transaction, table).map_err(because(self.what))?;
        let (source, expected) = (self.source, memory.expectation.next());
        let is_counted = table == TRADES_TABLE;
        let table = Table { name: table, source, layout: &layout };
        let write = |transaction: &mut Transaction<'_>, rows: &[TradeRow<'_>]| {
            let new = table.store(transaction, rows, expected)?.inserted;
            Ok(Kept { new, conflicting: Vec::new() })
        };
        let count = |transaction: &mut Transaction<'_>, rows: &[TradeRow<'_>], kept: &Kept| {
            if !is_counted {
                return Ok(());
            }
            commit::add_counts(transaction, source, kept.new.iter().map(|at| rows[*at].trade))
        };
        let written = in_two(transaction, &mut memory.second, rows, write, count);
        let (Kept { new, .. }, ahead) = written.map_err(because(self.what))?;
        memory.is_doubtful = false;
        memory.expectation.learn(new.len(), rows.len());
        Ok(Added { new, ahead })
    }

    fn copy_trades_table(&mut self, name: &str) -> Result<(), Failure> {
        let sql = format!("create table \"{name}\" (like {TRADES_TABLE} including all)");
        self.transaction.batch_execute(&sql).map_err(because(self.what))
    }
}

fn time(instant: Option<Timestamp>) -> Option<DateTime<Utc>> {
    instant.map(Timestamp::to_chrono)
}

/// Turns a value into one parameter.
fn scalar<'v>(value: &'v Value<'_>) -> Parameter<'v> {
    match value {
        Value::Text(words) => (Box::new(words.as_deref()), Type::TEXT),
        Value::Int(number) => (Box::new(*number), Type::INT8),
        Value::Float(fraction) => (Box::new(*fraction), Type::FLOAT8),
        Value::Bool(is_so) => (Box::new(*is_so), Type::BOOL),
        Value::Instant(instant) => (Box::new(time(*instant)), Type::TIMESTAMPTZ),
        Value::Names(names) => (Box::new(names.as_deref()), Type::TEXT_ARRAY),
        Value::Numbers(numbers) => (Box::new(&**numbers), Type::INT8_ARRAY),
    }
}

/// The parameters of a statement that is executed for each row.
fn arrays<'v>(
    before: &'v [Value<'_>],
    rows: &'v Rows<'_>,
    after: &'v [Value<'_>],
) -> Vec<Parameter<'v>> {
    let columns = (0..rows.width()).map(|column| array(rows, column));
    before.iter().map(scalar).chain(columns).chain(after.iter().map(scalar)).collect()
}

/// Turns a column into one parameter. All its values are of the kind of the first one.
fn array<'v>(rows: &'v Rows<'_>, column: usize) -> Parameter<'v> {
    macro_rules! column {
        ($kind:ident, $value:ident => $to:expr) => {{
            let values = rows.column(column).map(|value| match value {
                Value::$kind($value) => $to,
                _ => None,
            });
            Box::new(values.collect::<Vec<_>>())
        }};
    }
    match rows.column(column).next() {
        Some(Value::Int(_)) => (column!(Int, number => *number), Type::INT8_ARRAY),
        Some(Value::Float(_)) => (column!(Float, fraction => *fraction), Type::FLOAT8_ARRAY),
        Some(Value::Bool(_)) => (column!(Bool, is_so => *is_so), Type::BOOL_ARRAY),
        Some(Value::Instant(_)) => {
            (column!(Instant, instant => time(*instant)), Type::TIMESTAMPTZ_ARRAY)
        }
        _ => (column!(Text, words => words.as_deref()), Type::TEXT_ARRAY),
    }
}
