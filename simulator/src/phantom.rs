//! Volume that the exchange counts and that is on no tape.

use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub(crate) struct Phantoms {
    by_ticker: HashMap<String, BTreeMap<i64, u64>>,
}

impl Phantoms {
    pub(crate) fn add(&mut self, ticker: &str, at_us: i64, count_e2: u64) {
        let counts = self.by_ticker.entry(ticker.to_owned()).or_default();
        *counts.entry(at_us).or_default() += count_e2;
    }

    /// The volume from this time on, in hundredths of a contract.
    pub(crate) fn since_e2(&self, ticker: &str, from_us: i64) -> u64 {
        self.by_ticker.get(ticker).map_or(0, |counts| counts.range(from_us..).map(|it| it.1).sum())
    }

    /// The times and counts of a market before a time, oldest first.
    pub(crate) fn before(&self, ticker: &str, until_us: i64) -> impl Iterator<Item = (i64, u64)> {
        let counts = self.by_ticker.get(ticker).into_iter();
        counts.flat_map(move |counts| counts.range(..until_us)).map(|(us, count)| (*us, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let mut phantoms = Phantoms::default();
        for (ticker, at_us, count_e2) in [("X", 5, 100), ("X", 5, 50), ("X", 3, 7), ("Y", 4, 1)] {
            phantoms.add(ticker, at_us, count_e2);
        }
        let since = |from_us| phantoms.since_e2("X", from_us);
        assert_eq!([since(i64::MIN), since(4), since(5), since(6)], [157, 150, 150, 0]);
        assert_eq!(phantoms.before("X", 5).collect::<Vec<_>>(), [(3, 7)]);
        assert_eq!(phantoms.before("Z", i64::MAX).count(), 0);
    }
}
