//! What is stored of a market is what the exchange says of it, to the last character.

use std::collections::HashMap;

use kalshi_simulator::{Market, Rules, Status, Trade, seeded_trades};
use serde_json::value::RawValue;

use super::{
    HOUR_US, MINUTE_US, SECOND_US, asked, invoke, micros, open_market, queries, rows, scaled,
};
use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, assert_rows, on_both_stores};

on_both_stores! {
    pooled:
    every_market_of_a_series_is_stored_as_it_is,
    markets_of_events_and_by_name_are_stored_as_they_are,
    an_archived_market_is_found_by_its_name,
}

const CUTOFF_S: i64 = (NOON_US - 60 * DAY_US) / SECOND_US;

type Row = Vec<Option<String>>;

fn rules() -> Rules {
    Rules { markets_cutoff_s: CUTOFF_S, ..Rules::default() }
}

/// Markets in every status and with every combination of what can be missing, in the series KXA.
fn add_markets(bench: &Bench<'_>) {
    let exchange = &bench.exchange;
    // An event and its markets may be named after something else than their series.
    exchange.add_group("KXODD-26", "KXA", "Named before the series was");
    let open = |name: &str| Market {
        // Later ones are newer, with a fraction of a second.
        created_us: NOON_US - 90 * DAY_US + 7,
        ..open_market(&format!("KXA-26-{name}"), "KXA-26")
    };
    let with = |name: &str, status: Status, result: &str, value_e4: Option<i64>| Market {
        status: Some(status),
        result: result.to_owned(),
        settlement_value_e4: value_e4,
        close_us: NOON_US - HOUR_US + 123_456,
        ..open(name)
    };
    let settled = |name: &str, result: &str, value_e4: i64, settled_us: i64| Market {
        settled_us: Some(settled_us),
        ..with(name, Status::Finalized, result, Some(value_e4))
    };
    let hour_ago = NOON_US - HOUR_US;
    for market in [
        Market { open_us: NOON_US + 1, updated_us: hour_ago, ..open("FUTURE") },
        open("ACTIVE"),
        Market { open_us: NOON_US, ..open("OPENED-NOW") },
        Market { close_us: NOON_US, ..open("CLOSED-NOW") },
        with("PAUSED", Status::Inactive, "", None),
        with("DETERMINED", Status::Determined, "yes", Some(10_000)),
        with("DISPUTED", Status::Disputed, "no", Some(0)),
        with("AMENDED", Status::Amended, "no", None),
        settled("YES", "yes", 10_000, NOON_US - MINUTE_US + 1),
        settled("NO", "no", 0, NOON_US - MINUTE_US),
        settled("SCALAR", "scalar", 3_801, NOON_US - MINUTE_US + 999_999),
        settled("ARCHIVED", "yes", 10_000, NOON_US - 61 * DAY_US),
        Market { is_provisional: true, ..open("PROVISIONAL") },
        Market { expected_expiration_us: None, ..open("NOT-EXPECTED") },
        Market { price_level_structure: "center_centi_edge_centi_cent".to_owned(), ..open("FINE") },
        Market { price_level_structure: "of_next_year".to_owned(), ..open("NEW-GRID") },
        Market {
            title: "\"Ünïcode\" \\ 100% 🎲\ttab\n'; drop table".to_owned(),
            ..open("ODD-TITLE")
        },
        Market { title: String::new(), ..open("NO-TITLE") },
        open_market("KXODD-26-X", "KXODD-26"),
    ] {
        exchange.add_market(market);
    }
    for (n, name) in ["ACTIVE", "YES", "ARCHIVED", "FINE"].into_iter().enumerate() {
        let ticker = format!("KXA-26-{name}");
        exchange.add_all(seeded_trades(3, &ticker, 40 * (n + 1), hour_ago, NOON_US));
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a cell of a table")]
fn micro(us: i64) -> Option<String> {
    Some(us.to_string())
}

fn words(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A market as the exchange has it, in the columns of [`stored`].
fn truth(bench: &Bench<'_>, market: &Market, series: &str, payload: &str) -> Row {
    let volume_e2: u64 =
        bench.exchange.trades(&market.ticker).iter().map(|t: &Trade| t.count_e2).sum();
    vec![
        words(&market.ticker),
        words(&market.event_ticker),
        words(series),
        words(&market.title),
        words(market.status_at(bench.exchange.now_us()).as_str()),
        words(&market.result),
        words(&market.price_level_structure),
        words(payload),
        micro(market.open_us),
        micro(market.close_us),
        market.expected_expiration_us.and_then(micro),
        micro(market.latest_expiration_us),
        market.settled_us.and_then(micro),
        // A ten-thousandth of a dollar is a hundred ten-thousandths of a cent.
        market.settlement_value_e4.map(|value_e4| (value_e4 * 100).to_string()),
        Some(volume_e2.to_string()),
    ]
}

fn stored(database: &Database) -> Vec<Row> {
    let plain = [
        "market_ticker",
        "event_ticker",
        "series_ticker",
        "title",
        "status",
        "result",
        "price_level_structure",
        "payload",
    ];
    let times = [
        "open_time",
        "close_time",
        "expected_expiration_time",
        "latest_expiration_time",
        "settlement_time",
    ];
    let mut columns: Vec<String> = plain.map(str::to_owned).into();
    columns.extend(times.map(|column| micros(database, column)));
    columns.push(scaled(database, "settlement_value", 4));
    columns.push(scaled(database, "volume", 2));
    rows(database, &columns, "prediction_markets where source = 'kalshi' order by market_ticker")
}

#[derive(serde::Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    markets: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Named {
    ticker: String,
}

/// What the exchange serves of each market, byte for byte.
fn served(bench: &Bench<'_>) -> HashMap<String, String> {
    let mut served = HashMap::new();
    for path in ["/markets", "/historical/markets"] {
        let url = format!("{}{path}?limit=1000", bench.server.base_url());
        let body = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
        let page: Page<'_> = serde_json::from_str(&body).unwrap();
        for row in page.markets {
            let named: Named = serde_json::from_str(row.get()).unwrap();
            served.insert(named.ticker, row.get().to_owned());
        }
    }
    bench.exchange.forget_requests();
    served
}

/// Every market stored equals the exchange's, and all of these are.
#[track_caller]
fn assert_stored(bench: &Bench<'_>, wanted: impl Fn(&Market) -> bool, why: &str) {
    let served = served(bench);
    let mut markets = bench.exchange.markets();
    markets.sort_by(|a, b| a.ticker.cmp(&b.ticker));
    let wanted = markets.iter().filter(|market| wanted(market));
    let truth: Vec<Row> =
        wanted.map(|market| truth(bench, market, "KXA", &served[&market.ticker])).collect();
    assert!(!truth.is_empty(), "{why}");
    assert_rows(&stored(bench.database), &truth, why);
}

fn every_market_of_a_series_is_stored_as_it_is(database: &Database) {
    let bench = Bench::new(database, rules());
    add_markets(&bench);
    bench.exchange.add_market(open_market("KXB-26-X", "KXB-26"));
    assert_eq!(invoke(&bench, "markets", &["--series", "KXA"]), 0);
    let asked = queries(&asked(&bench));
    assert_eq!(
        asked,
        [
            "/markets?series_ticker=KXA&mve_filter=exclude",
            "/events?tickers=KXODD-26",
            "/historical/markets?series_ticker=KXA&mve_filter=exclude"
        ],
        "nobody has to be asked for the series, nor for what settled long ago by name"
    );
    assert_stored(
        &bench,
        |market| !market.ticker.starts_with("KXB"),
        "live and archived, no others",
    );
    assert_eq!(database.number("select exit_code as x from ingestion_runs"), 0);
    assert_eq!(database.number("select requests as x from ingestion_runs"), 3);
    // Without the clock moving, a second sync finds the same.
    assert_eq!(invoke(&bench, "markets", &["--series", "KXA"]), 0);
    assert_stored(&bench, |market| !market.ticker.starts_with("KXB"), "again");
}

fn markets_of_events_and_by_name_are_stored_as_they_are(database: &Database) {
    let bench = Bench::new(database, rules());
    add_markets(&bench);
    let flags = ["--event", "KXA-26", "--market", "KXODD-26-X,KXA-26-SCALAR"];
    assert_eq!(invoke(&bench, "markets", &flags), 0);
    let asked = queries(&asked(&bench));
    assert_eq!(
        asked,
        [
            "/markets?event_ticker=KXA-26&mve_filter=exclude",
            "/historical/markets?event_ticker=KXA-26&mve_filter=exclude",
            "/markets?tickers=KXA-26-SCALAR,KXODD-26-X",
            "/events?tickers=KXA-26,KXODD-26",
        ],
        "the series come from the events"
    );
    assert_stored(&bench, |_| true, "the series is the event's, not the ticker's beginning");
    let events = database.texts(
        "select event_ticker || ' ' || series_ticker || ' ' || title as x
         from prediction_events order by event_ticker",
    );
    let events: Vec<&str> = events.iter().flatten().map(String::as_str).collect();
    let expected = ["KXA-26 KXA What about KXA-26?", "KXODD-26 KXA Named before the series was"];
    assert_eq!(events, expected);
}

fn an_archived_market_is_found_by_its_name(database: &Database) {
    let bench = Bench::new(database, rules());
    add_markets(&bench);
    assert_eq!(invoke(&bench, "markets", &["--market", "KXA-26-ARCHIVED,KXA-26-YES"]), 0);
    let asked = queries(&asked(&bench));
    assert_eq!(
        asked[..2],
        [
            "/markets?tickers=KXA-26-ARCHIVED,KXA-26-YES",
            "/historical/markets?tickers=KXA-26-ARCHIVED"
        ],
        "only what is not live is looked for in the archive"
    );
    let is_wanted = |market: &Market| market.result == "yes" && market.settled_us.is_some();
    assert_stored(&bench, is_wanted, "live or archived makes no difference");
}
