//! Values as text: durations and instants.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Reads a duration such as `90s`, `5m` or `2h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let advice = "write it like 90s, 5m, 2h or 1d";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: u64 = text[..digits].parse().map_err(|_| advice.to_owned())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(advice.to_owned()),
    };
    let ms = count.checked_mul(unit_ms).filter(|ms| *ms <= 3_650 * 86_400_000);
    ms.map(Duration::from_millis).ok_or_else(|| "it is longer than ten years".to_owned())
}

/// Reads an instant: RFC 3339, or a date for its first moment (UTC).
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| "write it like 2026-11-22T13:00:00Z or 2026-11-22".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn spans_read_like_people_write_them() {
        for (text, ms) in [
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("250ms", Some(250)),
            ("0s", Some(0)),
            ("5", None),
            ("m", None),
            ("", None),
            ("-5m", None),
            ("5 m", None),
            ("1.5h", None),
            ("5µ", None),
            ("99999999999999999999s", None),
            ("9999999999999d", None),
        ] {
            let read = parse_duration(text).ok();
            assert_eq!(read, ms.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn instants_are_rfc3339_or_dates() {
        let second = |text| instant(text).ok().map(Timestamp::second);
        assert_eq!(second("1970-01-02"), Some(86_400));
        assert_eq!(second("1970-01-02T01:00:00+01:00"), Some(86_400));
        assert_eq!(second("yesterday"), None);
    }
}
