//! The periods of candles, and their ends.

use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate};

use crate::timestamp::SECOND_US;

const DAY_S: i64 = 86_400;
/// Times are limited to 9,999 years around 1970, which the calendar supports.
const TIME_S_MAX: i64 = 9_999 * 366 * DAY_S;

/// The length of a candle. The ends of all periods of one length are numbered in order. A period begins right after
/// the previous end and includes its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// Periods that end at whole minutes.
    Minute,
    /// Periods that end at whole hours.
    Hour,
    /// Periods that end at midnight in New York; they have 23 or 25 hours when the clocks change.
    Day,
}

impl Period {
    pub(crate) fn of_minutes(minutes: i64) -> Option<Period> {
        match minutes {
            1 => Some(Period::Minute),
            60 => Some(Period::Hour),
            1_440 => Some(Period::Day),
            _ => None,
        }
    }

    /// The end of the period with this number, in seconds since 1970.
    pub(crate) fn end_s(self, number: i64) -> i64 {
        match self {
            Period::Minute => number * 60,
            Period::Hour => number * 3_600,
            Period::Day => new_york_midnight_s(number),
        }
    }

    /// The number of the period that holds a time.
    pub(crate) fn holding(self, us: i64) -> i64 {
        let us = us.clamp(-TIME_S_MAX * SECOND_US, TIME_S_MAX * SECOND_US);
        let span_s = match self {
            Period::Minute => 60,
            Period::Hour => 3_600,
            Period::Day => DAY_S,
        };
        // A day begins later in New York than in Greenwich, by less than a day.
        let number = us.div_euclid(span_s * SECOND_US);
        if us <= self.end_s(number) * SECOND_US { number } else { number + 1 }
    }

    /// The periods that end within these seconds, both inclusive.
    pub(crate) fn ending_within(self, from_s: i64, to_s: i64) -> Range<i64> {
        let us = |s: i64| s.saturating_mul(SECOND_US);
        self.holding(us(from_s))..self.holding(us(to_s).saturating_add(1))
    }
}

/// The beginning of this day in New York, in seconds since 1970; days are counted from 1970.
fn new_york_midnight_s(day: i64) -> i64 {
    let start_s = day * DAY_S;
    let date = DateTime::from_timestamp(start_s, 0).expect("a clamped time").date_naive();
    start_s + if begins_in_summer(date) { 4 * 3_600 } else { 5 * 3_600 }
}

/// Whether summer time holds at the beginning of this day. In the United States, since 2007, the clocks change at two
/// in the morning of the second Sunday in March and of the first Sunday in November.
fn begins_in_summer(date: NaiveDate) -> bool {
    match date.month() {
        4..=10 => true,
        3 => sunday(date, 2) < date.day(),
        11 => date.day() <= sunday(date, 1),
        _ => false,
    }
}

/// The day of the month of its n-th Sunday.
fn sunday(date: NaiveDate, nth: u32) -> u32 {
    let first = date.with_day(1).expect("every month has a first");
    let days_to_sunday = (7 - first.weekday().num_days_from_sunday()) % 7;
    1 + days_to_sunday + 7 * (nth - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::{parse_rfc3339, rfc3339};

    fn us(text: &str) -> i64 {
        parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_period_holds_its_end_and_not_its_start() {
        for (period, time, end) in [
            (Period::Minute, "2026-09-21T14:26:00Z", "2026-09-21T14:26:00Z"),
            (Period::Minute, "2026-09-21T14:26:00.000001Z", "2026-09-21T14:27:00Z"),
            (Period::Hour, "2026-09-21T14:59:59.999999Z", "2026-09-21T15:00:00Z"),
            (Period::Hour, "2026-09-21T15:00:00.000001Z", "2026-09-21T16:00:00Z"),
            (Period::Hour, "1969-12-31T22:30:00Z", "1969-12-31T23:00:00Z"),
            (Period::Day, "2026-09-21T04:00:00Z", "2026-09-21T04:00:00Z"),
            (Period::Day, "2026-09-21T04:00:00.000001Z", "2026-09-22T04:00:00Z"),
            (Period::Day, "2026-09-21T00:00:00Z", "2026-09-21T04:00:00Z"),
            (Period::Day, "2026-01-21T04:30:00Z", "2026-01-21T05:00:00Z"),
        ] {
            let found_s = period.end_s(period.holding(us(time)));
            assert_eq!(rfc3339(found_s * SECOND_US), end, "{period:?} {time}");
        }
    }

    #[test]
    fn days_follow_the_clocks_of_new_york() {
        let ends = |from: &str| {
            let first = Period::Day.holding(us(from));
            let ends = (first..first + 3).map(|n| rfc3339(Period::Day.end_s(n) * SECOND_US));
            ends.collect::<Vec<_>>().join(" ")
        };
        for (from, expected) in [
            (
                "2026-03-07T12:00:00Z",
                "2026-03-08T05:00:00Z 2026-03-09T04:00:00Z 2026-03-10T04:00:00Z",
            ),
            (
                "2026-10-31T12:00:00Z",
                "2026-11-01T04:00:00Z 2026-11-02T05:00:00Z 2026-11-03T05:00:00Z",
            ),
            (
                "2025-03-08T12:00:00Z",
                "2025-03-09T05:00:00Z 2025-03-10T04:00:00Z 2025-03-11T04:00:00Z",
            ),
            (
                "2025-11-01T12:00:00Z",
                "2025-11-02T04:00:00Z 2025-11-03T05:00:00Z 2025-11-04T05:00:00Z",
            ),
        ] {
            assert_eq!(ends(from), expected);
        }
    }

    #[test]
    fn both_bounds_are_inclusive_and_may_be_anything() {
        let count = |from_s, to_s| {
            let range = Period::Minute.ending_within(from_s, to_s);
            range.end - range.start
        };
        assert_eq!([count(60, 120), count(61, 120), count(60, 119), count(61, 119)], [2, 1, 1, 0]);
        assert!(count(120, 59) <= 0);
        for period in [Period::Minute, Period::Hour, Period::Day] {
            assert!(!period.ending_within(i64::MIN, i64::MAX).is_empty());
            assert!(period.ending_within(i64::MAX, i64::MIN).is_empty());
        }
    }
}
