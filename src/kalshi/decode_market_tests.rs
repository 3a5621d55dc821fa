//! Decoding of the exchange's JSON, and the deviations that it tolerates, as tables.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SEEN_AT: i64 = 1_785_000_000;

/// A market of summer 2026, with the fields that only a settled market has.
const MARKET: &str = r#"{"can_close_early":true,"close_time":"2026-07-25T06:00:00Z","created_time":"2026-07-24T09:00:35.350703Z","event_ticker":"KXA-26JUL25","exchange_index":0,"expected_expiration_time":"2026-07-25T06:05:00Z","expiration_time":"2026-08-01T06:00:00Z","expiration_value":"","floor_strike":74299.99,"latest_expiration_time":"2026-08-01T06:00:00Z","market_type":"binary","occurrence_datetime":null,"open_time":"2026-07-25T05:00:00.5Z","price_level_structure":"deci_cent","price_ranges":[{"end":"1.0000","start":"0.0000","step":"0.0010"}],"result":"yes","settlement_timer_seconds":60,"settlement_ts":"2026-07-25T06:07:08.090807Z","settlement_value_dollars":"1.0000","status":"finalized","ticker":"KXA-26JUL25-T1.99","title":"Is it \"above\" 1.99?","volume_fp":"1234567.89","yes_sub_title":"$1.99 or above"}"#;

/// The market with `changes` applied: `field=json` sets, `-field` removes.
fn shaped(changes: &[&str]) -> String {
    let mut market: BTreeMap<String, Box<RawValue>> = serde_json::from_str(MARKET).unwrap();
    for change in changes {
        match change.split_once('=') {
            Some((name, json)) => {
                market.insert(name.to_owned(), serde_json::from_str(json).unwrap());
            }
            None => {
                market.remove(change.trim_start_matches('-'));
            }
        }
    }
    serde_json::to_string(&market).unwrap()
}

fn page(rows: &[&str]) -> MarketsPage {
    let body = format!(r#"{{"markets":[{}],"cursor":""}}"#, rows.join(","));
    markets(body.as_bytes(), Timestamp::from_seconds(SEEN_AT)).unwrap()
}

fn read(changes: &[&str]) -> Market {
    let mut page = page(&[&shaped(changes)]);
    assert_eq!((page.first_unreadable, page.markets.len()), (None, 1), "{changes:?}");
    page.markets.remove(0).market
}

fn asked(tickers: &[&str]) -> Vec<Ticker> {
    tickers.iter().map(|ticker| Ticker::new(ticker).unwrap()).collect()
}

fn read_books(body: &str, tickers: &[&str]) -> BookAnswer {
    books(body.as_bytes(), &asked(tickers), Timestamp::from_seconds(SEEN_AT)).unwrap()
}

fn book(levels: &str) -> BookAnswer {
    let body = format!(r#"{{"orderbooks":[{{"ticker":"A","orderbook_fp":{levels}}}]}}"#);
    read_books(&body, &["A"])
}

#[expect(clippy::unnecessary_wraps, reason = "a field that may be missing")]
fn instant(text: &str) -> Option<Timestamp> {
    Some(Timestamp::parse_rfc3339(text).unwrap())
}

#[test]
fn every_field_is_read_and_the_rest_is_kept() {
    let page = page(&[MARKET]);
    let expected = Market {
        ticker: Ticker::new("KXA-26JUL25-T1.99").unwrap(),
        event_ticker: "KXA-26JUL25".into(),
        series: None,
        title: Some("Is it \"above\" 1.99?".into()),
        yes_label: Some("$1.99 or above".into()),
        status: Status::Finalized,
        result: Some("yes".into()),
        open_time: instant("2026-07-25T05:00:00.5Z"),
        close_time: instant("2026-07-25T06:00:00Z"),
        expected_expiration_time: instant("2026-07-25T06:05:00Z"),
        latest_expiration_time: instant("2026-08-01T06:00:00Z"),
        settlement_time: instant("2026-07-25T06:07:08.090807Z"),
        settlement_value: Price::from_e4_cents(1_000_000),
        volume_e2: Some(123_456_789),
        price_level_structure: Some("deci_cent".into()),
        terms: terms(MARKET),
        payload: MARKET.into(),
    };
    let seen_at = Timestamp::from_seconds(SEEN_AT);
    assert_eq!(page.tickers, std::slice::from_ref(&expected.ticker));
    assert_eq!(page.markets, [Sighting { market: expected, seen_at }]);
    assert_eq!((page.cursor, page.exchange_now), (None, seen_at));
}

#[test]
fn payloads_are_kept_byte_for_byte() {
    let odd = r#"{ "status" : "active",  "ticker":"A","zz":1.50,"zz":[ ],"event_ticker":"\u0045","é":"\ud83d\ude00"}"#;
    let page = page(&[MARKET, odd]);
    let kept: Vec<&str> = page.markets.iter().map(|seen| &*seen.market.payload).collect();
    assert_eq!(kept, [MARKET, odd]);
    assert_eq!(&*page.markets[1].market.event_ticker, "E", "and escapes are understood");
}

#[test]
fn what_is_missing_or_strange_is_not_known_and_spoils_nothing_else() {
    type Forget = fn(&mut Market);
    let fields: [(&str, Forget); 11] = [
        ("title", |market| market.title = None),
        ("yes_sub_title", |market| market.yes_label = None),
        ("result", |market| market.result = None),
        ("open_time", |market| market.open_time = None),
        ("close_time", |market| market.close_time = None),
        ("expected_expiration_time", |market| market.expected_expiration_time = None),
        ("latest_expiration_time", |market| market.latest_expiration_time = None),
        ("settlement_ts", |market| market.settlement_time = None),
        ("settlement_value_dollars", |market| market.settlement_value = None),
        ("volume_fp", |market| market.volume_e2 = None),
        ("price_level_structure", |market| market.price_level_structure = None),
    ];
    let complete = read(&[]);
    for (field, forget) in fields {
        for change in [
            format!("-{field}"),
            format!("{field}=null"),
            format!("{field}=\"\""),
            format!("{field}={{\"value\":1}}"),
            format!("{field}=[\"1.00\"]"),
            format!("{field}=true"),
            format!("{field}=-1"),
        ] {
            let mut expected = complete.clone();
            forget(&mut expected);
            let mut market = read(&[&change]);
            market.payload.clone_from(&expected.payload);
            market.terms.clone_from(&expected.terms);
            assert_eq!(market, expected, "{change}");
        }
    }
}

#[test]
fn numbers_are_read_by_their_digits_and_words_only_from_text() {
    let volume = |change: &str| read(&[change]).volume_e2;
    let value = |change: &str| {
        read(&[&format!("settlement_value_dollars={change}")]).settlement_value.map(Price::e4_cents)
    };
    for (change, expected, why) in [
        ("volume_fp=\"0.00\"", Some(0), "nothing traded is known, too"),
        ("volume_fp=\"12\"", Some(1_200), "no decimals"),
        ("volume_fp=12.5", Some(1_250), "a number where text is expected"),
        ("volume_fp=1e3", None, "an exponent is no exact text"),
        ("volume_fp=\"1.005\"", None, "finer than can be kept exactly: unknown, not rounded"),
        ("volume_fp=\"99999999999999999999\"", None, "more than fits"),
    ] {
        assert_eq!(volume(change), expected, "{change}: {why}");
    }
    for (text, expected, why) in [
        ("\"0.0000\"", Some(0), "no"),
        ("\"0.3800\"", Some(380_000), "scalar"),
        ("\"0.000101\"", Some(101), "six decimals"),
        ("0.38", Some(380_000), "a number's own digits"),
        ("1", Some(1_000_000), "a whole number"),
        ("\"1.0001\"", None, "more than a contract can pay"),
        ("\"0.0000001\"", None, "finer than can be kept exactly"),
        ("\"-0.3800\"", None, "negative"),
    ] {
        assert_eq!(value(text), expected, "{text}: {why}");
    }
    assert_eq!(read(&["title=17"]).title, None, "a number is no title");
    assert_eq!(read(&["close_time=1785000000"]).close_time, None, "nor an instant");
    assert_eq!(read(&["close_time=\"tomorrow\""]).close_time, None);
    assert_eq!(read(&["close_time=\"0000-00-00T00:00:00Z\""]).close_time, None);
    let offset = read(&["close_time=\"2026-07-25T02:00:00-04:00\""]).close_time;
    assert_eq!(offset, instant("2026-07-25T06:00:00Z"), "the same instant elsewhere");
}

#[test]
fn older_shapes_are_read() {
    let january = [
        "-volume_fp",
        "volume=42",
        "volume_24h=0",
        "tick_size=1",
        "liquidity=0",
        "yes_bid=38",
        "response_price_units=\"usd_cent\"",
        "-price_level_structure",
        "-settlement_ts",
    ];
    let market = read(&january);
    assert_eq!((market.volume_e2, market.price_level_structure), (Some(4_200), None));
    let both = read(&["volume_fp=\"42.50\"", "volume=42"]);
    assert_eq!(both.volume_e2, Some(4_250), "the exact one of the two");
    let unreadable = read(&["volume_fp=null", "volume=42"]);
    assert_eq!(unreadable.volume_e2, Some(4_200));
}

#[test]
fn every_status_has_its_word_and_an_unknown_one_is_kept() {
    for word in [
        "initialized",
        "inactive",
        "active",
        "closed",
        "determined",
        "disputed",
        "amended",
        "finalized",
        "vanished",
        "suspended",
        "Active",
        "",
    ] {
        let status = read(&[&format!("status=\"{word}\"")]).status;
        assert_eq!(status.as_str(), word);
        let is_known = !["suspended", "Active", ""].contains(&word);
        assert_eq!(!matches!(status, Status::Other(_)), is_known, "{word:?}");
        assert_eq!(status.is_over(), ["finalized", "vanished"].contains(&word), "{word:?}");
    }
}

#[test]
fn an_unreadable_market_does_not_spoil_its_list() {
    for (row, its_ticker, why) in [
        (shaped(&["-status"]), Some("KXA-26JUL25-T1.99"), "no status"),
        (shaped(&["status=null"]), Some("KXA-26JUL25-T1.99"), "a status of null"),
        (shaped(&["status=3"]), Some("KXA-26JUL25-T1.99"), "a status that is no word"),
        (shaped(&["-event_ticker"]), Some("KXA-26JUL25-T1.99"), "no event"),
        (
            r#"{"ticker":"A","status":"active","status":"closed","event_ticker":"E"}"#.to_owned(),
            Some("A"),
            "two statuses",
        ),
        (shaped(&["-ticker"]), None, "no ticker"),
        (shaped(&["ticker=7"]), None, "a ticker that is no text"),
        (shaped(&["ticker=\"\""]), None, "an empty ticker"),
        (shaped(&["ticker=\"two\\twords\""]), None, "a ticker with a tab"),
        (shaped(&["ticker=\" A\""]), None, "a ticker that begins with a blank"),
        (shaped(&["ticker=\"*\""]), None, "the name of the tape"),
        ("null".to_owned(), None, "null"),
        ("[]".to_owned(), None, "a list"),
        ("17".to_owned(), None, "a number"),
    ] {
        let good = shaped(&["ticker=\"GOOD\""]);
        let page = page(&[&row, &good]);
        let tickers: Vec<&str> = page.tickers.iter().map(Ticker::as_str).collect();
        let expected: Vec<&str> = its_ticker.into_iter().chain(["GOOD"]).collect();
        assert_eq!(tickers, expected, "{why}");
        assert_eq!(page.markets.len(), 1, "{why}");
        let reason = page.first_unreadable.unwrap_or_default();
        assert!(!reason.is_empty() && reason.len() < 400, "{why}: {reason}");
    }
}

#[test]
fn bytes_that_are_no_text_spoil_one_row_of_each_list() {
    let now = Timestamp::from_seconds(SEEN_AT);
    let deep = format!("\"{}{}\"", "[".repeat(300), "]".repeat(300)).replace('"', "");
    for odd in [&b"\"\0\""[..], b"\"\xff\"", b"\"a\nb\"", b"NaN", deep.as_bytes()] {
        let body = |name: &str, odd_row: &str, good: &str| {
            let (before, after) = odd_row.split_once('?').unwrap();
            let row = [before.as_bytes(), odd, after.as_bytes()].concat();
            let list = [&row[..], good.as_bytes()].join(&b","[..]);
            [format!("{{\"{name}\":[").as_bytes(), &list, b"],\"cursor\":\"c1\"}"].concat()
        };
        let good = shaped(&["ticker=\"GOOD\""]);
        let page = markets(&body("markets", r#"{"ticker":"ODD","x":?}"#, &good), now).unwrap();
        let named: Vec<&str> = page.tickers.iter().map(Ticker::as_str).collect();
        assert_eq!((page.markets.len(), page.cursor.as_deref()), (1, Some("c1")));
        let odd = String::from_utf8_lossy(odd);
        assert!(named.ends_with(&["GOOD"]), "{odd}: {named:?}");
        assert_eq!(named.starts_with(&["ODD"]), odd != "NaN", "{odd}: {named:?}");
        assert!(page.first_unreadable.is_some_and(|reason| reason.starts_with("it is ")), "{odd}");

        let good = r#"{"event_ticker":"E","series_ticker":"S"}"#;
        let (read, first_unreadable) =
            events(&body("events", r#"{"event_ticker":?}"#, good)).unwrap();
        assert_eq!((read.len(), first_unreadable.is_some()), (1, true), "{odd}");

        let good = r#"{"ticker":"A","orderbook_fp":{"yes_dollars":[],"no_dollars":[]}}"#;
        let body = body("orderbooks", r#"{"ticker":"B","orderbook_fp":?}"#, good);
        let answer = books(&body, &asked(&["A", "B"]), now).unwrap();
        assert_eq!((answer.books.len(), answer.first_unreadable.is_some()), (1, true), "{odd}");
    }
    for bad in
        ["null", "7", "{\"event_ticker\":\"E\"}", "{\"event_ticker\":\"E\",\"series_ticker\":null}"]
    {
        let body = format!(r#"{{"events":[{bad},{{"event_ticker":"E","series_ticker":"S"}}]}}"#);
        let (read, first_unreadable) = events(body.as_bytes()).unwrap();
        assert_eq!((read.len(), first_unreadable.is_some()), (1, true), "{bad}");
    }
}

#[test]
fn the_end_of_a_list_has_three_spellings() {
    let cursor =
        |body: &str| markets(body.as_bytes(), Timestamp::from_seconds(0)).map(|p| p.cursor);
    for spelling in [r#","cursor":"""#, r#","cursor":null"#, ""] {
        assert_eq!(cursor(&format!(r#"{{"markets":[]{spelling}}}"#)).unwrap(), None, "{spelling}");
    }
    let next = cursor(r#"{"cursor":"CgwIs9OM-_","markets":[]}"#).unwrap();
    assert_eq!(next.as_deref(), Some("CgwIs9OM-_"));
    let failure = cursor(r#"{"cursor":"a b","markets":[]}"#).unwrap_err();
    assert_eq!(failure.kind, Kind::ExchangeUnreadable, "what is no cursor is not the end");
}

#[test]
fn a_body_of_something_else_is_unreadable_and_null_is_an_empty_list() {
    let kinds = |body: &[u8]| {
        let now = Timestamp::from_seconds(0);
        [
            markets(body, now).err().map(|failure| failure.kind),
            events(body).err().map(|failure| failure.kind),
            books(body, &asked(&["A"]), now).err().map(|failure| failure.kind),
        ]
    };
    for body in [
        &b""[..],
        b"<html>busy</html>",
        b"null",
        b"[]",
        b"7",
        b"{\"ok\":true}",
        b"{\"cursor\":\"\"}",
        b"{\"markets\":{},\"events\":{},\"orderbooks\":{}}",
        b"{\"markets\":\"\",\"events\":\"\",\"orderbooks\":\"\"}",
        b"{\"markets\":[],\"events\":[],\"orderbooks\":[]",
        b"\xff\xfe",
    ] {
        let unreadable = Some(Kind::ExchangeUnreadable);
        assert_eq!(kinds(body), [unreadable; 3], "{:?}", String::from_utf8_lossy(body));
    }
    let nothing = br#"{"markets":null,"events":null,"orderbooks":null,"cursor":null}"#;
    assert_eq!(kinds(nothing), [None; 3], "nothing matches");
}

#[test]
fn events_name_their_series() {
    let body = r#"{"cursor":"","events":[{"event_ticker":"E-1","series_ticker":"S","title":"T","mutually_exclusive":false,"strike_date":null},
        {"series_ticker":"S2","event_ticker":"E-2","title":null},{"series_ticker":"S3","event_ticker":"E-3","title":4}]}"#;
    let record = |event: &str, series: &str, title: Option<&str>| EventRecord {
        event_ticker: event.into(),
        series: series.into(),
        title: title.map(Into::into),
    };
    let expected =
        [record("E-1", "S", Some("T")), record("E-2", "S2", None), record("E-3", "S3", None)];
    assert_eq!(events(body.as_bytes()).unwrap(), (expected.to_vec(), None));
}

#[test]
fn books_are_sorted_whatever_the_order_and_kept_as_received() {
    for levels in [
        r#"{"no_dollars":[["0.0100","7100.00"],["0.6100","79.00"]],"yes_dollars":[["0.0100","6600.00"],["0.380001","0.01"]]}"#,
        r#"{"yes_dollars": [["0.380001","0.01"],["0.0100","6600.00"]], "no_dollars": [["0.6100","79.00"],["0.0100","7100.00"]]}"#,
    ] {
        let answer = book(levels);
        assert_eq!(answer.first_unreadable, None);
        let [Snapshot { market, captured_at, figures, levels: kept }] = &answer.books[..] else {
            panic!("{answer:?}");
        };
        assert_eq!((market.as_str(), &**kept), ("A", levels));
        assert_eq!(*captured_at, Timestamp::from_seconds(SEEN_AT));
        assert_eq!(figures.best_yes_bid.map(Price::e4_cents), Some(380_001), "to the last decimal");
        assert_eq!(figures.best_no_bid.map(Price::e4_cents), Some(610_000));
        assert_eq!((figures.yes_depth_e2, figures.no_depth_e2), (660_001, 717_900));
    }
}

#[test]
fn figures_of_the_finest_prices_are_exact() {
    let levels = r#"{"no_dollars":[["0.610000","1000.00"]],"yes_dollars":[["0.380001","99.99"],["0.000001","900.01"]]}"#;
    let figures = book(levels).books[0].figures;
    assert_eq!(figures.spread_e4, Some(9_999));
    // The middle of the best prices is 38.50005 cents, between two price steps.
    assert_eq!(figures.slippage_buy_e9, [Some(499_950_000); 2]);
    // 100 contracts take one hundredth of a contract from the level below; 1,000 take all of that level.
    assert_eq!(figures.slippage_sell_e9, [Some(503_750_000), Some(34_700_330_000)]);
}

#[test]
fn an_empty_book_has_many_spellings() {
    let empty = Book::default().figures();
    for levels in [
        r#"{"no_dollars":[],"yes_dollars":[]}"#,
        r#"{"no_dollars":null,"yes_dollars":null}"#,
        r#"{"no_dollars":[["0.5000","0.00"]],"yes_dollars":[["0.4000","0"]]}"#,
    ] {
        let answer = book(levels);
        assert_eq!(answer.first_unreadable, None, "{levels}");
        assert_eq!(answer.books.len(), 1, "{levels}");
        assert_eq!(answer.books[0].figures, empty, "{levels}: a level of nothing is no level");
    }
}

#[test]
fn an_unreadable_book_does_not_spoil_the_others() {
    for (row, reason) in [
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":[["1.0001","1.00"]],"no_dollars":[]}}"#,
            "above a dollar",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":[["0.0000001","1.00"]],"no_dollars":[]}}"#,
            "more decimals",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":null,"no_dollars":[["0.5","0.001"]]}}"#,
            "more decimals",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":null,"no_dollars":[["-0.5","1"]]}}"#,
            "not a decimal",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":null,"no_dollars":[["0.5","-1"]]}}"#,
            "not a decimal",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":null,"no_dollars":[["0.5"]]}}"#,
            "invalid length",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":null,"no_dollars":[["0.5","1","2"]]}}"#,
            "trailing characters",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":null,"no_dollars":[[0.5,1]]}}"#,
            "expected a string",
        ),
        (
            r#"{"ticker":"A","orderbook_fp":{"yes_dollars":null,"no_dollars":{}}}"#,
            "expected a sequence",
        ),
        (r#"{"ticker":"A","orderbook_fp":{"yes":null,"no":null}}"#, "missing field"),
        (r#"{"ticker":"A","orderbook_fp":{"yes_dollars":[]}}"#, "missing field"),
        (r#"{"ticker":"A","orderbook_fp":null}"#, "invalid type: null"),
        (r#"{"ticker":"A"}"#, "missing field"),
        (r#"{"ticker":"A","orderbook":{"yes":null}}"#, "missing field"),
        (r#"{"ticker":"*","orderbook_fp":{}}"#, "no ticker"),
        (r#"{"orderbook_fp":{}}"#, "missing field"),
        ("null", "invalid type: null"),
    ] {
        let good =
            r#"{"ticker":"B","orderbook_fp":{"yes_dollars":[["0.0001","0.01"]],"no_dollars":[]}}"#;
        let answer = read_books(&format!(r#"{{"orderbooks":[{row},{good}]}}"#), &["A", "B"]);
        let read: Vec<&str> = answer.books.iter().map(|book| book.market.as_str()).collect();
        assert_eq!(read, ["B"], "{row}");
        let said = answer.first_unreadable.unwrap_or_default();
        assert!(said.contains(reason), "{row}: {said}");
    }
}

#[test]
fn a_book_nobody_asked_for_is_left_out() {
    let row = |ticker: &str| {
        format!(r#"{{"ticker":"{ticker}","orderbook_fp":{{"yes_dollars":[],"no_dollars":[]}}}}"#)
    };
    let body = format!(r#"{{"orderbooks":[{},{},{}]}}"#, row("B"), row("A,B"), row("C"));
    let answer = read_books(&body, &["A", "B"]);
    assert_eq!(answer.first_unreadable, None);
    let read: Vec<&str> = answer.books.iter().map(|book| book.market.as_str()).collect();
    assert_eq!(read, ["B"]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let now = Timestamp::from_seconds(0);
        let _ = (markets(&body, now), events(&body), books(&body, &asked(&["A"]), now));
    }

    /// Closer to real answers than random bytes: fields of any kind in a valid envelope.
    #[test]
    fn arbitrary_fields_never_panic_and_never_cost_a_row(
        values in proptest::collection::vec("null|true|-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,9})?|\"[ -!#-\\[\\]-~]{0,30}\"|\\[\\]|\\{\\}", 4)
    ) {
        let [a, b, c, d] = &values[..] else { unreachable!() };
        let row = format!(r#"{{"ticker":"A","event_ticker":"E","status":"active","close_time":{a},"volume_fp":{b},"settlement_value_dollars":{c},"title":{d}}}"#);
        let page = page(&[&row, MARKET]);
        prop_assert_eq!(page.markets.len(), 2, "{:?}", page.first_unreadable);
        let book = book(&format!(r#"{{"yes_dollars":[[{a},{b}]],"no_dollars":{c}}}"#));
        prop_assert_eq!(book.books.len() + usize::from(book.first_unreadable.is_some()), 1);
    }
}
