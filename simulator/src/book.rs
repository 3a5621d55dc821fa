//! Order books: resting bids of both sides.

use crate::text::{array, contracts, dollars_e4};

/// The bids of a market. An offer to sell yes at a price is a bid for no at one dollar minus that price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Bids for yes: price in ten-thousandths of a dollar, count in hundredths of a contract.
    pub yes: Vec<(i64, u64)>,
    /// Bids for no, in the same units.
    pub no: Vec<(i64, u64)>,
}

impl Book {
    /// Sorts both sides by price, as they are served.
    pub(crate) fn sort(&mut self) {
        self.yes.sort_unstable();
        self.no.sort_unstable();
    }

    /// The best bid for yes, of a sorted book.
    pub(crate) fn best_yes(&self) -> Option<(i64, u64)> {
        self.yes.last().copied()
    }

    /// The best bid for no, of a sorted book.
    pub(crate) fn best_no(&self) -> Option<(i64, u64)> {
        self.no.last().copied()
    }

    /// `{"no_dollars":…,"yes_dollars":…}` with the `depth` best levels, the best last.
    pub(crate) fn json(&self, depth: Option<usize>) -> String {
        let side = |levels: &[(i64, u64)]| {
            let skipped = depth.map_or(0, |depth| levels.len().saturating_sub(depth));
            let rows: Vec<String> = levels[skipped..].iter().map(level).collect();
            array(rows.iter().map(String::as_str))
        };
        format!("{{\"no_dollars\":{},\"yes_dollars\":{}}}", side(&self.no), side(&self.yes))
    }
}

fn level((price_e4, count_e2): &(i64, u64)) -> String {
    format!("[\"{}\",\"{}\"]", dollars_e4(*price_e4), contracts(*count_e2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_ascend_and_the_best_are_kept() {
        let mut book = Book { yes: vec![(6_100, 7_900), (1, 4)], no: vec![(100, 660_000)] };
        book.sort();
        assert_eq!(
            book.json(None),
            r#"{"no_dollars":[["0.0100","6600.00"]],"yes_dollars":[["0.0001","0.04"],["0.6100","79.00"]]}"#
        );
        assert_eq!(
            book.json(Some(1)),
            r#"{"no_dollars":[["0.0100","6600.00"]],"yes_dollars":[["0.6100","79.00"]]}"#
        );
        assert_eq!(book.best_yes(), Some((6_100, 7_900)));
        assert_eq!(Book::default().json(None), r#"{"no_dollars":[],"yes_dollars":[]}"#);
    }
}
