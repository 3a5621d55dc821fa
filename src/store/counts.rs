//! The counts of stored trades, and the hours in which each market traded. The transaction that stores a trade counts
//! it and notes its hour, so no question counts the table.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

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
    /// wrong. Hours of their trades that are not noted are noted. Whoever stores trades of these markets waits
    /// meanwhile.
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
            // Hours before counts, as in every commit: two writers cannot wait for each other then. Whoever stores
            // trades meanwhile notes their hours itself.
            work.execute(statement!("counts", "recount_hours"), &these)?;
            work.execute(statement!("counts", "hold_counts"), &these)?;
            let wrong = work.rows(statement!("counts", "recount"), &these, |_| Ok(()))?;
            Ok(wrong.len())
        })
    }
}

/// Notes the hours of new trades and adds them to the counts of their markets, in the transaction that stores them.
pub(super) fn add<'t>(
    work: &mut dyn Work,
    new: impl IntoIterator<Item = &'t Trade>,
) -> Result<(), Failure> {
    let Figures { hours, counts } = Figures::of(new);
    let hours: Rows<'_> = hours.iter().map(|(market, begin)| values![*market, *begin]).collect();
    let counts: Rows<'_> =
        counts.iter().map(|(market, number, last)| values![*market, *number, *last]).collect();
    let source = values![work.source()];
    work.execute_each(statement!("counts", "add_hours"), &source, &hours, &[])?;
    work.execute_each(statement!("counts", "add_counts"), &source, &counts, &[])?;
    Ok(())
}

/// The figures of some trades, by market.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures<'t> {
    /// The beginnings of the hours with trades, each once, sorted.
    pub(super) hours: Vec<(&'t Ticker, Timestamp)>,
    /// The number of trades of each market, and the newest of them.
    pub(super) counts: Vec<(&'t Ticker, usize, Timestamp)>,
}

impl<'t> Figures<'t> {
    /// Counts these trades.
    pub(super) fn of(trades: impl IntoIterator<Item = &'t Trade>) -> Figures<'t> {
        const HOUR: Duration = Duration::from_secs(3_600);
        let mut by_hour: HashMap<(&Ticker, Timestamp), (usize, Timestamp)> = HashMap::new();
        for Trade { market, traded_at, .. } in trades {
            let begin = traded_at.floor_to(HOUR);
            let (count, last) = by_hour.entry((market, begin)).or_insert((0, *traded_at));
            *count += 1;
            *last = (*last).max(*traded_at);
        }
        let mut by_hour: Vec<_> = by_hour.into_iter().collect();
        by_hour.sort_unstable_by_key(|(hour, _)| *hour);
        let mut figures = Figures::default();
        for ((market, begin), (count, last)) in by_hour {
            figures.hours.push((market, begin));
            match figures.counts.last_mut() {
                Some((known, total, newest)) if *known == market => {
                    *total += count;
                    *newest = (*newest).max(last);
                }
                _ => figures.counts.push((market, count, last)),
            }
        }
        figures
    }
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

#[cfg(test)]
mod tests {
    use super::Figures;
    use crate::domain::ticker::Ticker;
    use crate::domain::time::Timestamp;
    use crate::domain::trade::{Price, Quantity, Side, Trade};

    fn trade(market: &str, micros: i64) -> Trade {
        Trade {
            trade_id: "t".into(),
            market: Ticker::new(market).unwrap(),
            side: Side::Yes,
            price: Price::from_e4_cents(1).unwrap(),
            quantity: Quantity::from_e2(1).unwrap(),
            traded_at: Timestamp::from_micros(micros),
            is_block_trade: None,
        }
    }

    #[test]
    fn each_hour_and_each_market_stands_once_in_order() {
        const HOUR: i64 = 3_600_000_000;
        let trades = [("B", 5), ("A", 2 * HOUR), ("B", 1), ("A", HOUR - 1), ("A", HOUR), ("A", 0)];
        let trades = trades.map(|(market, micros)| trade(market, micros));
        let (a, b) = (Ticker::new("A").unwrap(), Ticker::new("B").unwrap());
        let at = Timestamp::from_micros;
        let expected = Figures {
            hours: vec![(&a, at(0)), (&a, at(HOUR)), (&a, at(2 * HOUR)), (&b, at(0))],
            counts: vec![(&a, 4, at(2 * HOUR)), (&b, 2, at(5))],
        };
        assert_eq!(Figures::of(&trades), expected);
        assert_eq!(Figures::of([]), Figures::default());
    }
}
