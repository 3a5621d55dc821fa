//! Made-up trades from a seed: the same arguments always give the same trades, on every machine.

use crate::book::Book;
use crate::random::SplitMix64;
use crate::timestamp::SECOND_US;
use crate::trade::{Shape, Trade};

/// The price grids of the exchange, as step and inclusive range of multiples, in 1e-6 dollars.
const GRIDS: [(u32, u32, u32); 8] = [
    (10_000, 10_000, 990_000),
    (10_000, 10_000, 990_000),
    (5_000, 5_000, 995_000),
    (2_000, 2_000, 998_000),
    (1_000, 1_000, 999_000),
    (100, 100, 9_900),
    (100, 990_100, 999_900),
    (100, 100, 999_900),
];

/// The upper ends of the quantity classes, in hundredths of a contract: most trades are small, a few are of a million
/// contracts.
const COUNT_CLASSES_E2: [u64; 6] = [100, 1_000, 10_000, 10_000, 1_000_000, 100_000_000];

/// `count` trades of one market with times in `from_us..until_us`, oldest first.
///
/// They have the properties of real ones: several in one microsecond, whole seconds, prices on every grid down to
/// 0.0001 dollar, quantities from 0.01 to a million contracts, block trades. Trade ids are UUID-shaped and differ
/// between markets and between seeds. The shape is [`Shape::Current`].
///
/// # Panics
///
/// If the span is empty and trades are asked for.
#[must_use]
pub fn seeded_trades(
    seed: u64,
    ticker: &str,
    count: usize,
    from_us: i64,
    until_us: i64,
) -> Vec<Trade> {
    let mut random = SplitMix64::named(seed, ticker);
    let mut times: Vec<i64> = Vec::with_capacity(count);
    for _ in 0..count {
        let previous = times.last().copied();
        times.push(created_us(&mut random, previous, from_us, until_us));
    }
    times.sort_unstable();
    times.into_iter().map(|created_us| trade(&mut random, ticker, created_us)).collect()
}

/// A small order book of whole cents: three to seven levels on each side that do not cross.
#[must_use]
pub fn seeded_book(seed: u64, ticker: &str) -> Book {
    let mut random = SplitMix64::named(seed, &format!("{ticker} book"));
    let yes_cents = 10 + small(&mut random, 80);
    let mut side = |best_cents: i64| {
        let level_count = 3 + small(&mut random, 5);
        let prices = (best_cents + 1 - level_count..=best_cents).filter(|cents| 0 < *cents);
        prices.map(|cents| (cents * 100, count_e2(&mut random))).collect()
    };
    Book { yes: side(yes_cents), no: side(99 - yes_cents) }
}

/// A number below a small bound.
fn small(random: &mut SplitMix64, bound: u64) -> i64 {
    i64::try_from(random.below(bound)).expect("a small number")
}

fn created_us(random: &mut SplitMix64, previous: Option<i64>, from_us: i64, until_us: i64) -> i64 {
    let span_us = u64::try_from(until_us.saturating_sub(from_us)).unwrap_or(0);
    assert!(0 < span_us, "no time between {from_us} and {until_us}");
    if let Some(previous) = previous.filter(|_| random.is_in_thousand(120)) {
        return previous; // One taker order that swept several makers.
    }
    let offset_us = i64::try_from(random.below(span_us)).expect("less than an i64 span");
    let any_us = from_us + offset_us;
    let whole_us = any_us - any_us.rem_euclid(SECOND_US);
    if random.is_in_thousand(40) && from_us <= whole_us {
        return whole_us;
    }
    if random.is_in_thousand(100) {
        return (any_us - any_us.rem_euclid(1_000)).max(from_us); // Zeros for trimming.
    }
    any_us
}

fn trade(random: &mut SplitMix64, ticker: &str, created_us: i64) -> Trade {
    Trade {
        trade_id: trade_id(random),
        ticker: ticker.to_owned(),
        created_us,
        yes_price_e6: yes_price_e6(random),
        count_e2: count_e2(random),
        taker_yes: random.below(2) == 0,
        is_block_trade: random.is_in_thousand(20),
        shape: Shape::Current,
    }
}

fn trade_id(random: &mut SplitMix64) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

fn yes_price_e6(random: &mut SplitMix64) -> u32 {
    let (step, first, last) = GRIDS[random.index(GRIDS.len())];
    let multiples = u64::from((last - first) / step) + 1;
    first + step * u32::try_from(random.below(multiples)).expect("a multiple below a million")
}

fn count_e2(random: &mut SplitMix64) -> u64 {
    let class = COUNT_CLASSES_E2[random.index(COUNT_CLASSES_E2.len())];
    let count_e2 = 1 + random.below(class);
    // Half of the trades have whole contracts, as on the exchange.
    if random.below(2) == 0 { count_e2.div_ceil(100) * 100 } else { count_e2 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const FROM_US: i64 = 1_790_000_000_250_000;
    const UNTIL_US: i64 = FROM_US + 3_600 * SECOND_US;

    #[test]
    fn the_same_seed_gives_the_same_trades() {
        let trades = seeded_trades(7, "A", 500, FROM_US, UNTIL_US);
        assert_eq!(trades, seeded_trades(7, "A", 500, FROM_US, UNTIL_US));
        assert_ne!(trades, seeded_trades(8, "A", 500, FROM_US, UNTIL_US));
    }

    #[test]
    fn ids_are_unique_across_markets_and_seeds() {
        let mut ids = HashSet::new();
        for seed in 0..10 {
            for ticker in ["A", "B", "KXLONGER-26NOV22"] {
                for trade in seeded_trades(seed, ticker, 200, FROM_US, UNTIL_US) {
                    assert_eq!(trade.trade_id.len(), 36);
                    assert!(ids.insert(trade.trade_id), "seed {seed}, {ticker}");
                }
            }
        }
    }

    #[test]
    fn they_hold_what_real_ones_hold() {
        let trades = seeded_trades(1, "A", 2_000, FROM_US, UNTIL_US);
        assert_eq!(trades.len(), 2_000);
        assert!(trades.iter().all(|trade| (FROM_US..UNTIL_US).contains(&trade.created_us)));
        assert!(trades.is_sorted_by_key(|trade| trade.created_us), "oldest first");
        let any = |what: &dyn Fn(&Trade) -> bool| trades.iter().any(what);
        assert!(any(&|trade| trade.created_us % SECOND_US == 0), "a whole second");
        assert!(any(&|trade| trade.yes_price_e6 <= 1_000), "a price at the 0.0001 edge");
        assert!(any(&|trade| trade.yes_price_e6 % 1_000 != 0), "the finest grid");
        assert!(any(&|trade| trade.count_e2 < 100), "less than a contract");
        assert!(any(&|trade| 50_000_000 < trade.count_e2), "half a million contracts");
        assert!(any(&|trade| trade.is_block_trade), "a block trade");
        assert!(trades.windows(2).any(|pair| pair[0].created_us == pair[1].created_us), "a tie");
    }

    #[test]
    fn books_do_not_cross() {
        for seed in 0..50 {
            let book = seeded_book(seed, "A");
            assert_eq!(book, seeded_book(seed, "A"));
            let (best_yes, best_no) = (book.yes.last().unwrap().0, book.no.last().unwrap().0);
            assert!(best_yes + best_no < 10_000, "seed {seed}");
            assert!(book.yes.iter().chain(&book.no).all(|level| 0 < level.0 && 0 < level.1));
            assert!(book.yes.is_sorted() && book.no.is_sorted());
        }
    }

    #[test]
    fn a_span_of_one_microsecond_is_enough() {
        let trades = seeded_trades(1, "A", 50, 5, 6);
        assert!(trades.iter().all(|trade| trade.created_us == 5));
        assert!(seeded_trades(1, "A", 0, 5, 5).is_empty());
    }
}
