//! Candles: the trading of a market, period by period.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::market::Market;
use crate::period::Period;
use crate::timestamp::SECOND_US;
use crate::world::World;

/// One period of a market.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Candle {
    pub(crate) end_s: i64,
    /// The volume in hundredths of a contract.
    pub(crate) volume_e2: u64,
    /// The volume up to the end of the period, in hundredths of a contract.
    pub(crate) open_interest_e2: u64,
    /// The prices; `None` without a trade of a known price.
    pub(crate) prices: Option<Prices>,
    /// The last price before the period.
    pub(crate) previous_e6: Option<u32>,
}

/// Prices of yes, in millionths of a dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prices {
    pub(crate) open_e6: u32,
    pub(crate) low_e6: u32,
    pub(crate) high_e6: u32,
    pub(crate) close_e6: u32,
    /// The mean weighted by volume, in ten-thousandths of a dollar.
    pub(crate) mean_e4: i64,
}

/// The sums of which a candle is made.
#[derive(Default)]
struct Sum {
    volume_e2: u64,
    prices: Option<Prices>,
    /// The volume of the trades with a price.
    priced_e2: u128,
    value: u128,
}

impl Sum {
    fn add(&mut self, count_e2: u64, price_e6: Option<u32>) {
        self.volume_e2 += count_e2;
        let Some(price_e6) = price_e6 else { return };
        self.priced_e2 += u128::from(count_e2);
        self.value += u128::from(count_e2) * u128::from(price_e6);
        let so_far = self.prices.unwrap_or(Prices {
            open_e6: price_e6,
            low_e6: price_e6,
            high_e6: price_e6,
            close_e6: price_e6,
            mean_e4: i64::from(price_e6 / 100),
        });
        let mean_e6 = self.value.checked_div(self.priced_e2);
        let mean_e4 = mean_e6.and_then(|mean_e6| i64::try_from(mean_e6 / 100).ok());
        self.prices = Some(Prices {
            low_e6: so_far.low_e6.min(price_e6),
            high_e6: so_far.high_e6.max(price_e6),
            close_e6: price_e6,
            mean_e4: mean_e4.unwrap_or(so_far.mean_e4),
            ..so_far
        });
    }
}

/// The candles of a market among these periods, oldest first: the periods from its opening until its close or until
/// now, and all others with a trade. All trades count, in whichever tier they are, and so does volume that is on no
/// tape.
pub(crate) fn candles(
    world: &World,
    market: &Market,
    period: Period,
    numbers: Range<i64>,
) -> Vec<Candle> {
    if numbers.is_empty() {
        return Vec::new();
    }
    let last_us = market.close_us.min(world.now_us());
    let open = period.holding(market.open_us.saturating_add(1))..period.holding(last_us) + 1;
    let open = open.start.max(numbers.start)..open.end.min(numbers.end);
    let mut sums: BTreeMap<i64, Sum> = open.map(|number| (number, Sum::default())).collect();

    // The first microsecond after the last period.
    let until_us = period.end_s(numbers.end - 1) * SECOND_US + 1;
    let traded = world.tape.before(&market.ticker, until_us).map(|event| {
        let price_e6 = event.trade.as_ref().map(|trade| trade.yes_price_e6);
        (event.key.created_us, event.count_e2, price_e6)
    });
    let phantom = world.phantoms.before(&market.ticker, until_us);
    let mut earlier = Sum::default();
    for (us, count_e2, price_e6) in traded.chain(phantom.map(|(us, count)| (us, count, None))) {
        let number = period.holding(us);
        let sum =
            if number < numbers.start { &mut earlier } else { sums.entry(number).or_default() };
        sum.add(count_e2, price_e6);
    }
    in_order(period, &earlier, sums)
}

fn in_order(period: Period, earlier: &Sum, sums: BTreeMap<i64, Sum>) -> Vec<Candle> {
    let mut open_interest_e2 = earlier.volume_e2;
    let mut previous_e6 = earlier.prices.map(|prices| prices.close_e6);
    let candles = sums.into_iter().map(|(number, sum)| {
        open_interest_e2 += sum.volume_e2;
        let candle = Candle {
            end_s: period.end_s(number),
            volume_e2: sum.volume_e2,
            open_interest_e2,
            prices: sum.prices,
            previous_e6,
        };
        previous_e6 = sum.prices.map(|prices| prices.close_e6).or(previous_e6);
        candle
    });
    candles.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_add_up_in_order() {
        let mut sum = Sum::default();
        for (count_e2, price_e6) in
            [(100, Some(250_000)), (5, None), (300, Some(310_000)), (0, Some(90_000))]
        {
            sum.add(count_e2, price_e6);
        }
        assert_eq!(sum.volume_e2, 405);
        let expected = Prices {
            open_e6: 250_000,
            low_e6: 90_000,
            high_e6: 310_000,
            close_e6: 90_000,
            mean_e4: 2_950,
        };
        assert_eq!(sum.prices, Some(expected));
    }

    #[test]
    fn nothing_but_nothing_has_a_price_of_its_own() {
        let mut sum = Sum::default();
        sum.add(0, Some(500_000));
        assert_eq!(sum.prices.map(|prices| prices.mean_e4), Some(5_000));
    }
}
