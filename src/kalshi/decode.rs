//! Decodes bytes to a page, and refusals to messages. Here is every reason to reject an answer as unreadable.

use std::collections::HashMap;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::normalize;
use super::rows::{self, RawRow};
use super::wire::{CutoffBody, ErrorBody, ExchangeStatus, Text, TradesPage};
use crate::domain::page::Page;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::trade::Rejected;
use crate::failure::{Failure, Kind};

const CURSOR_LEN_MAX: usize = 4_096;

/// The cursor of a list. The end of the list has three spellings; text that cannot be a cursor must never look like
/// the end.
pub(super) fn cursor(text: Option<&Text<'_>>) -> Result<Option<String>, Failure> {
    match text.map(Text::as_str).unwrap_or_default() {
        "" => Ok(None),
        text if is_cursor(text) => Ok(Some(text.to_owned())),
        text => {
            let message = format!("the cursor is no cursor ({:?})", excerpt(text.as_bytes()));
            Err(Failure::new(Kind::ExchangeUnreadable, message))
        }
    }
}

/// Decodes a page of trades of `asked`. If that is the tape, the trades of every market are wanted.
///
/// One unreadable event does not spoil its page; a body that is not a page at all is [`Kind::ExchangeUnreadable`]. A
/// trade counts as one from the future only if both clocks say so.
pub(super) fn page(
    body: &[u8],
    asked: &Scope,
    exchange_now: Timestamp,
    our_now: Timestamp,
) -> Result<Page, Failure> {
    let list = rows::list::<TradesPage<'_>>(body, "a page of trades")?;
    let mut page = Page {
        events: Vec::with_capacity(list.rows.len()),
        rejected: Vec::new(),
        foreign: 0,
        cursor: list.cursor,
        exchange_now,
        our_now,
    };
    let now = exchange_now.max(our_now);
    // A row that names the tape is no row of a market.
    let is_wanted = |scope: &Scope| asked.market().is_none() || scope == asked;
    for row in list.rows {
        let read = match row {
            RawRow::Sound(payload) => normalize::event(payload, asked, now),
            RawRow::Broken(broken) => Err(normalize::broken(broken, asked)),
        };
        match read {
            Ok(event) if asked.holds(&event.trade.market) => page.events.push(event),
            Err(rejected) if is_wanted(&rejected.scope) => page.rejected.push(rejected),
            Ok(_) | Err(Rejected { .. }) => page.foreign += 1,
        }
    }
    Ok(page)
}

/// Decodes the archive cutoff.
pub(super) fn cutoff(body: &[u8]) -> Result<Timestamp, Failure> {
    let unreadable = |cause: String| {
        let message = format!("the answer names no cutoff ({:?})", excerpt(body));
        Failure::new(Kind::ExchangeUnreadable, message).because(cause)
    };
    let wire: CutoffBody<'_> =
        serde_json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
    let text = wire.trades_created_ts.as_str();
    // A time of zero would say that nothing is archived, and archived trades would look like silence.
    Timestamp::parse_rfc3339(text)
        .filter(|at| at.second() >= 0)
        .ok_or_else(|| unreadable(format!("{text:?} is no instant")))
}

/// Decodes whether trading is possible now.
pub(super) fn is_trading(body: &[u8]) -> Result<bool, Failure> {
    let wire: ExchangeStatus = serde_json::from_slice(body).map_err(|error| {
        let message = format!("the answer is no status of the exchange ({:?})", excerpt(body));
        Failure::new(Kind::ExchangeUnreadable, message).because(error)
    })?;
    Ok(wire.exchange_active && wire.trading_active)
}

/// Whether the text can be a cursor. A cursor goes into a URL, a row and a log, so it must be short, visible ASCII.
/// Present ones have some 50 characters.
pub(super) fn is_cursor(text: &str) -> bool {
    text.len() <= CURSOR_LEN_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The beginning of a body, as one line for a log.
pub(super) fn excerpt(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(300)]);
    let line: String = head.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The exchange's message in a refusal, in any of the shapes that it uses; empty without one.
pub(super) fn refusal(body: &[u8]) -> String {
    let Ok(wire) = serde_json::from_slice::<ErrorBody<'_>>(body) else { return String::new() };
    let nested: Option<ErrorBody<'_>> =
        wire.error.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let bare = wire.error.and_then(bare_string);
    let parts = nested.unwrap_or(wire);
    let words = [bare, text(parts.code), text(parts.message), text(parts.details)];
    let mut said: Vec<String> = Vec::new();
    for word in words.into_iter().flatten() {
        let word = excerpt(word.as_bytes());
        if !word.is_empty() && !said.contains(&word) {
            said.push(word);
        }
    }
    said.join(": ")
}

fn bare_string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn text(field: Option<Text<'_>>) -> Option<String> {
    field.map(|text| text.as_str().to_owned())
}

/// An HTTP date (RFC 9110, IMF-fixdate).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    chrono::DateTime::parse_from_rfc2822(text.trim())
        .ok()
        .map(|instant| Timestamp::from_chrono(instant.to_utc()))
        .filter(|instant| instant.has_four_digit_year())
}

/// The number of rows of an answer, for the log: those of its longest list.
pub(super) fn count_rows(body: &[u8]) -> usize {
    let lists: HashMap<&str, &RawValue> = serde_json::from_slice(body).unwrap_or_default();
    let length = |list: &&RawValue| {
        serde_json::from_str::<Vec<IgnoredAny>>(list.get()).map_or(0, |rows| rows.len())
    };
    lists.values().map(length).max().unwrap_or(0)
}

/// Decodes a `Retry-After`: seconds, or an HTTP date counted from the answer's own `Date`.
pub(super) fn retry_after(text: &str, answered_at: Timestamp) -> Option<Duration> {
    seconds(text).or_else(|| http_date(text).map(|until| until.since(answered_at)))
}

/// The whole seconds of a header. A number too large for the type becomes a time longer than any wait.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked() -> Scope {
        Scope::parse("KX-A").unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_785_000_000)
    }

    fn decode(body: &str) -> Result<Page, Failure> {
        page(body.as_bytes(), &asked(), now(), now())
    }

    const GOOD: &str = r#"{"trade_id":"t1","ticker":"KX-A","count_fp":"1.00","yes_price_dollars":"0.5000","taker_side":"yes","created_time":"2026-01-01T00:00:00Z"}"#;

    #[test]
    fn the_end_of_the_list_has_three_spellings() {
        for cursor in [r#","cursor":"""#, r#","cursor":null"#, ""] {
            let page = decode(&format!(r#"{{"trades":[]{cursor}}}"#)).unwrap();
            assert_eq!(page.cursor, None, "{cursor:?}");
        }
        assert_eq!(decode(r#"{"trades":[],"cursor":"c1"}"#).unwrap().cursor.as_deref(), Some("c1"));
    }

    #[test]
    fn what_cannot_be_a_cursor_is_not_taken_for_the_end() {
        for cursor in ["a\\u0000b", "a b", "é", &"c".repeat(5_000)] {
            let failure = decode(&format!(r#"{{"trades":[],"cursor":"{cursor}"}}"#)).unwrap_err();
            assert_eq!(failure.kind, Kind::ExchangeUnreadable, "{cursor:.20}");
        }
    }

    #[test]
    fn one_bad_event_does_not_spoil_its_page() {
        let body = format!(
            r#"{{"trades":[{GOOD},7,null,{{"trade_id":"t2","count_fp":5}},{}],"cursor":""}}"#,
            GOOD.replace("KX-A", "KX-B"),
        );
        let page = decode(&body).unwrap();
        assert_eq!(page.events.len(), 1);
        assert_eq!(&*page.events[0].payload, GOOD, "kept byte for byte");
        assert_eq!(page.foreign, 1, "another market's row is not ours to store");
        let kept: Vec<_> =
            page.rejected.iter().map(|r| (r.trade_id.as_deref(), r.payload.as_ref())).collect();
        assert_eq!(
            kept,
            [(None, "7"), (None, "null"), (Some("t2"), r#"{"trade_id":"t2","count_fp":5}"#)],
        );
    }

    #[test]
    fn a_trade_is_from_the_future_when_both_clocks_say_so() {
        let day = Duration::from_secs(86_400);
        let body = format!(r#"{{"trades":[{GOOD}]}}"#); // Midnight of 2026.
        let midnight = Timestamp::from_seconds(1_767_225_600);
        let (early, late) = (midnight.before(day * 2), midnight.before(day));
        for (exchange_now, our_now, is_trade) in
            [(early, late, true), (late, early, true), (early, early, false)]
        {
            let page = page(body.as_bytes(), &asked(), exchange_now, our_now).unwrap();
            let counts = (page.events.len(), page.rejected.len());
            assert_eq!(counts, if is_trade { (1, 0) } else { (0, 1) }, "{exchange_now} {our_now}");
        }
    }

    #[test]
    fn what_is_no_json_is_kept_under_the_names_that_can_be_read() {
        let broken = |change: &[u8]| {
            let mut row = GOOD.as_bytes().to_vec();
            row.splice(1..1, [b"\"x\":\"", change, b"\","].concat());
            row
        };
        let other = String::from_utf8(broken(b"\0")).unwrap().replace("KX-A", "KX-B");
        let (nul, byte) = (broken(b"\0"), broken(b"\xfe"));
        let rows = [&nul[..], GOOD.as_bytes(), &byte, other.as_bytes(), b"x\x01y"];
        let body = [b"{\"trades\":[", &rows.join(&b","[..])[..], b"]}"].concat();
        let page = page(&body, &asked(), now(), now()).unwrap();
        assert_eq!((page.events.len(), page.foreign), (1, 1));
        let (json, utf8) =
            ("it is not JSON; kept as a JSON string", "it is not UTF-8; kept as a JSON string");
        for (rejected, (id, begin, reason)) in page.rejected.iter().zip([
            (Some("t1"), r#""{\"x\":\"\u0000\","#, json),
            (Some("t1"), r#""{\"x\":\"\udcfe\","#, utf8),
            (None, r#""x\u0001y""#, json),
        ]) {
            assert!(rejected.payload.starts_with(begin), "{}", rejected.payload);
            assert_eq!((rejected.trade_id.as_deref(), rejected.reason.as_str()), (id, reason));
            assert_eq!(rejected.scope, asked());
        }
    }

    /// No market is called like the tape or a group: on a market's page it is a row of somebody else.
    #[test]
    fn a_row_that_is_named_like_the_tape_is_no_row_of_a_market() {
        for name in ["*", "*46e708897c4f7d6e-2"] {
            let body = format!(r#"{{"trades":[{}]}}"#, GOOD.replace("KX-A", name));
            let of_market = page(body.as_bytes(), &asked(), now(), now()).unwrap();
            assert_eq!((of_market.foreign, of_market.rejected.len()), (1, 0), "{name}");
            let of_tape = page(body.as_bytes(), &Scope::Tape, now(), now()).unwrap();
            assert_eq!((of_tape.foreign, of_tape.events.len()), (0, 0), "{name}");
            assert_eq!(of_tape.rejected[0].scope.as_str(), name);
        }
    }

    #[test]
    fn whole_page_nonsense_is_unreadable() {
        for body in [
            "",
            "<html>busy</html>",
            "[]",
            r#"{"ok":true}"#,
            r#"{"trades":null}"#,
            "{\"trades\":[{}",
        ] {
            let failure = decode(body).unwrap_err();
            assert_eq!(failure.kind, Kind::ExchangeUnreadable, "{body:?}");
        }
    }

    #[test]
    fn a_cutoff_is_an_instant() {
        let read = |text: &str| cutoff(format!(r#"{{"trades_created_ts":"{text}"}}"#).as_bytes());
        assert_eq!(read("2026-06-28T00:00:00Z").unwrap().second(), 1_782_604_800);
        for nonsense in ["0001-01-01T00:00:00Z", "", "soon"] {
            let failure = read(nonsense).unwrap_err();
            assert_eq!(failure.kind, Kind::ExchangeUnreadable, "{nonsense:?}");
        }
    }

    #[test]
    fn refusals_are_read_in_every_shape() {
        for (body, said) in [
            (r#"{"error":{"code":"not_found","message":"not found"}}"#, "not_found: not found"),
            (r#"{"error":"too many requests"}"#, "too many requests"),
            (
                r#"{"code":"bad_request","message":"bad","details":"limit"}"#,
                "bad_request: bad: limit",
            ),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(refusal(body.as_bytes()), said, "{body:?}");
        }
    }

    #[test]
    fn retry_after_comes_as_seconds_or_as_a_date() {
        let answered = http_date("Sun, 22 Nov 2026 13:00:00 GMT").unwrap();
        assert_eq!(retry_after("7", answered), Some(Duration::from_secs(7)));
        let date = "Sun, 22 Nov 2026 13:00:09 GMT";
        assert_eq!(retry_after(date, answered), Some(Duration::from_secs(9)));
        let past = "Sun, 22 Nov 2026 12:00:00 GMT";
        assert_eq!(retry_after(past, answered), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", answered), None);
        let forever = retry_after("99999999999999999999999", answered).unwrap();
        assert!(forever > Duration::from_secs(1 << 31));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = page(&body, &asked(), now(), now());
            let _ = refusal(&body);
        }

        #[test]
        fn every_event_is_kept_one_way_or_the_other(events in proptest::collection::vec("[1-9][0-9]{0,2}|\"[a-z]*\"|null|\\{\"trade_id\":\"[a-z]{1,3}\"\\}", 0..20)) {
            let page = decode(&format!(r#"{{"trades":[{}]}}"#, events.join(","))).unwrap();
            prop_assert_eq!(page.events.len() + page.rejected.len(), events.len());
        }
    }
}
