//! The rules of `normalize`, as tables.

use super::*;

fn asked() -> Ticker {
    Ticker::new("KX-A").unwrap()
}

fn event(payload: &str, asked: &Ticker) -> Result<RawEvent, Rejected> {
    super::event(payload, &asked.clone().into(), Timestamp::from_seconds(1_785_000_000))
}

/// An event of the present shape with `change` applied: `field=json` sets, `-field` removes.
fn shaped(changes: &[&str]) -> String {
    let mut event = serde_json::json!({
        "count_fp": "12.61", "created_time": "2026-07-25T05:51:39.54467Z", "is_block_trade": false,
        "no_price_dollars": "0.6200", "taker_book_side": "bid", "taker_outcome_side": "yes",
        "taker_side": "yes", "ticker": "KX-A", "trade_id": "c174ce46", "yes_price_dollars": "0.3800",
    });
    let fields = event.as_object_mut().unwrap();
    for change in changes {
        match change.split_once('=') {
            Some((name, json)) => {
                fields.insert(name.to_owned(), serde_json::from_str(json).unwrap());
            }
            None => {
                fields.remove(change.trim_start_matches('-'));
            }
        }
    }
    event.to_string()
}

fn check(changes: &[&str], expected: Result<(&str, &str, &str), &str>, why: &str) {
    let read = event(&shaped(changes), &asked());
    let read = read
        .map(|event| {
            let Trade { side, price, quantity, .. } = event.trade;
            (side.as_str().to_owned(), price.to_string(), quantity.to_string())
        })
        .map_err(|rejected| rejected.reason);
    let expected = expected
        .map(|(side, price, quantity)| (side.to_owned(), price.to_owned(), quantity.to_owned()))
        .map_err(str::to_owned);
    assert_eq!(read, expected, "{why}");
}

#[test]
fn the_side_is_the_newest_field_there_is() {
    let yes = Ok(("yes", "38.0000", "12.61"));
    let no = Ok(("no", "62.0000", "12.61"));
    check(&[], yes, "today's shape");
    check(&["taker_outcome_side=\"no\""], no, "the outcome side outranks the others");
    check(&["-taker_outcome_side", "taker_book_side=\"ask\""], no, "an ask is for no");
    check(&["-taker_outcome_side", "-taker_book_side"], yes, "spring 2026: taker_side alone");
    check(&["taker_outcome_side=null", "taker_book_side=null"], yes, "null is absent");
    check(
        &["taker_outcome_side=\"both\""],
        Err("taker_outcome_side \"both\" is not a side"),
        "no falling back over a value that is there",
    );
    check(
        &["-taker_outcome_side", "-taker_book_side", "-taker_side"],
        Err("none of taker_outcome_side, taker_book_side and taker_side is there"),
        "no side at all",
    );
}

#[test]
fn prices_are_exact_and_never_guessed() {
    check(&["-no_price_dollars"], Ok(("yes", "38.0000", "12.61")), "the no price is implied");
    check(&["-yes_price_dollars"], Ok(("yes", "38.0000", "12.61")), "and so is the yes price");
    let fine = ["yes_price_dollars=\"0.000101\"", "no_price_dollars=\"0.999899\""];
    check(&fine, Ok(("yes", "0.0101", "12.61")), "six decimals of a dollar");
    check(
        &["yes_price_dollars=\"0.0000001\"", "-no_price_dollars"],
        Err("yes_price \"0.0000001\" has more decimals than can be stored exactly"),
        "finer than the tables hold",
    );
    check(
        &["no_price_dollars=\"0.6300\""],
        Err("yes price 38.0000 and no price 63.0000 do not make a dollar"),
        "contradiction",
    );
    check(
        &["yes_price_dollars=\"1.2000\"", "-no_price_dollars"],
        Err("yes_price \"1.2000\" is not between nothing and a dollar"),
        "more than a contract can cost",
    );
    check(
        &["-yes_price_dollars", "-no_price_dollars"],
        Err("yes_price_dollars is missing"),
        "no price at all",
    );
    check(
        &["yes_price_dollars=0.38"],
        Err("invalid type: floating point `0.38`, expected a string"),
        "a float is not money",
    );
}

#[test]
fn older_shapes_are_read_exactly() {
    let january = [
        "-count_fp",
        "count=3",
        "yes_price=38",
        "no_price=62",
        "price=0.38",
        "-taker_outcome_side",
        "-taker_book_side",
        "-is_block_trade",
    ];
    check(&january, Ok(("yes", "38.0000", "3.00")), "January 2026: both money forms");
    let cents = [&january[..], &["-yes_price_dollars", "-no_price_dollars"]].concat();
    check(&cents, Ok(("yes", "38.0000", "3.00")), "before October 2025: cents alone");
    let read = event(&shaped(&cents), &asked()).unwrap();
    assert_eq!(read.trade.is_block_trade, None, "the older shapes do not say");
}

#[test]
fn quantities_are_positive_hundredths() {
    check(&["count_fp=\"0.01\""], Ok(("yes", "38.0000", "0.01")), "the least");
    check(&["count_fp=\"0.00\""], Err("count_fp \"0.00\" is out of range"), "nothing was traded");
    check(
        &["count_fp=\"1.005\""],
        Err("count_fp \"1.005\" has more decimals than can be stored exactly"),
        "finer than the tables hold",
    );
    check(&["-count_fp"], Err("count_fp is missing"), "neither form");
}

#[test]
fn an_event_that_is_refused_keeps_what_can_be_read() {
    let bad_time = shaped(&["created_time=\"yesterday\""]);
    let refused = event(&bad_time, &asked()).unwrap_err();
    assert_eq!(refused.trade_id.as_deref(), Some("c174ce46"));
    assert_eq!(&*refused.payload, bad_time, "byte for byte");
    assert_eq!(refused.reason, "created_time \"yesterday\" is not an RFC 3339 instant");

    let no_key = event(&shaped(&["trade_id=\"a\\u0000b\""]), &asked()).unwrap_err();
    assert_eq!(no_key.trade_id, None, "a key that no store can hold is no key");
}

#[test]
fn unknown_fields_stay_in_the_payload() {
    let text = shaped(&["something_new={\"a\":[1,2]}"]);
    assert_eq!(&*event(&text, &asked()).unwrap().payload, text);
}

#[test]
fn a_trade_has_a_time_at_which_the_exchange_traded() {
    // The event is read at 2026-07-25T17:20:00Z.
    for (time, refusal) in [
        ("2021-01-01T00:00:00Z", None),
        ("2026-07-26T17:20:00Z", None),
        ("2026-07-26T19:20:00.000000999+02:00", None),
        ("2020-12-31T23:59:59.999999Z", Some("before the exchange had trades")),
        ("2021-01-01T00:59:59+01:00", Some("before the exchange had trades")),
        ("0001-01-01T00:00:00Z", Some("before the exchange had trades")),
        ("0000-01-01T00:00:00Z", Some("before the exchange had trades")),
        ("1969-12-31T23:59:59Z", Some("before the exchange had trades")),
        ("2026-07-26T17:20:00.000001Z", Some("more than a day later than all clocks")),
        ("9999-12-31T23:59:59.999999Z", Some("more than a day later than all clocks")),
        ("9999-12-31T23:59:59-00:01", Some("not an RFC 3339 instant")),
        ("10000-01-01T00:00:00Z", Some("not an RFC 3339 instant")),
        ("-001-01-01T00:00:00Z", Some("not an RFC 3339 instant")),
        ("2026-07-25T23:59:60Z", Some("not an RFC 3339 instant")),
        ("2026-07-25T05:51:39+24:00", Some("not an RFC 3339 instant")),
        ("2026-07-25T05:51:39+0200", Some("not an RFC 3339 instant")),
        ("2026-07-25T05:51:39.0000000001Z", Some("not an RFC 3339 instant")),
        ("2026-07-25T05:51:39\\u0000Z", Some("not an RFC 3339 instant")),
        ("1785000000", Some("not an RFC 3339 instant")),
        ("", Some("not an RFC 3339 instant")),
    ] {
        let read = event(&shaped(&[&format!("created_time=\"{time}\"")]), &asked());
        match (read, refusal) {
            (Ok(_), None) => {}
            (Err(rejected), Some(words)) => {
                assert!(rejected.reason.contains(words), "{time}: {}", rejected.reason);
                assert!(!rejected.reason.contains('\0'), "{time}");
                assert_eq!(rejected.trade_id.as_deref(), Some("c174ce46"), "{time}");
            }
            (read, _) => panic!("{time}: {read:?}"),
        }
    }
    for time in ["1785000000", "null", "{}", "[\"2026-07-25T05:51:39Z\"]", "true", "1e400"] {
        event(
            &shaped(&["-created_time"]).replace('{', &format!("{{\"created_time\":{time},")),
            &asked(),
        )
        .unwrap_err();
    }
}
