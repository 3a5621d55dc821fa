//! Times as the exchange writes them. Inside the crate a time is always whole microseconds since 1970 (`…_us`); text
//! exists only in requests and answers.

use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};

use crate::digits::push_number;

/// One second in microseconds.
pub(crate) const SECOND_US: i64 = 1_000_000;

/// RFC 3339 in UTC with `Z`. Trailing zeros of the fraction are removed, and the fraction is missing at whole seconds,
/// as in every recorded answer.
pub(crate) fn rfc3339(us: i64) -> String {
    let mut text = String::with_capacity(32);
    push_rfc3339(&mut text, us);
    text
}

/// Appends the text of [`rfc3339`]. It is written by hand because it runs for each trade.
pub(crate) fn push_rfc3339(text: &mut String, us: i64) {
    let at = date_time(us);
    let Some(year) = u64::try_from(at.year()).ok().filter(|year| *year < 10_000) else {
        return text.push_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    };
    for (mark, value, len) in [
        ("", year, 4),
        ("-", at.month().into(), 2),
        ("-", at.day().into(), 2),
        ("T", at.hour().into(), 2),
        (":", at.minute().into(), 2),
        (":", at.second().into(), 2),
    ] {
        text.push_str(mark);
        push_number(text, value, len);
    }
    let fraction = at.timestamp_subsec_micros();
    if fraction > 0 {
        text.push('.');
        push_number(text, fraction.into(), 6);
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push('Z');
}

/// The format of `Date` and of one form of `Retry-After` (RFC 7231), whole seconds.
pub(crate) fn http_date(us: i64) -> String {
    date_time(us).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The microseconds of an RFC 3339 time; digits after the sixth are dropped.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

fn date_time(us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us).expect("a time within some 290,000 years of 1970")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_trimmed() {
        for (us, text) in [
            (1_784_958_699_544_670, "2026-07-25T05:51:39.54467Z"),
            (1_784_958_699_538_116, "2026-07-25T05:51:39.538116Z"),
            (1_784_958_699_000_001, "2026-07-25T05:51:39.000001Z"),
            (1_784_958_699_500_000, "2026-07-25T05:51:39.5Z"),
            (1_784_958_699_000_000, "2026-07-25T05:51:39Z"),
            (1_784_959_200_000_000, "2026-07-25T06:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339(us), text);
            assert_eq!(parse_rfc3339(text), Some(us), "{text} reads back");
        }
    }

    #[test]
    fn http_dates_follow_rfc_7231() {
        assert_eq!(http_date(784_111_777_999_999), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
