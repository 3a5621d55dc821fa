//! Cutting a list into rows, as tables.

use proptest::prelude::*;

use super::*;
use crate::kalshi::wire::TradesPage;

/// The resulting rows: valid ones as they are, broken ones with a `!` before them.
fn read(body: &[u8]) -> Option<(Vec<String>, Option<String>)> {
    let list = list::<TradesPage<'_>>(body, "a page of trades").ok()?;
    let rows = list.rows.into_iter().map(|row| match row {
        RawRow::Sound(text) => text.to_owned(),
        RawRow::Broken(broken) => format!("!{}", broken.payload),
    });
    Some((rows.collect(), list.cursor))
}

/// The result of these rows as the list of a page.
fn rows(rows: &[&[u8]]) -> Vec<String> {
    let body = [b"{\"cursor\":\"c1\",\"trades\":[", &rows.join(&b","[..])[..], b"]}"].concat();
    let (rows, cursor) = read(&body).unwrap_or_else(|| panic!("{}", legible(&body)));
    assert_eq!(cursor.as_deref(), Some("c1"), "{}", legible(&body));
    rows
}

const ONE: &str = r#"{"a":"x, ]}","ticker":"ONE"}"#;
const TWO: &str = r#"{"b":[1,{"c":{}}],"ticker":"TWO"}"#;

#[test]
fn a_broken_row_spoils_no_other() {
    for (row, kept) in [
        (&b"{\"a\":\"\0\"}"[..], r#"!"{\"a\":\"\u0000\"}""#),
        (b"{\"a\":\"\n\"}", r#"!"{\"a\":\"\n\"}""#),
        (b"{\"a\":\"\xff\xc3\"}", r#"!"{\"a\":\"\udcff\udcc3\"}""#),
        (b"{\"a\xff\":\"\xe2\x82\xac\"}", "!\"{\\\"a\\udcff\\\":\\\"\u{20ac}\\\"}\""),
        (b"\xff", r#"!"\udcff""#),
        (b"{\"a\":NaN}", r#"!"{\"a\":NaN}""#),
        (b"{\"a\":01}", r#"!"{\"a\":01}""#),
        (b"{'a':1}", r#"!"{'a':1}""#),
        (b"{\"a\":\"\\x\"}", r#"!"{\"a\":\"\\x\"}""#),
        (b"{\"a\":\"\\ud8\"}", r#"!"{\"a\":\"\\ud8\"}""#),
        (b"{\"a\":}", r#"!"{\"a\":}""#),
        (b"{\"a\":1,}", r#"!"{\"a\":1,}""#),
        (b"{\"a\":[{\"b\":1},{\"c\":\0}]}", r#"!"{\"a\":[{\"b\":1},{\"c\":\u0000}]}""#),
        (b"{\"a\":\"x}", r#"!"{\"a\":\"x}""#),
        (b"{\"a\":[1}", r#"!"{\"a\":[1}""#),
        (b"{\"a\":1", r#"!"{\"a\":1""#),
        (b"{\"a\":1}}", r#"!"{\"a\":1}}""#),
        (b"{\"a\":\"b \"c\" d\"}", r#"!"{\"a\":\"b \"c\" d\"}""#),
        (b"{\"a\":\"b \" c\"}", r#"!"{\"a\":\"b \" c\"}""#),
    ] {
        let kept = kept.replace("\\\"", "\u{1}").replace('"', "\u{2}");
        let whole = kept.replace('\u{1}', "\\\"").replace('\u{2}', "\"");
        for (before, after) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut given: Vec<&[u8]> = vec![row];
            let mut expected = vec![whole.clone()];
            if before {
                given.insert(0, ONE.as_bytes());
                expected.insert(0, ONE.to_owned());
            }
            if after {
                given.push(TWO.as_bytes());
                expected.push(TWO.to_owned());
            }
            assert_eq!(rows(&given), expected, "{:?}", legible(row));
        }
    }
}

#[test]
fn what_json_allows_is_sound() {
    for row in [
        "null",
        "17",
        "-0.5e+99999999",
        "\"\"",
        "[]",
        "{}",
        r#"{"a":"\u0000","a":"\ud800"}"#,
        "{\"a\":\"\u{7f}\u{2028}\u{fffe}\"}",
        ONE,
        TWO,
    ] {
        assert_eq!(rows(&[row.as_bytes(), b"\xff", ONE.as_bytes()]), [row, "!\"\\udcff\"", ONE]);
        assert_eq!(rows(&[row.as_bytes()]), [row]);
    }
}

#[test]
fn depth_is_bounded_and_breadth_is_not() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(rows(&[nested(200).as_bytes()]), [nested(200)]);
    // The row has the deepest allowed nesting, and is too long to be accepted without counting.
    let padded = format!("{}{}{}", "[".repeat(200), "1,".repeat(50) + "1", "]".repeat(200));
    assert_eq!(rows(&[padded.as_bytes()]), [padded]);
    let branched = format!("[[],{}]", nested(199));
    assert_eq!(rows(&[branched.as_bytes()]), [branched], "as deep as may be, with more brackets");
    let wide = format!("[{}]", ["{}"; 1_000].join(","));
    assert_eq!(rows(&[wide.as_bytes()]), [wide]);
    for deep in [nested(201), nested(100_000), format!("{{\"a\":{}}}", nested(200))] {
        let kept = rows(&[deep.as_bytes(), ONE.as_bytes()]);
        assert_eq!(kept, [format!("!{}", escaped(deep.as_bytes())), ONE.to_owned()]);
    }
    let unclosed = "[".repeat(100_000);
    assert_eq!(rows(&[ONE.as_bytes(), unclosed.as_bytes()]).len(), 2);
}

#[test]
fn stray_bytes_between_rows_cost_none() {
    let body = format!("{{\"trades\" : [\0{ONE}\0,\n{TWO}\0] , \"cursor\":null}}");
    assert_eq!(read(body.as_bytes()), Some((vec![ONE.to_owned(), TWO.to_owned()], None)));
    let pretty = format!(
        "{{\n\t\"cursor\": \"c1\",\0\r\n\t\"trades\": [\n\t\t{ONE},\n\t\t\"\0\",\n\t\t{TWO}\n\t]\n}}\n"
    );
    let expected = vec![ONE.to_owned(), "!\"\\\"\\u0000\\\"\"".to_owned(), TWO.to_owned()];
    assert_eq!(read(pretty.as_bytes()), Some((expected, Some("c1".to_owned()))));
    let double = format!("{{\"trades\":[{ONE},,{TWO},]}}");
    let (kept, _) = read(double.as_bytes()).unwrap();
    assert_eq!(kept, [ONE, TWO], "nothing between two commas is no row");
    let strays = format!("{{\"trades\":[{ONE},\0,{TWO}]}}");
    let (kept, _) = read(strays.as_bytes()).unwrap();
    assert_eq!((kept.first(), kept.last()), (Some(&ONE.to_owned()), Some(&TWO.to_owned())));
}

#[test]
fn the_cursor_may_come_last_and_be_spelt_as_ever() {
    for (tail, cursor) in [
        ("", None),
        (",\"cursor\":\"\"", None),
        (",\"cursor\":null", None),
        (",\"cursor\":\"c2\"", Some("c2")),
        (",\"x\":[1,{}],\"cursor\":\"c2\",\"y\":\"\0\"", Some("c2")),
    ] {
        let body = format!("{{\"trades\":[{ONE},\0\u{80}]{tail}}}");
        let (kept, next) = read(body.as_bytes()).unwrap();
        assert_eq!((kept.len(), next.as_deref()), (2, cursor), "{tail}");
    }
}

#[test]
fn a_list_has_an_end() {
    let page = |row: &str, count: usize| {
        // The first row is broken, so that the list is cut into rows at all.
        let body = format!("{{\"trades\":[{{\"a\":NaN}},{}]}}", vec![row; count - 1].join(","));
        read(body.as_bytes()).map(|(rows, _)| rows.len())
    };
    assert_eq!((page("{}", ROWS_MAX), page("{}", ROWS_MAX + 1)), (Some(ROWS_MAX), None));
    let broken = |count| page("{\"a\":NaN}", count);
    assert_eq!((broken(BROKEN_MAX), broken(BROKEN_MAX + 1)), (Some(BROKEN_MAX), None));
}

#[test]
fn legible_text_keeps_its_blanks() {
    assert_eq!(legible(b"a b\tc\x01\xff"), "a b c\u{fffd}\u{fffd}");
}

#[test]
fn half_an_answer_is_none() {
    let body = format!("{{\"cursor\":\"c1\",\"trades\":[{TWO},{{\"a\":\"\0\"}},{TWO}]}}");
    assert!(read(body.as_bytes()).is_some());
    for length in 0..body.len() {
        assert_eq!(read(&body.as_bytes()[..length]), None, "{:?}", &body[..length]);
    }
    for body in ["\0", "{\"trades\":[\0],\"cursor\":7}", "{\"trades\":[\0],\"cursor\":\"a b\"}"] {
        assert_eq!(read(body.as_bytes()), None, "{body:?}");
    }
}

/// Python's `surrogateescape`, written out.
fn unescaped(payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = String::new();
    let mut rest = payload;
    while let Some(at) = rest.find("\\udc") {
        let is_ours = rest[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0;
        let end = if is_ours { at } else { at + 4 };
        text.push_str(&rest[..end]);
        rest = &rest[end..];
        if is_ours {
            let quoted = format!("\"{}\"", std::mem::take(&mut text).trim_matches('\u{1}'));
            bytes.extend(serde_json::from_str::<String>(&quoted).unwrap().into_bytes());
            bytes.push(u8::from_str_radix(&rest[4..6], 16).unwrap());
            rest = &rest[6..];
        }
    }
    text.push_str(rest);
    bytes.extend(serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap().into_bytes());
    bytes
}

proptest! {
    #[test]
    fn any_bytes_are_kept_without_loss(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let payload = escaped(&bytes);
        prop_assert!(serde_json::from_str::<&RawValue>(&payload).is_ok());
        prop_assert!(!payload.contains('\0'));
        prop_assert_eq!(unescaped(&payload[1..payload.len() - 1]), bytes);
    }

    #[test]
    fn no_damage_to_one_row_costs_a_trade(
        damage in proptest::collection::vec(any::<u8>(), 1..4),
        place in 0_usize..28,
        broken in 0_usize..6,
    ) {
        let texts: Vec<String> =
            (0..6).map(|n| format!("{{\"n\":\"{n}, ok\",\"ticker\":\"KX\"}}")).collect();
        let mut given: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
        let place = place.min(given[broken].len());
        given[broken].splice(place..place, damage);
        let body = [b"{\"cursor\":\"\",\"trades\":[", &given.join(&b","[..])[..], b"]}"].concat();
        // Bytes that end the list early make it another list, or none.
        let Some((kept, _)) = read(&body) else { return Ok(()) };
        for (n, text) in texts.iter().enumerate().filter(|(n, _)| *n != broken) {
            prop_assert!(kept.contains(text), "row {} of {:?}", n, kept);
        }
    }
}
