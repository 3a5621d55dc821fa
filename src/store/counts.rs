//! The counts of stored trades. The transaction that stores a trade counts it, so no question counts the table.

use std::collections::{BTreeMap, HashMap};

use super::engine::{Access, Engine, Work, only, statement};
use super::value::{Rows, values};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::Trade;
use crate::failure::Failure;

/// The part of a store that corrects the counts of trades after rows were deleted by hand or with a partition.
pub trait Counts {
    /// Every market with trades or with a count, by ticker. Reads the whole table of trades.
    fn counted_markets(&mut self) -> Result<Vec<Ticker>, Failure>;

    /// Counts the trades of these markets anew, in one transaction, and returns the number of markets whose count was
    /// wrong. Whoever stores trades of these markets waits meanwhile.
    fn recount(&mut self, markets: &[Ticker]) -> Result<usize, Failure>;
}

impl<E: Engine> Counts for E {
    fn counted_markets(&mut self) -> Result<Vec<Ticker>, Failure> {
        let (what, all) = ("loading the markets with trades", values![self.source()]);
        self.scan(what, statement!("counts", "load_counted"), &all, |row| {
            row.of("trade_counts").ticker("market_ticker")
        })
    }

    fn recount(&mut self, markets: &[Ticker]) -> Result<usize, Failure> {
        self.transact("counting trades anew", Access::WriteScan, |work| {
            let these = values![work.source(), markets];
            work.execute(statement!("counts", "hold_counts"), &these)?;
            let wrong = work.rows(statement!("counts", "recount"), &these, |_| Ok(()))?;
            Ok(wrong.len())
        })
    }
}

/// Adds new trades to the counts of their markets, in the transaction that stores them.
pub(super) fn add<'t>(
    work: &mut dyn Work,
    new: impl IntoIterator<Item = &'t Trade>,
) -> Result<(), Failure> {
    let counts = by_market(new).into_iter();
    let counts: Rows<'_> = counts.map(|(market, (n, last))| values![market, n, last]).collect();
    let source = values![work.source()];
    work.execute_each(statement!("counts", "add_counts"), &source, &counts, &[])?;
    Ok(())
}

/// The number of these trades of each market, and the newest of them.
pub(super) fn by_market<'t>(
    new: impl IntoIterator<Item = &'t Trade>,
) -> BTreeMap<&'t Ticker, (usize, Timestamp)> {
    let mut by_market: BTreeMap<&Ticker, (usize, Timestamp)> = BTreeMap::new();
    for trade in new {
        let (count, last) = by_market.entry(&trade.market).or_insert((0, trade.traded_at));
        *count += 1;
        *last = trade.traded_at.max(*last);
    }
    by_market
}

/// The count of a market.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// The number of its stored trades.
    pub(super) trades: i64,
    /// The newest of them.
    pub(super) last_at: Option<Timestamp>,
}

/// The counts of these markets. A market without a stored trade may be missing.
pub(super) fn of(
    work: &mut dyn Work,
    markets: &[Ticker],
) -> Result<HashMap<Ticker, Counted>, Failure> {
    let these = values![work.source(), markets];
    let found = work.rows(statement!("counts", "load_counts"), &these, |row| {
        let record = row.of("trade_counts");
        let (trades, last_at) = (record.get("trades")?, record.get("last_trade_at")?);
        Ok((record.ticker("market_ticker")?, Counted { trades, last_at }))
    })?;
    Ok(found.into_iter().collect())
}

/// The number of stored trades of all markets.
pub(super) fn of_all(work: &mut dyn Work) -> Result<i64, Failure> {
    let total = statement!("counts", "count_all");
    only(work.rows(total, &values![work.source()], |row| row.of("trade_counts").get("trades"))?)
}

/// The markets that have traded since this instant.
pub(super) fn busy(work: &mut dyn Work, since: Timestamp) -> Result<Vec<Ticker>, Failure> {
    let busy = statement!("counts", "load_busy");
    work.rows(busy, &values![work.source(), since], |row| {
        row.of("trade_counts").ticker("market_ticker")
    })
}

/// The number of trades of each of these markets since an instant; markets without such trades are missing.
pub(super) fn since(
    work: &mut dyn Work,
    since: Timestamp,
    markets: &[Ticker],
) -> Result<BTreeMap<Ticker, i64>, Failure> {
    let count = statement!("counts", "count_since");
    let found = work.rows(count, &values![work.source(), since, markets], |row| {
        let record = row.of("prediction_market_trades");
        Ok((record.ticker("market_ticker")?, record.get("trades")?))
    })?;
    Ok(found.into_iter().collect())
}
