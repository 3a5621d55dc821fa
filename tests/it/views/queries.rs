//! The documented queries in `examples/queries`: each file runs on both stores as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kalshi_ingest::domain::book::{Book, Level, Snapshot};
use kalshi_ingest::domain::market::{Market, Sighting, Status, Terms};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity};

use super::{Stored, rows, store};
use crate::support::database::{Database, on_both_stores};

on_both_stores! { every_query_answers }

const B50: &str = "KXHIGHNY-26NOV22-B50";
const B52: &str = "KXHIGHNY-26NOV22-B52";
const T90: &str = "KXBTCD-26NOV22-T90000";

const TRADES: [Stored<'_>; 11] = [
    ("t01", B50, "yes", 400_000, 1_000, "2026-11-20T12:00:00.000000Z", Some(false)),
    ("t02", B50, "no", 580_000, 500, "2026-11-22T10:00:30.500000Z", Some(false)),
    ("t03", B50, "yes", 440_000, 500, "2026-11-22T10:00:30.500000Z", Some(false)),
    ("t04", B50, "yes", 435_000, 250, "2026-11-22T10:00:59.999999Z", None),
    ("t05", B50, "yes", 600_000, 100, "2026-11-22T10:59:00.000000Z", Some(true)),
    ("t06", B50, "yes", 990_000, 10_000, "2026-11-23T04:59:59.000000Z", Some(false)),
    ("t07", B52, "no", 700_000, 2_000, "2026-11-21T08:00:00.000000Z", Some(false)),
    ("t08", B52, "yes", 10_000, 300, "2026-11-22T23:59:59.999999Z", Some(false)),
    ("t09", T90, "yes", 123_456, 100_025, "2026-11-22T00:00:00.000000Z", Some(true)),
    ("t10", T90, "no", 880_000, 50, "2026-11-16T00:00:00.000000Z", Some(false)),
    ("t11", T90, "yes", 100_000, 100, "2026-11-15T23:59:59.999999Z", Some(false)),
];

/// Each file, and the rows of its answer.
const QUERIES: [(&str, &[&str]); 10] = [
    (
        "vwap",
        &[
            "2026-11-20T12:00:00.000000Z|40|10|1",
            "2026-11-22T10:00:00.000000Z|44.351852|13.5|4",
            "2026-11-23T04:00:00.000000Z|99|100|1",
        ],
    ),
    (
        "ohlc",
        &[
            "KXBTCD-26NOV22-T90000|2026-11-22T00:00:00.000000Z|12.3456|12.3456|12.3456|12.3456|1000.25|1",
            "KXHIGHNY-26NOV22-B50|2026-11-22T10:00:00.000000Z|42|44|42|43.5|12.5|3",
            "KXHIGHNY-26NOV22-B50|2026-11-22T10:59:00.000000Z|60|60|60|60|1|1",
            "KXHIGHNY-26NOV22-B52|2026-11-22T23:59:00.000000Z|1|1|1|1|3|1",
        ],
    ),
    (
        "last_price",
        &[
            "KXHIGHNY-26NOV22-B50|50° to 51°|99|2026-11-23T04:59:59.000000Z|finalized|yes",
            "KXHIGHNY-26NOV22-B52|52° to 53°|1|2026-11-22T23:59:59.999999Z|finalized|no",
        ],
    ),
    (
        "probability_with_result",
        &[
            "2026-11-20T12:00:00.000000Z|40|yes|100",
            "2026-11-22T10:00:00.000000Z|60|yes|100",
            "2026-11-23T04:00:00.000000Z|99|yes|100",
        ],
    ),
    (
        "volume_by_series_and_day",
        &[
            "KXBTCD|2026-11-22|1000.25|123.486864|1",
            "KXHIGHNY|2026-11-20|10|4|1",
            "KXHIGHNY|2026-11-21|20|14|1",
            "KXHIGHNY|2026-11-22|16.5|6.8175|5",
        ],
    ),
    (
        "spread_over_time",
        &[
            "2026-11-22T10:00:00.000000Z|40|41|1|100|50|null",
            "2026-11-22T10:01:00.000000Z|40|42|2|100|100|1",
        ],
    ),
    ("calibration", &["30|35|1|30|0", "40|45|1|40|100"]),
    (
        "block_trades",
        &[
            "KXHIGHNY-26NOV22-B50|Highest temperature?|50° to 51°|2026-11-22T10:59:00.000000Z|yes|60|1|0.6",
            "KXBTCD-26NOV22-T90000|null|null|2026-11-22T00:00:00.000000Z|yes|12.3456|1000.25|123.486864",
        ],
    ),
    (
        "largest_trades",
        &[
            "KXBTCD-26NOV22-T90000|null|null|2026-11-22T00:00:00.000000Z|yes|12.3456|1000.25|123.486864",
            "KXHIGHNY-26NOV22-B52|Highest temperature?|52° to 53°|2026-11-21T08:00:00.000000Z|no|30|20|14",
            "KXHIGHNY-26NOV22-B50|Highest temperature?|50° to 51°|2026-11-20T12:00:00.000000Z|yes|40|10|4",
            "KXHIGHNY-26NOV22-B50|Highest temperature?|50° to 51°|2026-11-22T10:00:30.500000Z|no|42|5|2.9",
            "KXHIGHNY-26NOV22-B50|Highest temperature?|50° to 51°|2026-11-22T10:00:30.500000Z|yes|44|5|2.2",
            "KXHIGHNY-26NOV22-B50|Highest temperature?|50° to 51°|2026-11-22T10:00:59.999999Z|yes|43.5|2.5|1.0875",
            "KXHIGHNY-26NOV22-B50|Highest temperature?|50° to 51°|2026-11-22T10:59:00.000000Z|yes|60|1|0.6",
            "KXBTCD-26NOV22-T90000|null|null|2026-11-16T00:00:00.000000Z|no|12|0.5|0.44",
            "KXHIGHNY-26NOV22-B52|Highest temperature?|52° to 53°|2026-11-22T23:59:59.999999Z|yes|1|3|0.03",
        ],
    ),
    (
        "gaps",
        &[
            "2026-11-20T12:00:00.000000Z|2026-11-22T10:00:30.500000Z|165630.5",
            "2026-11-22T10:59:00.000000Z|2026-11-23T04:59:59.000000Z|64859",
        ],
    ),
];

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn market(
    ticker: &str,
    series: &str,
    words: Option<(&str, &str)>,
    result: Option<&str>,
) -> Sighting {
    let over = result.is_some();
    let market = Market {
        ticker: Ticker::new(ticker).unwrap(),
        event_ticker: ticker.rsplit_once('-').unwrap().0.into(),
        series: Some(series.into()),
        title: words.map(|(title, _)| title.into()),
        yes_label: words.map(|(_, label)| label.into()),
        status: if over { Status::Finalized } else { Status::Active },
        result: result.map(Into::into),
        open_time: Some(instant("2026-11-15T00:00:00Z")),
        close_time: Some(instant("2026-11-23T05:00:00Z")),
        expected_expiration_time: None,
        latest_expiration_time: None,
        settlement_time: over.then(|| instant("2026-11-23T06:00:00Z")),
        settlement_value: result
            .and_then(|result| Price::from_e4_cents(if result == "yes" { 1_000_000 } else { 0 })),
        volume_e2: Some(12_345),
        price_level_structure: None,
        terms: Terms::new(),
        payload: "{}".into(),
    };
    Sighting { market, seen_at: instant("2026-11-23T07:00:00Z") }
}

/// A book with these best bids: price in cents, and contracts.
fn book(at: &str, yes: (i64, i64), no: (i64, i64)) -> Snapshot {
    let level = |(cents, contracts): (i64, i64)| Level {
        price: Price::from_e4_cents(cents * 10_000).unwrap(),
        quantity: Quantity::from_e2(contracts * 100).unwrap(),
    };
    Snapshot {
        market: Ticker::new(B50).unwrap(),
        captured_at: instant(at),
        figures: Book::new(vec![level(yes)], vec![level(no)]).figures(),
        levels: "{}".into(),
    }
}

fn fill(database: &Database) {
    let mut opened = database.open();
    store(database, &TRADES);
    let now = instant("2026-11-23T08:00:00Z");
    let weather = |label| Some(("Highest temperature?", label));
    let markets = [
        market(B50, "KXHIGHNY", weather("50° to 51°"), Some("yes")),
        market(B52, "KXHIGHNY", weather("52° to 53°"), Some("no")),
        market(T90, "KXBTCD", None, None),
    ];
    opened.save_markets(&markets, &[], now).unwrap();
    let books = [
        book("2026-11-22T10:00:00Z", (40, 100), (59, 50)),
        book("2026-11-22T10:01:00Z", (40, 100), (58, 100)),
    ];
    opened.save_books(&books).unwrap();
}

fn every_query_answers(database: &Database) {
    fill(database);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/queries");
    let files: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let named: BTreeSet<String> = QUERIES.iter().map(|(name, _)| format!("{name}.sql")).collect();
    assert_eq!(files, named, "each file has its rows here");
    for (name, expected) in QUERIES {
        let sql = fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
        assert!(sql.starts_with("-- "), "{name} says what it asks");
        assert_eq!(rows(database, &sql), expected, "{name}");
    }
}
