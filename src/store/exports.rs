//! Reads the rows of an export, and the records of the claims about them, as of one instant.

use std::collections::BTreeMap;

use super::cells::cells;
use super::checkpoints;
use super::engine::{Access, Engine, Statement, Work, statement};
use super::rows::Row;
use super::value::{Value, values};
use super::{slices, watches};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::export::{
    COLUMNS_MAX, Cell, Content, Count, Lowered, Member, Scored, Span, Table,
};
use crate::domain::market::WatchRecord;
use crate::domain::scope::Scope;
use crate::domain::selection::Target;
use crate::domain::slice::Slice;
use crate::failure::Failure;

/// The part of a store that is about exports.
pub trait Exports {
    /// Does `work` on one state of the database: all its questions see the same instant. Reads only. The state is held
    /// as long as the work takes.
    fn export(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Snapshot) -> Result<(), Failure>,
    ) -> Result<(), Failure>;
}

/// One state of the database. The names of markets are tickers, and for raw events the texts of scopes.
pub trait Snapshot {
    /// The markets of an entry of the selection, by ticker.
    fn members(&mut self, target: &Target) -> Result<Vec<Member>, Failure>;

    /// The records of these entries, in any order.
    fn entries(&mut self, names: &[String]) -> Result<Vec<WatchRecord>, Failure>;

    /// The checkpoints of these scopes, in any order.
    fn checkpoints(&mut self, scopes: &[Scope]) -> Result<Vec<Checkpoint>, Failure>;

    /// The slices of these scopes that touch the span, by key.
    fn slices(&mut self, scopes: &[Scope], span: Span) -> Result<Vec<Slice>, Failure>;

    /// The claims of these scopes about completeness that were found false, the oldest first.
    fn lowered(&mut self, scopes: &[Scope]) -> Result<Vec<Lowered>, Failure>;

    /// The latest score of each of these markets and each window.
    fn scores(&mut self, markets: &[Box<str>]) -> Result<Vec<Scored>, Failure>;

    /// The rows of these markets in this span, counted by market and day, in any order. Days without rows are left out.
    fn counts(
        &mut self,
        table: Table,
        markets: &[Box<str>],
        span: Span,
    ) -> Result<Vec<Count>, Failure>;

    /// Hands over the rows of these markets in this span, sorted by [`Table::sorted_by`], with the columns of
    /// [`Table::columns`]. Memory does not grow with their number. `content` is that of the rows.
    fn rows(
        &mut self,
        table: Table,
        markets: &[Box<str>],
        span: Span,
        content: Content,
        each: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Failure>,
    ) -> Result<(), Failure>;

    /// An error if the answers so far may mix two states.
    fn check(&self) -> Result<(), Failure>;
}

impl<E: Engine> Exports for E {
    fn export(
        &mut self,
        work: &mut dyn FnMut(&mut dyn Snapshot) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.transact("exporting", Access::Snapshot, |open| work(&mut Open(open)))
    }
}

/// The state that an open transaction sees.
struct Open<'w>(&'w mut dyn Work);

impl Snapshot for Open<'_> {
    fn members(&mut self, target: &Target) -> Result<Vec<Member>, Failure> {
        let (mut series, mut event, mut names) = (None, None, None);
        match target {
            Target::All => {}
            Target::Series(ticker) => series = Some(ticker.as_str()),
            Target::Event(ticker) => event = Some(ticker.as_str()),
            Target::Market(ticker) => names = Some(std::slice::from_ref(ticker)),
        }
        let statement = statement!("exports", "load_members");
        let found = values![self.0.source(), series, event, names];
        let mut members = BTreeMap::new();
        for member in self.0.rows(statement, &found, member)? {
            members.insert(member.market.clone(), member);
        }
        if target.is_resolved() {
            // Markets that the passes found, and whose description names no series.
            for record in watches::load(self.0, &[target.name()])? {
                let of_entry =
                    values![self.0.source(), None::<&str>, None::<&str>, Some(&*record.members)];
                for mut member in self.0.rows(statement, &of_entry, member)? {
                    if member.series.is_none() {
                        member.series = series.map(Box::from);
                    }
                    members.insert(member.market.clone(), member);
                }
            }
        }
        Ok(members.into_values().collect())
    }

    fn entries(&mut self, names: &[String]) -> Result<Vec<WatchRecord>, Failure> {
        watches::load(self.0, names)
    }

    fn checkpoints(&mut self, scopes: &[Scope]) -> Result<Vec<Checkpoint>, Failure> {
        checkpoints::load(self.0, scopes)
    }

    fn slices(&mut self, scopes: &[Scope], span: Span) -> Result<Vec<Slice>, Failure> {
        let wanted = values![self.0.source(), scopes, span.from, span.until];
        self.0.rows(statement!("slices", "load_slices"), &wanted, slices::slice)
    }

    fn lowered(&mut self, scopes: &[Scope]) -> Result<Vec<Lowered>, Failure> {
        let wanted = values![self.0.source(), scopes];
        self.0.rows(statement!("exports", "load_lowered"), &wanted, |row| {
            let record = row.of("claim_corrections");
            Ok(Lowered {
                scope: record.scope("market_ticker")?,
                is_end: record.get::<Box<str>>("claim")?.as_ref() == "complete_until",
                claimed: record.get("claimed")?,
                proven: record.get("proven")?,
                corrected_at: record.get("corrected_at")?,
            })
        })
    }

    fn scores(&mut self, markets: &[Box<str>]) -> Result<Vec<Scored>, Failure> {
        let wanted = values![self.0.source(), markets];
        self.0.rows(statement!("exports", "load_window_scores"), &wanted, |row| {
            let record = row.of("completeness_scores");
            let (from, until) = (record.get("window_from")?, record.get("window_until")?);
            Ok(Scored {
                market: record.get("market_ticker")?,
                span: Option::zip(from, until).map(|(from, until)| Span { from, until }),
                stored_e2: record.get("stored_e2")?,
                exchange_e2: record.get("exchange_e2")?,
                score: record.get("score")?,
                scored_at: record.get("scored_at")?,
            })
        })
    }

    fn counts(
        &mut self,
        table: Table,
        markets: &[Box<str>],
        span: Span,
    ) -> Result<Vec<Count>, Failure> {
        let (count, _) = statements(table);
        let wanted = wanted(self.0.source(), table, markets, span);
        let mut found = Vec::new();
        self.0.stream(count, &wanted, &mut |row| {
            found.push(count_of(row, table)?);
            Ok(())
        })?;
        Ok(found)
    }

    fn rows(
        &mut self,
        table: Table,
        markets: &[Box<str>],
        span: Span,
        content: Content,
        each: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (_, read) = statements(table);
        let mut wanted = wanted(self.0.source(), table, markets, span);
        if table == Table::RawEvents {
            let (first, last) = content.numbers.unwrap_or((i64::MIN, i64::MAX));
            wanted.extend([first.into(), last.into()]);
        }
        let columns = table.columns();
        self.0.stream(read, &wanted, &mut |row| {
            let mut found = [Cell::Number(None); COLUMNS_MAX];
            each(cells(row, columns, &mut found).map_err(|column| damaged(row, table, column))?)
        })
    }

    fn check(&self) -> Result<(), Failure> {
        self.0.check()
    }
}

/// The statements that count and read the rows of a table.
fn statements(table: Table) -> (&'static Statement, &'static Statement) {
    match table {
        Table::Trades => {
            (statement!("exports", "count_trades"), statement!("exports", "read_trades"))
        }
        Table::Markets => {
            (statement!("exports", "count_markets"), statement!("exports", "read_markets"))
        }
        Table::Orderbooks => {
            (statement!("exports", "count_orderbooks"), statement!("exports", "read_orderbooks"))
        }
        Table::RawEvents => {
            (statement!("exports", "count_raw_events"), statement!("exports", "read_raw_events"))
        }
    }
}

/// The parameters of both. Raw events have no source: they have a table for each venue.
fn wanted<'v>(
    source: &'static str,
    table: Table,
    markets: &'v [Box<str>],
    span: Span,
) -> Vec<Value<'v>> {
    let mut wanted: Vec<Value<'v>> = values![markets, span.from, span.until].into();
    if table != Table::RawEvents {
        wanted.insert(0, source.into());
    }
    wanted
}

fn damaged(row: Row<'_>, table: Table, column: &str) -> Failure {
    row.of(name_of(table)).damaged(column)
}

/// The name of the table in the database.
fn name_of(table: Table) -> &'static str {
    match table {
        Table::Trades => "prediction_market_trades",
        Table::Markets => "prediction_markets",
        Table::Orderbooks => "orderbook_snapshots",
        Table::RawEvents => "raw_kalshi_trade_events",
    }
}

fn count_of(row: Row<'_>, table: Table) -> Result<Count, Failure> {
    let record = row.of(name_of(table));
    let numbers = Option::zip(record.get("first_number")?, record.get("last_number")?);
    Ok(Count {
        market: record.get("market_ticker")?,
        day: record.get("day")?,
        content: Content {
            rows: record.narrow("row_count")?,
            contracts_e2: record.get("contracts_e2")?,
            newest: record.get("newest")?,
            numbers,
        },
    })
}

fn member(row: Row<'_>) -> Result<Member, Failure> {
    let record = row.of("prediction_markets");
    Ok(Member {
        market: record.ticker("market_ticker")?,
        series: record.get("series_ticker")?,
        open_time: record.get("open_time")?,
        close_time: record.get("close_time")?,
    })
}
