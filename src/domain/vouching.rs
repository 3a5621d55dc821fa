//! What else the exchange says of a slice that shows nothing: its description of the market, and its candles. Pure.
//!
//! A list of trades that is empty says the same however often it is asked for. Figures that come from elsewhere
//! are another question.

use std::time::Duration;

use super::backfill::Life;
use super::completeness::{HOUR_SECONDS, HourVolume, compare};
use super::slice::{Slice, SliceKey, SliceStatus};
use super::time::Timestamp;

/// Trades so young may still be joined to a candle.
const CLOSED_AFTER: Duration = Duration::from_secs(60);

/// Whether nothing of a slice was shown so far.
pub fn is_blank(slice: &Slice) -> bool {
    slice.status == SliceStatus::Open && slice.cursor.is_none() && slice.low.is_none()
}

/// Whether the market did not trade within the slice, by its own times.
pub fn is_outside(life: &Life, key: &SliceKey) -> bool {
    life.open_time.is_some_and(|open| key.until() <= open)
        || life.close_time.is_some_and(|close| close < key.from())
}

/// Whether a market never traded by the end of the slice, as its description says; `stored_e2` is stored of it. It
/// says so of markets that have traded now and then, so the candles have to agree.
pub fn is_untraded(life: &Life, key: &SliceKey, stored_e2: i64) -> bool {
    stored_e2 == 0 && life.volume_e2 == Some(0) && is_described(life, key)
}

/// Whether all that was traded by the end of the slice is stored: then nothing of it is missing.
pub fn is_all_stored(life: &Life, key: &SliceKey, stored_e2: i64) -> bool {
    stored_e2 > 0 && life.volume_e2 == Some(stored_e2) && is_described(life, key)
}

fn is_described(life: &Life, key: &SliceKey) -> bool {
    life.seen_at.is_some_and(|at| key.until() <= at)
}

/// The full hours that hold a slice.
pub fn hours_around(key: &SliceKey) -> (Timestamp, Timestamp) {
    let hour = |second: i64| Timestamp::from_seconds(second.saturating_mul(HOUR_SECONDS));
    let first = key.from().second().div_euclid(HOUR_SECONDS);
    let last = (key.until().second() - 1).div_euclid(HOUR_SECONDS) + 1;
    (hour(first), hour(last))
}

/// Whether the candles of these hours agree that nothing of the slice is missing: they hold no more than what is
/// stored. No candle at all is no answer, unless the description says that nothing was traded; nor is one of an hour that
/// goes on, unless it is there.
pub fn is_borne_out(
    key: &SliceKey,
    candles: &[HourVolume],
    stored: &[HourVolume],
    is_untraded: bool,
    exchange_now: Timestamp,
) -> bool {
    let (from, until) = hours_around(key);
    let within = |hour: &&HourVolume| from < hour.ends_at && hour.ends_at <= until;
    let shown: Vec<&HourVolume> = candles.iter().filter(within).collect();
    let is_closed = until.after(CLOSED_AFTER) <= exchange_now;
    let has_last = shown.iter().any(|hour| hour.ends_at == until);
    let is_answered = is_untraded || !shown.is_empty() && (is_closed || has_last);
    is_answered && compare(stored.iter().filter(within), shown).missing_e2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::market::Status;
    use crate::domain::tier::Tier;
    use crate::domain::trade::Ticker;

    const HOUR: i64 = HOUR_SECONDS;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn key(from: i64, until: i64) -> SliceKey {
        SliceKey::new(Ticker::new("KX").unwrap(), Tier::Live, at(from), at(until)).unwrap()
    }

    fn life(volume_e2: Option<i64>, seen_at: Option<i64>) -> Life {
        Life {
            market: Ticker::new("KX").unwrap(),
            series: None,
            open_time: Some(at(1_000)),
            close_time: Some(at(9_000)),
            status: Status::Active,
            volume_e2,
            seen_at: seen_at.map(at),
        }
    }

    #[test]
    fn a_description_says_what_is_stored_and_when_it_traded() {
        for (volume, seen, stored, untraded, all, why) in [
            (Some(0), Some(5_000), 0, true, false, "it never traded"),
            (Some(0), Some(4_999), 0, false, false, "by then, not by the end of the slice"),
            (Some(0), None, 0, false, false, "nobody knows when"),
            (Some(0), Some(5_000), 7, false, false, "what is stored says otherwise"),
            (None, Some(5_000), 0, false, false, "it says nothing"),
            (Some(7), Some(5_000), 7, false, true, "all is stored"),
            (Some(7), Some(4_999), 7, false, false, "all by then"),
            (Some(8), Some(5_000), 7, false, false, "something is missing"),
            (Some(6), Some(5_000), 7, false, false, "they do not agree"),
        ] {
            let (life, key) = (life(volume, seen), key(2_000, 5_000));
            let said = (is_untraded(&life, &key, stored), is_all_stored(&life, &key, stored));
            assert_eq!(said, (untraded, all), "{why}");
        }
        let life = life(None, None);
        for (from, until, outside) in
            [(0, 1_000, true), (0, 1_001, false), (9_001, 9_500, true), (9_000, 9_500, false)]
        {
            assert_eq!(is_outside(&life, &key(from, until)), outside, "{from}..{until}");
        }
    }

    #[test]
    fn candles_bear_out_what_they_show() {
        let hours = |volumes: &[(i64, i64)]| -> Vec<HourVolume> {
            let market = Ticker::new("KX").unwrap();
            let hour = |(number, quantity_e2): &(i64, i64)| HourVolume {
                market: market.clone(),
                ends_at: at(number * HOUR),
                quantity_e2: *quantity_e2,
            };
            volumes.iter().map(hour).collect()
        };
        let key = key(HOUR + 10, 2 * HOUR + 10);
        assert_eq!(hours_around(&key), (at(HOUR), at(3 * HOUR)));
        let (open, closed) = (3 * HOUR - 1, 3 * HOUR + 60);
        for (candles, stored, untraded, now, expected, why) in [
            (&[(2, 0), (3, 0)][..], &[][..], false, closed, true, "nothing was traded"),
            (&[(2, 0)], &[], false, closed, true, "in none of the hours that are told"),
            (&[(2, 0)], &[], false, open, false, "the last hour goes on"),
            (&[(2, 0), (3, 0)], &[], false, open, true, "and its candle is there"),
            (&[(2, 0), (3, 5)], &[], false, closed, false, "something was traded"),
            (
                &[(2, 0), (3, 5)],
                &[(3, 5)],
                false,
                closed,
                true,
                "outside of the slice: it is stored",
            ),
            (
                &[(2, 0), (3, 5)],
                &[(2, 5)],
                false,
                closed,
                false,
                "another hour makes up for nothing",
            ),
            (&[], &[], false, closed, false, "no answer"),
            (&[(1, 0), (4, 0)], &[], false, closed, false, "not about these hours"),
            (&[], &[], true, open, true, "the description agrees"),
            (&[(2, 5)], &[], true, closed, false, "the description does not"),
        ] {
            let borne = is_borne_out(&key, &hours(candles), &hours(stored), untraded, at(now));
            assert_eq!(borne, expected, "{why}");
        }
    }

    #[test]
    fn a_slice_of_which_something_was_shown_is_not_blank() {
        let blank = Slice::new(key(0, 10));
        assert!(is_blank(&blank));
        assert!(!is_blank(&Slice { low: Some(at(5)), ..blank.clone() }));
        assert!(!is_blank(&Slice { cursor: Some("c".to_owned()), ..blank.clone() }));
        assert!(!is_blank(&Slice { status: SliceStatus::Read, ..blank }));
    }
}
