//! Instants of exchange time: whole microseconds since 1970, UTC.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// An instant, exact to the microsecond: the resolution of the exchange and of both stores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS: i64 = 1_000_000;

/// The largest difference between two readings of one instant: they are whole seconds, sent across a network.
pub(super) const CLOCK_SLACK: Duration = Duration::from_secs(10);

impl Timestamp {
    /// An instant from microseconds since 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// An instant from whole seconds since 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(MICROS))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The whole second of this instant, as Unix time.
    pub const fn second(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// The start of the second of this instant.
    #[must_use]
    pub const fn floor(self) -> Timestamp {
        Timestamp::from_seconds(self.second())
    }

    /// The first whole second that is not before this instant.
    #[must_use]
    pub const fn ceil(self) -> Timestamp {
        let floor = self.floor();
        if floor.0 == self.0 { floor } else { Timestamp::from_seconds(self.second() + 1) }
    }

    /// This instant moved back. It stops at the earliest instant that can be represented.
    #[must_use]
    pub fn before(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This instant moved forward. It stops at the latest instant that can be represented.
    #[must_use]
    pub fn after(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this instant; zero if this instant is not later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The last multiple of `step`, counted from 1970, that is not later than this instant.
    #[must_use]
    pub fn floor_to(self, step: Duration) -> Timestamp {
        let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
        Timestamp(self.0 - self.0.rem_euclid(step))
    }

    /// This instant as a value of the crate chrono.
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// An instant from a value of chrono. Digits below a microsecond are cut off.
    pub fn from_chrono(instant: DateTime<Utc>) -> Timestamp {
        Timestamp(instant.timestamp_micros())
    }

    /// Whether an event of the exchange can happen at this instant: in the years 2020 to 2199. Other instants stand
    /// for a missing value, such as Go's zero time `0001-01-01T00:00:00Z`.
    pub fn is_credible(self) -> bool {
        (1_577_836_800..7_258_118_400).contains(&self.second())
    }

    /// Whether the instant can be written as RFC 3339: the years 0 to 9999.
    pub fn has_four_digit_year(self) -> bool {
        (-62_167_219_200..=253_402_300_799).contains(&self.second())
    }

    /// Reads RFC 3339, with zero to nine decimals of a second and any offset; `None` for any other text.
    ///
    /// The parser is hand-written because it runs once per trade. Decimals below the microsecond are cut off, because
    /// no store keeps them (the raw event does).
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        let bytes = text.as_bytes();
        let date_is_shaped = bytes.get(4) == Some(&b'-')
            && bytes.get(7) == Some(&b'-')
            && matches!(bytes.get(10), Some(b'T' | b't' | b' '))
            && bytes.get(13) == Some(&b':')
            && bytes.get(16) == Some(&b':');
        if !date_is_shaped {
            return None;
        }
        let (year, month, day) = (number(bytes, 0, 4)?, number(bytes, 5, 2)?, number(bytes, 8, 2)?);
        let (hour, minute, second) =
            (number(bytes, 11, 2)?, number(bytes, 14, 2)?, number(bytes, 17, 2)?);
        if hour > 23 || minute > 59 || second > 59 || !is_date(year, month, day) {
            return None;
        }
        let (fraction, rest) = fraction_micros(bytes.get(19..)?)?;
        let seconds =
            days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
                - offset_seconds(rest)?;
        Some(Timestamp(seconds * MICROS + fraction)).filter(|at| at.has_four_digit_year())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with six decimals. The width is fixed, so text sorts as time does.
    ///
    /// This is hand-written as the parser is: SQLite calls it once per trade.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits() {
            Some(digits) => f.write_str(std::str::from_utf8(&digits).unwrap_or_default()),
            None => f.write_str(&self.to_chrono().to_rfc3339_opts(SecondsFormat::Micros, true)),
        }
    }
}

impl Timestamp {
    /// Replaces a text by that of this instant. It is the same as [`Display`](fmt::Display) writes, without the
    /// formatter and without a new allocation.
    pub fn write_to(self, text: &mut String) {
        text.clear();
        match self.digits() {
            Some(digits) => text.push_str(std::str::from_utf8(&digits).unwrap_or_default()),
            None => text.push_str(&self.to_string()),
        }
    }

    /// The text; `None` for a year that has not four digits.
    fn digits(self) -> Option<[u8; 27]> {
        if !self.has_four_digit_year() {
            return None;
        }
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let second = self.second();
        let (year, month, day) = date_of(second.div_euclid(86_400));
        for (value, end, len) in [
            (year, 4, 4),
            (month, 7, 2),
            (day, 10, 2),
            (second.rem_euclid(86_400) / 3_600, 13, 2),
            (second.rem_euclid(3_600) / 60, 16, 2),
            (second.rem_euclid(60), 19, 2),
            (self.0.rem_euclid(MICROS), 26, 6),
        ] {
            put(&mut text[end - len..end], value);
        }
        Some(text)
    }
}

/// Writes a number that is not negative, with as many digits as fit.
fn put(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn number(bytes: &[u8], start: usize, len: usize) -> Option<i64> {
    bytes.get(start..start + len)?.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn fraction_micros(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if bytes.first() != Some(&b'.') {
        return Some((0, bytes));
    }
    let digits = bytes[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let kept = digits.min(6);
    let mut micros = number(bytes, 1, kept)?;
    for _ in kept..6 {
        micros *= 10;
    }
    Some((micros, &bytes[1 + digits..]))
}

fn offset_seconds(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(bytes, 1, 2)?, number(bytes, 4, 2)?);
            let seconds = (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn is_date(year: i64, month: i64, day: i64) -> bool {
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// The days since 1970 of the proleptic Gregorian calendar. Years are counted from March, so that the leap day is the
/// last day of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

/// The date of a day counted from 1970: the inverse of [`days_since_1970`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year_of_era, month + 3);
    if month > 12 { (year + 1, month - 12, day) } else { (year, month, day) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_are_read_exactly_or_refused() {
        for (text, micros, why) in [
            ("2026-07-25T05:51:39.54467Z", Some(1_784_958_699_544_670), "trimmed zeros"),
            ("2026-07-25T05:51:39Z", Some(1_784_958_699_000_000), "no fraction at all"),
            ("2026-07-25T05:51:39.542929Z", Some(1_784_958_699_542_929), "six decimals"),
            ("2026-07-25T05:51:39.542929999Z", Some(1_784_958_699_542_929), "nanoseconds"),
            ("2026-07-25T07:51:39.5+02:00", Some(1_784_958_699_500_000), "another offset"),
            ("1969-12-31T23:59:59.5Z", Some(-500_000), "before 1970"),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000), "a leap day"),
            ("2026-02-29T00:00:00Z", None, "not a leap year"),
            ("2026-13-01T00:00:00Z", None, "no such month"),
            ("2026-07-25T24:00:00Z", None, "no such hour"),
            ("2026-07-25T05:51:39", None, "no zone"),
            ("2026-07-25T05:51:39.Z", None, "point without decimals"),
            ("2026-07-25T05:51:39ZZ", None, "rubbish at the end"),
            ("2026-07-25", None, "only a date"),
            ("0000-01-01T00:00:00+23:59", None, "a year that cannot be written back"),
            ("9999-12-31T23:59:59-00:01", None, "nor this one"),
            ("", None, "nothing"),
        ] {
            let parsed = Timestamp::parse_rfc3339(text).map(Timestamp::micros);
            assert_eq!(parsed, micros, "{text:?}: {why}");
        }
    }

    #[test]
    fn floor_and_ceil_agree_with_the_second() {
        for (micros, floor, ceil) in [(1_500_000, 1, 2), (2_000_000, 2, 2), (-1, -1, 0)] {
            let at = Timestamp::from_micros(micros);
            assert_eq!((at.floor().second(), at.ceil().second()), (floor, ceil), "{micros}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(micros in -62_167_219_200_000_000_i64..=253_402_300_799_999_999) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_string()), Some(at));
            let written = at.to_chrono().to_rfc3339_opts(SecondsFormat::Micros, true);
            prop_assert_eq!(at.to_string(), written);
            let chrono = at.to_chrono().to_rfc3339_opts(SecondsFormat::AutoSi, false);
            prop_assert_eq!(Timestamp::parse_rfc3339(&chrono), Some(at));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC*") {
            let _ = Timestamp::parse_rfc3339(&text);
        }
    }
}
