//! Stores trades in a table: many new ones by COPY, and all others by one statement with an array for each column.
//!
//! COPY knows no `on conflict`. So the code asks first which trades are stored, and copies the others. If another
//! process stores one of them at the same moment, the copy is taken back and the statement stores the rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use postgres::types::Type;
use postgres::{Error, Row};

use super::copy;
use super::layout::{COPY_ROWS_MIN, Layout};
use super::transaction::Transaction;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, Quantity, Side, Trade};
use crate::store::engine::{TradeRow, sql};

/// Those of these ids that are stored, for the default layout alone: without the time or the market, another key finds
/// no row. SQLite has no need to ask.
const LOAD_KNOWN: &str = "with offered as materialized (
        select $1::text as source, trade_id from unnest($2::text[]) as t (trade_id)
    )
    select s.trade_id
    from offered o
    join \"{target}\" s on s.source = o.source and s.trade_id = o.trade_id";

/// A table of trades.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    pub(super) name: &'t str,
    pub(super) source: &'static str,
    pub(super) layout: &'t Layout,
}

/// The share of the next rows that is likely to be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// All are, as in the commit before. They are copied without a question. A copy that meets a stored trade is
    /// wasted work, so this is expected no more once it was wrong.
    AllNew,
    /// Most are.
    New,
    /// Most are stored.
    Known,
}

/// The expectations of a store, learnt from its commits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    next: Expected,
    was_wrong: bool,
}

impl Expectation {
    /// The expectation before the first commit.
    pub(super) const FIRST: Expectation = Expectation { next: Expected::New, was_wrong: false };

    pub(super) fn next(self) -> Expected {
        self.next
    }

    /// Learns from a commit: how many of so many trades were new.
    pub(super) fn learn(&mut self, new: usize, of: usize) {
        self.was_wrong |= self.next == Expected::AllNew && new < of;
        self.next = if new == of && of >= COPY_ROWS_MIN && !self.was_wrong {
            Expected::AllNew
        } else if new * 2 > of {
            Expected::New
        } else {
            Expected::Known
        };
    }
}

/// The result of storing rows.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The positions of the rows whose trade was new, sorted.
    pub(super) inserted: Vec<usize>,
    /// The positions of the rows that differ from the stored trade, with that trade.
    pub(super) otherwise: Vec<(usize, Trade)>,
}

/// The positions of rows whose trade is not stored, and of those that differ from the stored trade, with that trade.
pub(super) type Compared = (Vec<usize>, Vec<(usize, Trade)>);

impl Table<'_> {
    /// Stores the trades that the table does not have. The rows come sorted by id, each id once.
    pub(super) fn store(
        self,
        transaction: &mut Transaction<'_>,
        rows: &[TradeRow<'_>],
        expected: Expected,
    ) -> Result<Written, Error> {
        let all: Vec<usize> = (0..rows.len()).collect();
        let is_big = self.layout.copies(rows.len());
        if is_big && expected == Expected::AllNew && self.copy(transaction, rows, &all)? {
            return Ok(Written { inserted: all, otherwise: Vec::new() });
        }
        let (candidates, mut otherwise) = match expected {
            Expected::Known => self.compare(transaction, rows, &all)?,
            // Ids alone are not enough for another key.
            Expected::New | Expected::AllNew if is_big && self.layout.other_key().is_some() => {
                self.compare(transaction, rows, &all)?
            }
            Expected::New | Expected::AllNew if is_big => {
                let known = self.known(transaction, rows)?;
                // Where the time is a part of the key, the same id at another time is another trade.
                let (absent, otherwise) = self.compare(transaction, rows, &known)?;
                let stored = without(known, &absent);
                (without(all, &stored), otherwise)
            }
            Expected::New | Expected::AllNew => (all, Vec::new()),
        };
        if self.layout.copies(candidates.len()) && self.copy(transaction, rows, &candidates)? {
            return Ok(Written { inserted: candidates, otherwise });
        }
        let inserted = self.insert(transaction, rows, &candidates)?;
        // These trades were stored before, or by another process meanwhile.
        let again = without(candidates, &inserted);
        otherwise.extend(self.compare(transaction, rows, &again)?.1);
        Ok(Written { inserted, otherwise })
    }

    /// Copies these rows. Returns whether they are stored.
    fn copy(
        self,
        transaction: &mut Transaction<'_>,
        rows: &[TradeRow<'_>],
        at: &[usize],
    ) -> Result<bool, Error> {
        let rows: Vec<TradeRow<'_>> = at.iter().map(|at| rows[*at]).collect();
        copy::trades(transaction, self.name, self.source, &rows)
    }

    /// The positions of the rows whose trade is stored.
    fn known(
        self,
        transaction: &mut Transaction<'_>,
        rows: &[TradeRow<'_>],
    ) -> Result<Vec<usize>, Error> {
        let ids: Vec<&str> = rows.iter().map(|row| &*row.trade.trade_id).collect();
        let found = transaction.query_typed(
            &self.adapted(LOAD_KNOWN),
            &[(&self.source, Type::TEXT), (&ids, Type::TEXT_ARRAY)],
        )?;
        Ok(positions(&ids, found.iter().map(|row| row.get::<_, &str>(0))))
    }

    /// Of these rows, returns the positions of those whose trade is not stored, and those that differ from the stored
    /// trade.
    pub(super) fn compare(
        self,
        transaction: &mut Transaction<'_>,
        rows: &[TradeRow<'_>],
        at: &[usize],
    ) -> Result<Compared, Error> {
        if at.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let columns = Columns::of(rows, at);
        let found = transaction.query_typed(
            &self.adapted(sql!("postgres", "trades", "match_trades")),
            &[
                (&self.source, Type::TEXT),
                (&columns.ids, Type::TEXT_ARRAY),
                (&columns.markets, Type::TEXT_ARRAY),
                (&columns.is_yes, Type::BOOL_ARRAY),
                (&columns.prices, Type::INT4_ARRAY),
                (&columns.quantities, Type::INT8_ARRAY),
                (&columns.times, Type::TIMESTAMPTZ_ARRAY),
            ],
        )?;
        let (mut absent, mut stored) = (Vec::new(), HashMap::new());
        for row in &found {
            let id: &str = row.get("trade_id");
            if row.get::<_, Option<&str>>("market_ticker").is_none() {
                absent.extend(columns.ids.binary_search(&id).ok());
            } else if let Some(trade) = stored_trade(row) {
                stored.insert(id, trade);
            }
        }
        if self.layout.is_distributed() {
            // The answer has every trade that is stored.
            let places = 0..columns.ids.len();
            absent.extend(places.filter(|place| !stored.contains_key(columns.ids[*place])));
        }
        absent.sort_unstable();
        let absent = absent.into_iter().map(|place| at[place]).collect();
        let otherwise = at.iter().filter_map(|at| {
            // The same id can stand here in several versions.
            Some((*at, stored.get(&*rows[*at].trade.trade_id)?.clone()))
        });
        Ok((absent, otherwise.collect()))
    }

    /// Stores those of these rows whose trade is not stored, by one statement. Returns their positions.
    fn insert(
        self,
        transaction: &mut Transaction<'_>,
        rows: &[TradeRow<'_>],
        at: &[usize],
    ) -> Result<Vec<usize>, Error> {
        if at.is_empty() {
            return Ok(Vec::new());
        }
        let columns = Columns::of(rows, at);
        let chosen = || at.iter().map(|at| &rows[*at]);
        let blocks: Vec<Option<bool>> = chosen().map(|row| row.trade.is_block_trade).collect();
        let runs: Vec<i64> = chosen().map(|row| row.run).collect();
        let stored_at: Vec<DateTime<Utc>> =
            chosen().map(|row| row.ingested_at.to_chrono()).collect();
        let answer = transaction.query_typed_one(
            &self.adapted(sql!("postgres", "trades", "insert_trades")),
            &[
                (&self.source, Type::TEXT),
                (&columns.ids, Type::TEXT_ARRAY),
                (&columns.markets, Type::TEXT_ARRAY),
                (&columns.is_yes, Type::BOOL_ARRAY),
                (&columns.prices, Type::INT4_ARRAY),
                (&columns.quantities, Type::INT8_ARRAY),
                (&columns.times, Type::TIMESTAMPTZ_ARRAY),
                (&blocks, Type::BOOL_ARRAY),
                (&runs, Type::INT8_ARRAY),
                (&stored_at, Type::TIMESTAMPTZ_ARRAY),
            ],
        )?;
        let Some(inserted) = answer.get::<_, Option<Vec<&str>>>(0) else { return Ok(at.to_vec()) };
        let places = positions(&columns.ids, inserted.into_iter());
        Ok(places.into_iter().map(|place| at[place]).collect())
    }

    fn adapted(self, sql: &str) -> String {
        self.layout.adapt(sql).replace("{target}", self.name)
    }
}

/// The positions of these ids among the sorted ones, sorted.
fn positions<'i>(sorted: &[&str], ids: impl Iterator<Item = &'i str>) -> Vec<usize> {
    let mut places: Vec<usize> = ids.filter_map(|id| sorted.binary_search(&id).ok()).collect();
    places.sort_unstable();
    places
}

/// The sorted positions that are not among the others, which are sorted as well.
fn without(mut all: Vec<usize>, others: &[usize]) -> Vec<usize> {
    all.retain(|at| others.binary_search(at).is_err());
    all
}

/// A trade of `match_trades`; `None` if a stored value is not possible for a trade.
fn stored_trade(row: &Row) -> Option<Trade> {
    let text = |column: &str| row.get::<_, &str>(column);
    Some(Trade {
        trade_id: text("trade_id").into(),
        market: Ticker::new(text("market_ticker"))?,
        side: if text("side") == Side::Yes.as_str() { Side::Yes } else { Side::No },
        price: Price::from_e4_cents(row.get::<_, i32>("price_e4").into())?,
        quantity: Quantity::from_e2(row.get("quantity_e2"))?,
        traded_at: Timestamp::from_chrono(row.get("traded_at")),
        is_block_trade: None,
    })
}

/// The values by which trades are compared and stored, one array for each column.
struct Columns<'a> {
    ids: Vec<&'a str>,
    markets: Vec<&'a str>,
    is_yes: Vec<bool>,
    prices: Vec<i32>,
    quantities: Vec<i64>,
    times: Vec<DateTime<Utc>>,
}

impl<'a> Columns<'a> {
    fn of(rows: &[TradeRow<'a>], at: &[usize]) -> Columns<'a> {
        let trades = || at.iter().map(|at| rows[*at].trade);
        Columns {
            ids: trades().map(|trade| &*trade.trade_id).collect(),
            markets: trades().map(|trade| trade.market.as_str()).collect(),
            is_yes: trades().map(|trade| trade.side == Side::Yes).collect(),
            prices: trades().map(|trade| trade.price.e4_cents()).collect(),
            quantities: trades().map(|trade| trade.quantity.e2()).collect(),
            times: trades().map(|trade| trade.traded_at.to_chrono()).collect(),
        }
    }
}
