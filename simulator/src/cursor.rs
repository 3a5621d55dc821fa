//! The page cursor: unpadded base64url of a small protobuf that names the last row of a page.
//!
//! ```text
//! message Cursor { Id id = 2; Time created = 3; }             of trades
//! message Listed { Time created_or_close = 1; string ticker = 2; }  of markets and events
//! message Id     { bytes uuid = 1; string text = 2; }
//! message Time   { int64 seconds = 1; int32 nanos = 2; }
//! ```
//!
//! `Id.text` exists only in this simulator: it carries a trade id that is not a lower-case UUID, which the real
//! exchange has never been seen to give. Zero numbers are left out, as in protobuf.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::catalogue::Place;
use crate::tape::Key;
use crate::timestamp::SECOND_US;

/// The positions of the hyphens in a UUID.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

pub(crate) fn encode(key: &Key) -> String {
    let mut id = Vec::new();
    match uuid_bytes(&key.trade_id) {
        Some(bytes) => put_bytes(&mut id, 1, &bytes),
        None => put_bytes(&mut id, 2, key.trade_id.as_bytes()),
    }
    let mut message = Vec::new();
    put_bytes(&mut message, 2, &id);
    put_bytes(&mut message, 3, &encoded_time(key.created_us));
    URL_SAFE_NO_PAD.encode(message)
}

/// The cursor after a market or an event.
pub(crate) fn encode_place(place: &Place) -> String {
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &encoded_time(place.us));
    put_bytes(&mut message, 2, place.ticker.as_bytes());
    URL_SAFE_NO_PAD.encode(message)
}

/// The market or event that a cursor names; `None` for a cursor that the exchange would not have written.
pub(crate) fn decode_place(cursor: &str) -> Option<Place> {
    let message = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (mut us, mut ticker) = (None, None);
    for field in fields(&message)? {
        match field {
            (1, Value::Bytes(time)) => us = Some(decode_time(time)?),
            (2, Value::Bytes(text)) => ticker = Some(str::from_utf8(text).ok()?),
            _ => {}
        }
    }
    Some(Place { us: us?, ticker: ticker?.into() })
}

/// A different cursor to the same position; without a cursor, to the first page.
pub(crate) fn same_place(cursor: Option<&str>) -> String {
    let first = || encode_place(&Place { us: i64::MAX, ticker: "~".into() });
    let cursor = cursor.map_or_else(first, str::to_owned);
    let mut message = URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
    put_number(&mut message, 9, 1);
    URL_SAFE_NO_PAD.encode(message)
}

fn encoded_time(us: i64) -> Vec<u8> {
    let mut time = Vec::new();
    put_number(&mut time, 1, us.div_euclid(SECOND_US));
    put_number(&mut time, 2, us.rem_euclid(SECOND_US) * 1_000);
    time
}

/// The row that a cursor names; `None` for a cursor that the exchange would not have written.
pub(crate) fn decode(cursor: &str) -> Option<Key> {
    let message = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (mut trade_id, mut created_us) = (None, None);
    for field in fields(&message)? {
        match field {
            (2, Value::Bytes(id)) => trade_id = Some(decode_id(id)?),
            (3, Value::Bytes(created)) => created_us = Some(decode_time(created)?),
            _ => {}
        }
    }
    Some(Key { created_us: created_us?, trade_id: trade_id?.into() })
}

fn decode_id(id: &[u8]) -> Option<String> {
    fields(id)?.into_iter().find_map(|field| match field {
        (1, Value::Bytes(bytes)) => uuid_text(bytes),
        (2, Value::Bytes(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    })
}

fn decode_time(created: &[u8]) -> Option<i64> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields(created)? {
        match field {
            (1, Value::Number(number)) => seconds = number,
            (2, Value::Number(number)) => nanos = number,
            _ => {}
        }
    }
    if !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    seconds.checked_mul(SECOND_US)?.checked_add(nanos / 1_000)
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let is_hyphenated = text.len() == 36 && HYPHENS.iter().all(|at| text.as_bytes()[*at] == b'-');
    if !is_hyphenated {
        return None;
    }
    let digits: Vec<u8> =
        text.bytes().filter(|byte| *byte != b'-').map(nibble).collect::<Option<_>>()?;
    let mut bytes = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

/// The value of a lower-case digit. An id in capitals would not be encoded the same way again.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn uuid_text(bytes: &[u8]) -> Option<String> {
    if bytes.len() != 16 {
        return None;
    }
    let mut text = String::with_capacity(36);
    for byte in bytes {
        if HYPHENS.contains(&text.len()) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("writing to memory");
    }
    Some(text)
}

enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

/// All fields of a protobuf message. Only varints and byte strings occur in cursors.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let number = take_varint(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Number(number.cast_signed()),
            2 => Value::Bytes(message.split_off(..usize::try_from(number).ok()?)?),
            _ => return None,
        };
        found.push((tag >> 3, value));
    }
    Some(found)
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn put_number(message: &mut Vec<u8>, field: u64, number: i64) {
    if number != 0 {
        put_varint(message, field << 3);
        put_varint(message, number.cast_unsigned());
    }
}

fn put_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(message, field << 3 | 2);
    put_varint(message, u64::try_from(bytes.len()).expect("a length fits 64 bits"));
    message.extend_from_slice(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        message.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    message.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = "EhIKEL1KBylUmHdPCa-SC8HDFkIaDAjrnZHTBhCg_8uAAg";

    fn key(created_us: i64, trade_id: &str) -> Key {
        Key { created_us, trade_id: trade_id.into() }
    }

    #[test]
    fn the_recorded_cursor_reads_and_writes() {
        let row = key(1_784_958_699_538_116, "bd4a0729-5498-774f-09af-920bc1c31642");
        assert_eq!(decode(RECORDED), Some(row.clone()));
        assert_eq!(encode(&row), RECORDED);
    }

    #[test]
    fn the_recorded_cursors_of_lists_read_and_write() {
        for (recorded, us, ticker) in [
            (
                "CgwIs9OM0wYQmJudpwESGktYQlRDRC0yNkpVTDI1MDItVDc0MDk5Ljk5",
                1_784_883_635_350_703,
                "KXBTCD-26JUL2502-T74099.99",
            ),
            (
                "CgYI8OG8lQ8SE0tYTkVYVE5BVE9TRUNHRU4tOTk",
                4_071_567_600_000_000,
                "KXNEXTNATOSECGEN-99",
            ),
        ] {
            let place = Place { us, ticker: ticker.into() };
            assert_eq!(decode_place(recorded), Some(place.clone()));
            assert_eq!(encode_place(&place), recorded);
        }
        let zero = Place { us: 0, ticker: "".into() };
        assert_eq!(decode_place(&encode_place(&zero)), Some(zero));
        assert_eq!(decode_place(RECORDED), None, "that one is of trades");
        assert_eq!(decode_place("x"), None);
    }

    #[test]
    fn any_id_and_any_time_come_back() {
        for trade_id in [
            "",
            "plain",
            "BD4A0729-5498-774F-09AF-920BC1C31642",
            "bd4a0729x5498-774f-09af-920bc1c31642",
            "bd4a0729-5498-774f-09af-920bc1c316-2",
            "ünïcode, that is 36 bytes long…x",
            "00000000-0000-0000-0000-000000000000",
        ] {
            for created_us in [0, 1, -1, 1_784_958_699_000_000, -62_000_000_000_000_001] {
                let row = key(created_us, trade_id);
                assert_eq!(decode(&encode(&row)), Some(row));
            }
        }
    }

    #[test]
    fn damaged_cursors_are_noticed() {
        let padded = format!("{RECORDED}=");
        let cut = &RECORDED[..RECORDED.len() - 4];
        for damaged in ["x", "not a cursor", "AAAA", "_____w", &padded, cut, &RECORDED[4..]] {
            assert_eq!(decode(damaged), None, "{damaged}");
        }
        assert_eq!(decode(""), None, "an empty message names no row");
    }
}
