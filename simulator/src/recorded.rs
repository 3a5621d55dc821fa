//! Recorded events: JSON that is served again byte for byte, in the order of its readable fields.

use serde_json::Value;

use crate::tape::{Event, Key};
use crate::timestamp;

/// An event from its exact bytes. Its block flag, for the filter, is read if possible.
pub(crate) fn event(ticker: &str, created_us: i64, trade_id: &str, json: Vec<u8>) -> Event {
    let value = serde_json::from_slice::<Value>(&json).ok();
    let flag = value.as_ref().and_then(|value| value.get("is_block_trade")?.as_bool());
    Event {
        key: Key { created_us, trade_id: trade_id.into() },
        ticker: ticker.to_owned(),
        is_block_trade: flag.unwrap_or(false),
        count_e2: value.as_ref().and_then(count_e2).unwrap_or(0),
        json: json.into(),
        trade: None,
    }
}

/// `count_fp`, or the whole `count` of older shapes.
fn count_e2(value: &Value) -> Option<u64> {
    if let Some(count) = value.get("count").and_then(Value::as_u64) {
        return count.checked_mul(100);
    }
    let text = value.get("count_fp")?.as_str()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let hundredths: u64 = format!("{fraction:0<2}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(hundredths)
        .filter(|_| fraction.len() <= 2)
}

/// The events of a text with one event on each line; blank lines are skipped. The error names the line, counted from
/// 1.
pub(crate) fn events(text: &str) -> Result<Vec<Event>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| read(line).map_err(|why| format!("line {}: {why}", index + 1)))
        .collect()
}

fn read(line: &str) -> Result<Event, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = |name: &str| {
        value.get(name).and_then(Value::as_str).ok_or_else(|| format!("no text in {name:?}"))
    };
    let created = text("created_time")?;
    let created_us = timestamp::parse_rfc3339(created)
        .ok_or_else(|| format!("created_time {created:?} is not an RFC 3339 time"))?;
    Ok(event(text("ticker")?, created_us, text("trade_id")?, line.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_verbatim() {
        let spring =
            r#"{"ticker":"A", "trade_id":"x","created_time":"2026-04-01T00:00:00.5Z", "n":1.50}"#;
        let block = r#"{"is_block_trade":true,"created_time":"2026-06-01T00:00:00Z","ticker":"B","trade_id":""}"#;
        let read = events(&format!("{spring}\r\n\n{block}\n")).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(&*read[0].json, spring.as_bytes());
        assert_eq!((read[0].ticker.as_str(), read[0].is_block_trade), ("A", false));
        assert_eq!(read[0].key.created_us % 1_000_000, 500_000);
        assert!(read[1].is_block_trade);
        assert_eq!(read[0].count_e2, 0, "it does not tell");
    }

    #[test]
    fn counts_are_read_from_either_field() {
        for (json, count) in [
            (r#"{"count_fp":"12.61"}"#, Some(1_261)),
            (r#"{"count_fp":"3"}"#, Some(300)),
            (r#"{"count_fp":"0.5"}"#, Some(50)),
            (r#"{"count":7}"#, Some(700)),
            (r#"{"count_fp":"1.005"}"#, None),
            (r#"{"count_fp":7}"#, None),
            ("{}", None),
        ] {
            assert_eq!(count_e2(&serde_json::from_str(json).unwrap()), count, "{json}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        let good = r#"{"ticker":"A","trade_id":"x","created_time":"2026-04-01T00:00:00Z"}"#;
        for (bad, why) in [
            ("{", "line 3: EOF"),
            (r#"{"ticker":"A","trade_id":"x"}"#, "line 3: no text in \"created_time\""),
            (
                r#"{"trade_id":7,"ticker":"A","created_time":"2026-04-01T00:00:00Z"}"#,
                "line 3: no text in \"trade_id\"",
            ),
            (
                r#"{"ticker":"A","trade_id":"x","created_time":"now"}"#,
                "line 3: created_time \"now\"",
            ),
        ] {
            let error = events(&format!("{good}\n\n{bad}\n")).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
