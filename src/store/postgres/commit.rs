//! Stores the trades and the events of a commit in PostgreSQL.

use chrono::{DateTime, Utc};
use postgres::types::Type;
use postgres::{Error, Row};

use super::copy;
use super::halves::{Kept, in_two};
use super::layout::Layout;
use super::second::SecondConnection;
use super::trades::{Expected, Table, Written};
use super::transaction::Transaction;
use crate::domain::batch::Commit;
use crate::domain::page;
use crate::domain::time::Timestamp;
use crate::domain::trade::{RawEvent, Rejected, Trade};
use crate::store::counts::Figures;
use crate::store::engine::{Stored, TradeRow, sql};
use crate::store::handles::RunId;
use crate::store::replay::TRADES_TABLE;
use crate::store::value::integer;

/// The origin of the rows of a commit.
#[derive(Clone, Copy)]
pub(super) struct Origin<'l> {
    pub(super) source: &'static str,
    pub(super) layout: &'l Layout,
    pub(super) run: RunId,
    pub(super) now: Timestamp,
    pub(super) expected: Expected,
}

/// Stores the trades and the events of a commit, inside the caller's transaction, but for those that the second
/// connection stores ahead of it.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    second: &mut SecondConnection,
    origin: Origin<'_>,
    commit: &Commit,
) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    if !commit.rows().is_empty() {
        let write = |transaction: &mut Transaction<'_>, rows: &[page::Row]| {
            write(transaction, origin, rows)
        };
        let count = |transaction: &mut Transaction<'_>, rows: &[page::Row], kept: &Kept| {
            let new = kept.new.iter().map(|at| &rows[*at].event.trade);
            add_counts(transaction, origin.source, new)?;
            tally(transaction, origin.run, kept.new.len())
        };
        let (Kept { new, mut conflicting }, ahead) =
            in_two(transaction, second, commit.rows(), write, count)?;
        conflicting.extend(compare_variants(transaction, origin, commit)?);
        conflicting.sort_by(|a, b| (&a.scope, &a.payload).cmp(&(&b.scope, &b.payload)));
        (stored.inserted, stored.ahead) = (new, ahead);
        let kept = insert_rejected(transaction, origin, &conflicting)?;
        stored.conflicting = kept.into_iter().map(|at| conflicting[at].clone()).collect();
    }
    stored.rejected = insert_rejected(transaction, origin, commit.rejected())?;
    Ok(stored)
}

/// Stores the trades that are not stored, with their events. Returns their positions, and the events that contradict
/// stored trades.
fn write(
    transaction: &mut Transaction<'_>,
    origin: Origin<'_>,
    rows: &[page::Row],
) -> Result<Kept, Error> {
    let offered = origin.offer(rows.iter().map(|row| &row.event));
    let table = origin.table();
    let Written { inserted, otherwise } = table.store(transaction, &offered, origin.expected)?;
    let new: Vec<&RawEvent> = inserted.iter().map(|at| &rows[*at].event).collect();
    store_events(transaction, origin, &new)?;
    let conflict = |(at, stored): &(usize, _)| rows[*at].event.conflict_with(stored);
    let conflicting = otherwise.iter().filter_map(conflict).collect();
    Ok(Kept { new: inserted, conflicting })
}

/// The events with other values for a trade of the same commit that contradict the stored one.
fn compare_variants(
    transaction: &mut Transaction<'_>,
    origin: Origin<'_>,
    commit: &Commit,
) -> Result<Vec<Rejected>, Error> {
    let (rows, variants) = (commit.rows(), commit.variants());
    let offered = origin.offer(variants.iter());
    let all: Vec<usize> = (0..variants.len()).collect();
    let (absent, otherwise) = origin.table().compare(transaction, &offered, &all)?;
    let conflict = |(at, stored): &(usize, _)| variants[*at].conflict_with(stored);
    // In a layout with a longer key, another time or market is another trade, which is not stored. Then the first
    // version in the commit is the one that the event contradicts.
    let first = |at: &usize| {
        let event = &variants[*at];
        let key = |row: &page::Row| row.event.trade.trade_id.cmp(&event.trade.trade_id);
        let place = rows.binary_search_by(key).ok()?;
        event.conflict_with(&rows[place].event.trade)
    };
    Ok(otherwise.iter().filter_map(conflict).chain(absent.iter().filter_map(first)).collect())
}

/// Notes the hours of new trades and adds them to the counts of their markets, in a transaction ahead of the one that
/// counts the rest. The rows of the counts come last in it, because other transactions want them as well.
pub(super) fn add_counts<'t>(
    transaction: &mut Transaction<'_>,
    source: &'static str,
    new: impl IntoIterator<Item = &'t Trade>,
) -> Result<(), Error> {
    let Figures { hours, counts } = Figures::of(new);
    let markets: Vec<&str> = hours.iter().map(|(market, _)| market.as_str()).collect();
    let begins: Vec<DateTime<Utc>> = hours.iter().map(|(_, begin)| begin.to_chrono()).collect();
    transaction.execute_typed(
        sql!("postgres", "counts", "add_hours"),
        &[(&source, Type::TEXT), (&markets, Type::TEXT_ARRAY), (&begins, Type::TIMESTAMPTZ_ARRAY)],
    )?;
    let markets: Vec<&str> = counts.iter().map(|(market, ..)| market.as_str()).collect();
    let numbers: Vec<i64> = counts.iter().map(|(_, number, _)| integer(*number)).collect();
    let last: Vec<DateTime<Utc>> = counts.iter().map(|(.., last)| last.to_chrono()).collect();
    transaction.execute_typed(
        sql!("postgres", "counts", "add_counts"),
        &[
            (&source, Type::TEXT),
            (&markets, Type::TEXT_ARRAY),
            (&numbers, Type::INT8_ARRAY),
            (&last, Type::TIMESTAMPTZ_ARRAY),
        ],
    )?;
    Ok(())
}

/// Counts new trades in the row of the run.
fn tally(transaction: &mut Transaction<'_>, run: RunId, new: usize) -> Result<(), Error> {
    let (ingested, none) = (integer(new), 0_i64);
    transaction.execute_typed(
        sql!("postgres", "trades", "tally_run"),
        &[
            (&run, Type::INT8),
            (&ingested, Type::INT8),
            (&none, Type::INT8),
            (&none, Type::INT8),
            (&none, Type::INT8),
        ],
    )?;
    Ok(())
}

impl<'l> Origin<'l> {
    fn table(self) -> Table<'l> {
        Table { name: TRADES_TABLE, source: self.source, layout: self.layout }
    }

    fn offer<'e>(self, events: impl Iterator<Item = &'e RawEvent>) -> Vec<TradeRow<'e>> {
        let row = |event: &'e RawEvent| TradeRow {
            trade: &event.trade,
            run: self.run,
            ingested_at: self.now,
        };
        events.map(row).collect()
    }

    fn time(self) -> DateTime<Utc> {
        self.now.to_chrono()
    }
}

/// Stores the raw events of new trades.
fn store_events(
    transaction: &mut Transaction<'_>,
    origin: Origin<'_>,
    events: &[&RawEvent],
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    if origin.layout.copies(events.len())
        && copy::events(transaction, origin.run, origin.now, events)?
    {
        return Ok(());
    }
    let column = |value: fn(&RawEvent) -> &str| -> Vec<&str> {
        events.iter().map(|event| value(event)).collect()
    };
    let markets = column(|event| event.trade.market.as_str());
    let ids = column(|event| &event.trade.trade_id);
    let payloads = column(|event| &event.payload);
    transaction.execute_typed(
        sql!("postgres", "trades", "insert_events"),
        &[
            (&origin.run, Type::INT8),
            (&origin.time(), Type::TIMESTAMPTZ),
            (&markets, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
        ],
    )?;
    Ok(())
}

/// Returns the positions of the events that were not stored before, by market and payload.
fn insert_rejected(
    transaction: &mut Transaction<'_>,
    origin: Origin<'_>,
    rejected: &[Rejected],
) -> Result<Vec<usize>, Error> {
    if rejected.is_empty() {
        return Ok(Vec::new());
    }
    let events = || rejected.iter();
    let markets: Vec<&str> = events().map(|event| event.scope.as_str()).collect();
    let ids: Vec<Option<&str>> = events().map(|event| event.trade_id.as_deref()).collect();
    let payloads: Vec<&str> = events().map(|event| &*event.payload).collect();
    let reasons: Vec<&str> = events().map(|event| event.reason.as_str()).collect();
    let kept = transaction.query_typed(
        sql!("postgres", "trades", "insert_rejected"),
        &[
            (&origin.run, Type::INT8),
            (&origin.time(), Type::TIMESTAMPTZ),
            (&markets, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
            (&reasons, Type::TEXT_ARRAY),
        ],
    )?;
    let position = |row: &Row| {
        let (market, payload): (&str, &str) = (row.get(0), row.get(1));
        let key =
            |event: &Rejected| (event.scope.as_str(), &*event.payload).cmp(&(market, payload));
        rejected.binary_search_by(key).ok()
    };
    Ok(kept.iter().filter_map(position).collect())
}
