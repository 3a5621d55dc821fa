//! The completeness of a market, measured by the figures of the exchange. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ticker::Ticker;
use super::time::Timestamp;

/// The seconds of an hour, the period of a candle.
pub const HOUR_SECONDS: i64 = 3_600;

/// The kind of figure of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The lifetime volume of a finalized market.
    Lifetime,
    /// The volumes of hourly candles.
    Candles,
}

impl Basis {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Lifetime => "lifetime",
            Basis::Candles => "candles",
        }
    }
}

/// One row of `completeness_scores`. Quantities are in 0.01 contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// The ticker of the market.
    pub market: Ticker,
    /// The start of the period; `None` for the whole life.
    pub from: Option<Timestamp>,
    /// The end of the period; `None` for the whole life.
    pub until: Option<Timestamp>,
    /// The stored quantity.
    pub stored_e2: i64,
    /// The quantity by the figures of the exchange.
    pub exchange_e2: i64,
    /// The quantity that the exchange has and the database has not. A surplus elsewhere does not reduce it.
    pub missing_e2: i64,
    /// The kind of figure that was compared.
    pub basis: Basis,
}

/// The quantity traded in one hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourVolume {
    /// The ticker of the market.
    pub market: Ticker,
    /// The end of the hour. It belongs to the hour and the start does not, as in the candles of the exchange.
    pub ends_at: Timestamp,
    /// The quantity in 0.01 contract.
    pub quantity_e2: i64,
}

impl Score {
    /// A score of two sums alone. It cannot show whether a surplus hides a shortage.
    pub fn of_sums(market: Ticker, stored_e2: i64, exchange_e2: i64, basis: Basis) -> Score {
        let missing_e2 = exchange_e2.saturating_sub(stored_e2).max(0);
        Score { market, from: None, until: None, stored_e2, exchange_e2, missing_e2, basis }
    }

    /// The quantity that both sides have, divided by the quantity that either side has. It is 1 only if neither side
    /// lacks anything, and also if neither has anything. A stored quantity above the figure of the exchange is a
    /// contradiction, not a surplus.
    pub fn value(&self) -> f64 {
        // The score is for people, so a float is enough; money is compared as integers.
        ratio(self.matched_e2(), self.stored_e2.saturating_add(self.missing_e2))
    }

    /// The quantity that both sides have, in 0.01 contract.
    pub fn matched_e2(&self) -> i64 {
        self.exchange_e2.saturating_sub(self.missing_e2)
    }

    /// The quantity that the database has and the exchange has not, in 0.01 contract.
    pub fn excess_e2(&self) -> i64 {
        self.stored_e2.saturating_sub(self.matched_e2()).max(0)
    }
}

/// The ratio of two counts, for people.
pub fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 {
        return 1.0;
    }
    // Counts in millionths, so that nothing has to be cast.
    let millionths = i128::from(part) * 1_000_000 / i128::from(whole);
    f64::from(i32::try_from(millionths).unwrap_or(i32::MAX)) / 1_000_000.0
}

/// The comparison of the hours of a market.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The stored quantity of all hours, in 0.01 contract.
    pub stored_e2: i64,
    /// The quantity of all hours by the exchange.
    pub exchange_e2: i64,
    /// The quantity of all hours that the exchange has and the database has not.
    pub missing_e2: i64,
    /// The hours in which less is stored than the exchange says, with the missing quantity; in order.
    pub short: Vec<(Timestamp, i64)>,
}

/// Compares hour by hour, so that a surplus in one hour does not hide a shortage in another.
pub fn compare<'a>(
    stored: impl IntoIterator<Item = &'a HourVolume>,
    exchange: impl IntoIterator<Item = &'a HourVolume>,
) -> Compared {
    let mut hours: BTreeMap<Timestamp, (i64, i64)> = BTreeMap::new();
    for hour in stored {
        hours.entry(hour.ends_at).or_default().0 += hour.quantity_e2;
    }
    for hour in exchange {
        hours.entry(hour.ends_at).or_default().1 += hour.quantity_e2;
    }
    let mut compared = Compared::default();
    for (ends_at, (stored, exchange)) in hours {
        compared.stored_e2 += stored;
        compared.exchange_e2 += exchange;
        if stored < exchange {
            compared.missing_e2 += exchange - stored;
            compared.short.push((ends_at, exchange - stored));
        }
    }
    compared
}

/// The missing part of a lifetime volume, by the sum of all stored trades and the comparison by the hour. If more is
/// stored in an hour than its candle says, the rest can only be the part of the volume that the candles lack (an hour
/// without a candle, or a candle that is not closed). Beyond that part it does not reduce the missing quantity.
pub fn missing_of_lifetime(stored_e2: i64, volume_e2: i64, compared: &Compared) -> i64 {
    let exchange_e2 = volume_e2.max(compared.exchange_e2);
    let matched_e2 = compared.exchange_e2.saturating_sub(compared.missing_e2);
    let not_in_candles = exchange_e2.saturating_sub(compared.exchange_e2);
    let elsewhere = stored_e2.saturating_sub(matched_e2).clamp(0, not_in_candles);
    exchange_e2.saturating_sub(matched_e2).saturating_sub(elsewhere)
}

/// The spans to read again for hours with a shortage. Neighbouring hours make one span. An hour begins just after the
/// end of the hour before it, and its own end belongs to it.
pub fn spans(short: &[(Timestamp, i64)]) -> Vec<(Timestamp, Timestamp)> {
    let hour = Duration::from_secs(HOUR_SECONDS.unsigned_abs());
    let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (ends_at, _) in short {
        let (from, until) = (ends_at.before(hour), ends_at.after(Duration::from_secs(1)));
        match spans.last_mut() {
            Some((_, end)) if *end >= from => *end = until,
            _ => spans.push((from, until)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(number: i64, quantity_e2: i64) -> HourVolume {
        let market = Ticker::new("KX").unwrap();
        HourVolume { market, ends_at: Timestamp::from_seconds(number * HOUR_SECONDS), quantity_e2 }
    }

    #[test]
    fn a_score_is_what_both_have_of_what_either_has() {
        let score = |stored, exchange| {
            Score::of_sums(Ticker::new("KX").unwrap(), stored, exchange, Basis::Lifetime)
        };
        for (stored, exchange, value, missing, excess) in [
            (0, 0, 1.0, 0, 0),
            (50, 100, 0.5, 50, 0),
            (100, 100, 1.0, 0, 0),
            (125, 100, 0.8, 0, 25),
            (0, 7, 0.0, 7, 0),
            (7, 0, 0.0, 0, 7),
        ] {
            let score = score(stored, exchange);
            assert!((score.value() - value).abs() < 1e-9, "{stored} of {exchange}");
            assert_eq!(
                (score.missing_e2, score.excess_e2()),
                (missing, excess),
                "{stored} of {exchange}"
            );
        }
        assert!(score(999_999_999, 1_000_000_000).value() < 1.0, "almost all is not all");
        assert!(score(1_000_000_001, 1_000_000_000).value() < 1.0, "nor is a little too much");
        let compensated = Score { missing_e2: 30, ..score(100, 100) };
        assert_eq!(compensated.excess_e2(), 30);
        assert!(compensated.value() < 1.0, "too much in one place hides too little in another");
    }

    #[test]
    fn too_much_in_one_hour_does_not_hide_too_little_in_another() {
        let stored = [hour(1, 100), hour(2, 300)];
        let exchange = [hour(1, 200), hour(2, 200), hour(3, 50)];
        let compared = compare(&stored, &exchange);
        assert_eq!(
            (compared.stored_e2, compared.exchange_e2, compared.missing_e2),
            (400, 450, 150)
        );
        let at = |number| Timestamp::from_seconds(number * HOUR_SECONDS);
        assert_eq!(compared.short, [(at(1), 100), (at(3), 50)]);
    }

    #[test]
    fn a_lifetime_is_missed_where_the_hours_are_short() {
        // (stored in all, volume, the stored quantities by the hour, the candles of these hours, missing)
        for (stored, volume, ours, theirs, missing, why) in [
            (300, 300, [100, 200], [100, 200], 0, "all of it"),
            (300, 300, [50, 250], [100, 200], 50, "one hour makes up for another"),
            (400, 300, [50, 350], [100, 200], 50, "by far"),
            (300, 300, [0, 0], [0, 0], 0, "no candles: the sum is all there is"),
            (400, 400, [100, 200], [100, 200], 0, "the last hour is not closed"),
            (350, 400, [100, 200], [100, 200], 50, "the last hour falls short"),
            (400, 400, [50, 250], [100, 200], 50, "the open hour's share is not spent twice"),
            (300, 200, [100, 200], [100, 200], 0, "the volume lags behind the candles"),
            (250, 200, [50, 200], [100, 200], 50, "and something is missing"),
        ] {
            let hours = |figures: [i64; 2]| [hour(1, figures[0]), hour(2, figures[1])];
            let compared = compare(&hours(ours), &hours(theirs));
            assert_eq!(missing_of_lifetime(stored, volume, &compared), missing, "{why}");
        }
    }

    #[test]
    fn neighbouring_hours_are_read_together_with_their_ends() {
        let at = Timestamp::from_seconds;
        let short: Vec<_> = [1, 2, 5].map(|n| (at(n * HOUR_SECONDS), 1)).into();
        let (first, second) = ((at(0), at(7_201)), (at(14_400), at(18_001)));
        assert_eq!(spans(&short), [first, second]);
    }

    #[test]
    fn a_basis_has_a_word() {
        assert_eq!([Basis::Lifetime, Basis::Candles].map(Basis::as_str), ["lifetime", "candles"]);
    }
}
