//! The order book of one market: the available quantities and their prices. All figures are exact.
//!
//! The exchange shows bids only: an offer to sell YES at `p` is a bid for NO at a dollar less `p`.

use super::ticker::Ticker;
use super::time::Timestamp;
use super::trade::{Price, Quantity};

/// The bids at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The price of one contract for the bidder.
    pub price: Price,
    /// The number of contracts bid for.
    pub quantity: Quantity,
}

/// The bids of both sides, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    yes: Vec<Level>,
    no: Vec<Level>,
}

/// The numbers of contracts that the slippage figures are for, in the order of [`Figures::slippage_buy_e9`].
pub const SLIPPAGE_CONTRACTS: [i64; 2] = [100, 1_000];

/// The units of 0.01 contract in a contract.
const E2: i64 = 100;
/// The factor from 0.0001 cent to 0.000000001 cent.
const E4_TO_E9: i64 = 100_000;

/// The columns of a snapshot. Prices are in cents for one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The best bid for YES; None without a bid.
    pub best_yes_bid: Option<Price>,
    /// The best offer of YES: the price of one YES contract now.
    pub best_yes_ask: Option<Price>,
    /// The best bid for NO; None without a bid.
    pub best_no_bid: Option<Price>,
    /// The best offer of NO: the price of one NO contract now.
    pub best_no_ask: Option<Price>,
    /// Ask less bid, in 0.0001 cent. It is the same for both sides, and negative in a crossed book.
    pub spread_e4: Option<i32>,
    /// All bids for YES, in 0.01 contract.
    pub yes_depth_e2: i64,
    /// All bids for NO, in 0.01 contract.
    pub no_depth_e2: i64,
    /// The average price of a contract above the mid if this many YES contracts are bought at once, in 0.000000001
    /// cent, which is exact. `None` if the book does not hold enough contracts. The figure for selling NO is the
    /// same.
    pub slippage_buy_e9: [Option<i64>; 2],
    /// The average price of a contract below the mid if this many YES contracts are sold at once, in the same unit.
    pub slippage_sell_e9: [Option<i64>; 2],
}

/// The book of a market at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The ticker of the market.
    pub market: Ticker,
    /// Exchange time of the answer.
    pub captured_at: Timestamp,
    /// The figures of the book.
    pub figures: Figures,
    /// The exchange's own JSON of the levels, byte for byte.
    pub levels: Box<str>,
}

impl Figures {
    /// Whether there is no bid on either side.
    pub fn is_empty(&self) -> bool {
        self.best_yes_bid.is_none() && self.best_no_bid.is_none()
    }
}

impl Book {
    /// Takes the bids of both sides in any order.
    pub fn new(mut yes: Vec<Level>, mut no: Vec<Level>) -> Book {
        for side in [&mut yes, &mut no] {
            side.sort_by_key(|level| std::cmp::Reverse(level.price.e4_cents()));
        }
        Book { yes, no }
    }

    /// All figures, computed from the levels.
    pub fn figures(&self) -> Figures {
        let best = |side: &[Level]| side.first().map(|level| level.price);
        let (yes_bid, no_bid) = (best(&self.yes), best(&self.no));
        let (yes_ask, no_ask) = (no_bid.map(Price::opposite), yes_bid.map(Price::opposite));
        let both = yes_bid.zip(yes_ask).map(|(bid, ask)| (bid.e4_cents(), ask.e4_cents()));
        // Twice the mid, so that it stays an integer.
        let mid_twice = both.map(|(bid, ask)| i64::from(bid) + i64::from(ask));
        let bought = |contracts| {
            let dollar_less = |level: &Level| i64::from(level.price.opposite().e4_cents());
            Some(average_e9(&self.no, contracts, dollar_less)? - mid_twice? * (E4_TO_E9 / 2))
        };
        let sold = |contracts| {
            let bid = |level: &Level| i64::from(level.price.e4_cents());
            Some(mid_twice? * (E4_TO_E9 / 2) - average_e9(&self.yes, contracts, bid)?)
        };
        Figures {
            best_yes_bid: yes_bid,
            best_yes_ask: yes_ask,
            best_no_bid: no_bid,
            best_no_ask: no_ask,
            spread_e4: both.map(|(bid, ask)| ask - bid),
            yes_depth_e2: depth_e2(&self.yes),
            no_depth_e2: depth_e2(&self.no),
            slippage_buy_e9: SLIPPAGE_CONTRACTS.map(bought),
            slippage_sell_e9: SLIPPAGE_CONTRACTS.map(sold),
        }
    }
}

fn depth_e2(side: &[Level]) -> i64 {
    side.iter().fold(0_i64, |sum, level| sum.saturating_add(level.quantity.e2()))
}

/// The average price of that many contracts, filled level by level; `None` if the side has fewer contracts.
fn average_e9(side: &[Level], contracts: i64, price_e4: impl Fn(&Level) -> i64) -> Option<i64> {
    let wanted = contracts * E2;
    let mut left = wanted;
    let mut cost = 0;
    for level in side {
        let taken = level.quantity.e2().min(left);
        cost += price_e4(level) * taken;
        left -= taken;
        if left == 0 {
            // The division is exact: the factor of the finer unit is a multiple of both numbers of contracts.
            return Some(cost * E4_TO_E9 / wanted);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn level(price_e4: i64, quantity_e2: i64) -> Level {
        Level {
            price: Price::from_e4_cents(price_e4).unwrap(),
            quantity: Quantity::from_e2(quantity_e2).unwrap(),
        }
    }

    #[test]
    fn an_empty_book_is_an_empty_book() {
        let figures = Book::default().figures();
        assert_eq!(
            (figures.best_yes_bid, figures.best_yes_ask, figures.spread_e4),
            (None, None, None)
        );
        assert_eq!((figures.yes_depth_e2, figures.no_depth_e2), (0, 0));
        assert_eq!(figures.slippage_buy_e9, [None, None]);
    }

    #[test]
    fn one_side_has_no_mid_and_no_slippage() {
        let figures = Book::new(vec![level(400_000, 1_000_000)], Vec::new()).figures();
        assert_eq!(figures.best_yes_bid, Price::from_e4_cents(400_000));
        assert_eq!(figures.best_no_ask, Price::from_e4_cents(600_000));
        assert_eq!((figures.best_yes_ask, figures.spread_e4), (None, None));
        assert_eq!(figures.slippage_sell_e9, [None, None]);
    }

    #[test]
    fn slippage_is_counted_level_by_level_against_the_mid() {
        // Bids: 60 contracts at 40.00, 940 at 39.50. Asks: 100 at 41.00 (NO bid 59.00), then none.
        let yes = vec![level(395_000, 94_000), level(400_000, 6_000)];
        let figures = Book::new(yes, vec![level(590_000, 10_000)]).figures();
        assert_eq!(figures.spread_e4, Some(10_000), "one cent");
        // The mid is 40.50. Buying costs half a cent more, for the contracts that there are.
        assert_eq!(figures.slippage_buy_e9, [Some(500_000_000), None]);
        // Selling 100: 60 at 40.00 and 40 at 39.50 bring 39.80; 1,000 bring 39.53.
        assert_eq!(figures.slippage_sell_e9, [Some(700_000_000), Some(970_000_000)]);
        assert_eq!((figures.yes_depth_e2, figures.no_depth_e2), (100_000, 10_000));
    }

    proptest! {
        #[test]
        fn more_contracts_never_come_cheaper(
            yes in proptest::collection::vec((1_i64..500_000, 1_i64..200_000), 1..20),
            no in proptest::collection::vec((1_i64..500_000, 1_i64..200_000), 1..20),
        ) {
            let side = |levels: Vec<(i64, i64)>| levels.into_iter().map(|(p, q)| level(p, q)).collect();
            let figures = Book::new(side(yes), side(no)).figures();
            let half_spread = figures.spread_e4.map(|spread| i64::from(spread) * E4_TO_E9 / 2);
            for [few, many] in [figures.slippage_buy_e9, figures.slippage_sell_e9] {
                prop_assert!(few.is_none_or(|few| Some(few) >= half_spread));
                prop_assert!(many.is_none_or(|many| Some(many) >= few && few.is_some()));
            }
        }
    }
}
