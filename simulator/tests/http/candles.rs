//! Candles of every tier.

use kalshi_simulator::{Book, Exchange, Fault, MarketVolume, Rules, Server, Trade};
use serde_json::{Value, json};

use crate::client::{Answer, Client, walk};
use crate::{SECOND_US, START_US, exchange, market, trade};

const START_S: i64 = START_US / SECOND_US;
/// 15:00:00, the end of the first hour; the market closes at 15:26:40.
const HOUR_S: i64 = START_S + 2_000;
const DAY_S: i64 = 86_400;
const TICKER: &str = "KXC-1-A";
const PATH: &str = "/series/KXC/markets/KXC-1-A/candlesticks";
const ARCHIVED: &str = "/historical/markets/KXC-1-A/candlesticks";

/// One market without trades, long closed.
fn bench() -> (Exchange, Server, Client) {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.add_market(market(TICKER, "KXC-1"));
    exchange.set_now(START_US + 100 * DAY_S * SECOND_US);
    let client = Client::new(&server);
    (exchange, server, client)
}

/// Trades by time, count and price in cents.
fn add(exchange: &Exchange, trades: &[(i64, u64, u32)]) {
    for (number, &(created_us, count_e2, cents)) in trades.iter().enumerate() {
        let yes_price_e6 = cents * 10_000;
        let ticker = TICKER.to_owned();
        let id = format!("{created_us}-{number}");
        exchange.add(Trade { ticker, count_e2, yes_price_e6, ..trade(created_us, &id) });
    }
}

fn query(from_s: i64, to_s: i64, minutes: i64) -> String {
    format!("start_ts={from_s}&end_ts={to_s}&period_interval={minutes}")
}

fn get(client: &mut Client, path: &str, from_s: i64, to_s: i64, minutes: i64) -> Answer {
    client.get(&format!("{path}?{}", query(from_s, to_s, minutes)))
}

fn rows(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["candlesticks"].as_array().unwrap().clone()
}

/// Each candle as its end, counted from this second, and its volume under the live name.
fn volumes(candles: &[Value], from_s: i64) -> Vec<(i64, String)> {
    let volume = |candle: &Value| candle["volume_fp"].as_str().unwrap().to_owned();
    let end_s = |candle: &Value| candle["end_period_ts"].as_i64().unwrap();
    candles.iter().map(|candle| (end_s(candle) - from_s, volume(candle))).collect()
}

fn pairs(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(end_s, volume)| (*end_s, (*volume).to_owned())).collect()
}

#[test]
fn a_candle_holds_its_end_and_not_its_start() {
    let (exchange, _server, mut client) = bench();
    let hour_us = HOUR_S * SECOND_US;
    add(&exchange, &[(START_US, 1, 50), (hour_us, 20, 50), (hour_us + 1, 300, 50)]);
    exchange.add(Trade {
        ticker: TICKER.to_owned(),
        is_block_trade: true,
        count_e2: 4_000,
        ..trade(hour_us - 1, "block")
    });
    let recorded = r#"{"count_fp":"500.00"}"#.to_owned();
    exchange.add_event(TICKER, hour_us + 2, "recorded", recorded);
    let hours = rows(&get(&mut client, PATH, START_S, HOUR_S + 7_200, 60));
    assert_eq!(volumes(&hours, HOUR_S), pairs(&[(0, "40.21"), (3_600, "503.00")]));
    let minutes = rows(&get(&mut client, PATH, HOUR_S, HOUR_S + 60, 1));
    assert_eq!(volumes(&minutes, HOUR_S), pairs(&[(0, "40.20"), (60, "503.00")]));
    let first = rows(&get(&mut client, PATH, START_S, HOUR_S, 60));
    assert_eq!(volumes(&first, HOUR_S), pairs(&[(0, "40.21")]), "all of it and no more");
}

#[test]
fn quiet_periods_have_candles_from_opening_to_close() {
    let (exchange, _server, mut client) = bench();
    let all = |client: &mut Client| rows(&get(client, PATH, START_S - 600, START_S + 9_000, 1));
    let minutes = all(&mut client);
    assert_eq!(minutes.len(), 61, "both ends are in the middle of a minute");
    assert_eq!(minutes[0]["end_period_ts"], START_S + 20);
    assert_eq!(minutes[60]["end_period_ts"], START_S + 3_620);
    assert!(volumes(&minutes, 0).iter().all(|(_, volume)| volume == "0.00"));

    exchange.change_market(TICKER, |market| {
        (market.open_us, market.close_us) = (HOUR_S * SECOND_US, (HOUR_S + 120) * SECOND_US);
    });
    let zeros = |ends: &[i64]| ends.iter().map(|end| (*end, "0.00".to_owned())).collect::<Vec<_>>();
    assert_eq!(volumes(&all(&mut client), HOUR_S), zeros(&[60, 120]), "both ends are at a minute");
    exchange.set_now((HOUR_S + 59) * SECOND_US);
    assert_eq!(volumes(&all(&mut client), HOUR_S), zeros(&[60]), "not beyond now");
    exchange.set_now((HOUR_S - 1) * SECOND_US);
    assert!(all(&mut client).is_empty(), "it is not open");
}

#[test]
fn a_running_period_has_the_volume_so_far() {
    let (exchange, _server, mut client) = bench();
    exchange.set_now(START_US + 30 * SECOND_US);
    add(&exchange, &[(START_US + SECOND_US, 700, 50)]);
    let hours = |client: &mut Client| {
        volumes(&rows(&get(client, PATH, START_S, START_S + 9_000, 60)), HOUR_S)
    };
    assert_eq!(hours(&mut client), pairs(&[(0, "7.00")]));
    add(&exchange, &[(START_US + 2 * SECOND_US, 50, 50)]);
    assert_eq!(hours(&mut client), pairs(&[(0, "7.50")]));
}

#[test]
fn whatever_was_traded_has_a_candle() {
    let (exchange, _server, mut client) = bench();
    let outside = [START_S - 7_200, START_S + 10_800];
    add(&exchange, &outside.map(|at_s| (at_s * SECOND_US, 100, 50)));
    let hours = rows(&get(&mut client, PATH, START_S - 90_000, START_S + 90_000, 60));
    let expected = [(-7_200, "1.00"), (0, "0.00"), (3_600, "0.00"), (10_800, "1.00")]
        .map(|(end, volume)| (end, volume.to_owned()));
    assert_eq!(volumes(&hours, HOUR_S), expected, "before the opening and after the close");
}

#[test]
fn both_bounds_are_inclusive() {
    let (_exchange, _server, mut client) = bench();
    let mut ends = |from_s, to_s| {
        let minutes = rows(&get(&mut client, PATH, from_s, to_s, 1));
        volumes(&minutes, HOUR_S).into_iter().map(|(end_s, _)| end_s).collect::<Vec<_>>()
    };
    assert_eq!(ends(HOUR_S, HOUR_S + 120), [0, 60, 120]);
    assert_eq!(ends(HOUR_S + 1, HOUR_S + 119), [60]);
    assert!(ends(HOUR_S + 1, HOUR_S + 59).is_empty());
    assert!(ends(HOUR_S + 60, HOUR_S).is_empty());
}

#[test]
fn days_end_at_midnight_in_new_york() {
    let (exchange, _server, mut client) = bench();
    // The first of November 2026, 04:00Z: that day has 25 hours.
    let midnight_s = 1_793_505_600;
    exchange.change_market(TICKER, |market| {
        market.open_us = (midnight_s - 3_600) * SECOND_US;
        market.close_us = (midnight_s + 26 * 3_600) * SECOND_US;
    });
    let at = |s: i64| (midnight_s + s) * SECOND_US;
    let next_s = 25 * 3_600;
    add(
        &exchange,
        &[(at(0), 100, 50), (at(1), 200, 50), (at(next_s), 400, 50), (at(next_s) + 1, 800, 50)],
    );
    let days = rows(&get(&mut client, PATH, midnight_s - 9 * DAY_S, midnight_s + 9 * DAY_S, 1_440));
    let expected = [(0, "1.00"), (next_s, "6.00"), (next_s + DAY_S, "8.00")];
    assert_eq!(volumes(&days, midnight_s), pairs(&expected));
}

#[test]
fn live_candles_have_live_names() {
    let (exchange, _server, mut client) = bench();
    exchange.set_book(TICKER, Book { yes: vec![(4_200, 100)], no: vec![(5_501, 100)] });
    let at = |s: i64| (HOUR_S + s) * SECOND_US;
    add(&exchange, &[(at(70), 100, 25), (at(80), 300, 31), (at(90), 60, 9), (at(90), 40, 28)]);
    let answer = get(&mut client, PATH, HOUR_S + 60, HOUR_S + 240, 1);
    assert_eq!(answer.json()["ticker"], TICKER);
    let candles = rows(&answer);
    assert_eq!(candles[0]["price"], json!({}), "nothing was traded yet");
    assert_eq!(
        candles[1],
        json!({
            "end_period_ts": HOUR_S + 120,
            "open_interest_fp": "5.00",
            "price": {
                "close_dollars": "0.2800",
                "high_dollars": "0.3100",
                "low_dollars": "0.0900",
                "max_dollars": null,
                "mean_dollars": "0.2692",
                "min_dollars": null,
                "open_dollars": "0.2500",
                "previous_dollars": null,
            },
            "volume_fp": "5.00",
            "yes_ask": {
                "close_dollars": "0.4499",
                "high_dollars": "0.4499",
                "low_dollars": "0.4499",
                "open_dollars": "0.4499",
            },
            "yes_bid": {
                "close_dollars": "0.4200",
                "high_dollars": "0.4200",
                "low_dollars": "0.4200",
                "open_dollars": "0.4200",
            },
        })
    );
    let pause = &candles[2];
    assert_eq!((&pause["volume_fp"], &pause["open_interest_fp"]), (&json!("0.00"), &json!("5.00")));
    assert_eq!(pause["price"]["previous_dollars"], "0.2800");
    assert_eq!(pause["price"]["mean_dollars"], Value::Null);
    assert_eq!(candles[3]["price"], pause["price"], "a pause hands on what was before it");
    let later = rows(&get(&mut client, PATH, HOUR_S + 180, HOUR_S + 180, 1));
    assert_eq!(later[0], *pause, "what was before the range counts, too");
    assert_eq!(exchange.requests().last().unwrap().row_count, 1);
}

/// The market settled at the time of the bench, and the cutoff after that.
fn archive(exchange: &Exchange) {
    exchange.settle_market(TICKER, "yes", 10_000);
    let settled_s = exchange.now_us() / SECOND_US;
    exchange.change(|world| world.rules.markets_cutoff_s = settled_s + 1);
}

#[test]
fn archived_candles_have_names_of_their_own() {
    let (exchange, _server, mut client) = bench();
    add(&exchange, &[(HOUR_S * SECOND_US - 1, 16_024, 25)]);
    archive(&exchange);
    let answer = get(&mut client, ARCHIVED, START_S, HOUR_S + 3_600, 60);
    assert_eq!(answer.json()["ticker"], TICKER);
    let ask = json!({ "close": "1.0000", "high": "1.0000", "low": "1.0000", "open": "1.0000" });
    let bid = json!({ "close": "0.0000", "high": "0.0000", "low": "0.0000", "open": "0.0000" });
    let price = |price: &Value, previous: Value| {
        let mut all = json!({ "previous": previous });
        for name in ["close", "high", "low", "mean", "open"] {
            all[name] = price.clone();
        }
        all
    };
    let candle = |end_s: i64, volume: &str, price: Value| {
        json!({
            "end_period_ts": end_s,
            "open_interest": "160.24",
            "price": price,
            "volume": volume,
            "yes_ask": ask,
            "yes_bid": bid,
        })
    };
    let expected = [
        candle(HOUR_S, "160.24", price(&json!("0.2500"), Value::Null)),
        candle(HOUR_S + 3_600, "0.00", price(&Value::Null, json!("0.2500"))),
    ];
    assert_eq!(rows(&answer), expected);
}

#[test]
fn a_market_has_candles_in_its_tier_and_under_its_series() {
    let (exchange, _server, mut client) = bench();
    add(&exchange, &[(START_US + 1, 100, 50)]);
    let several = "/markets/candlesticks?market_tickers=KXC-1-A";
    let range = query(START_S, HOUR_S, 60);
    let mut answers = || {
        let statuses = [PATH, ARCHIVED].map(|path| client.get(&format!("{path}?{range}")).status);
        let batch = client.get(&format!("{several}&{range}")).json();
        (statuses, batch["markets"][0]["candlesticks"].as_array().unwrap().len())
    };
    assert_eq!(answers(), ([200, 404], 1));
    archive(&exchange);
    assert_eq!(answers(), ([404, 200], 0));
    exchange.change(|world| world.rules.markets_cutoff_s -= 1);
    assert_eq!(answers(), ([200, 404], 1), "settled at the cutoff is live");

    for path in [
        "/series/KXOTHER/markets/KXC-1-A/candlesticks",
        "/series/KXC/markets/KXC-1-NONE/candlesticks",
        "/series/KXC/markets/KXC-1-A",
    ] {
        assert_eq!(client.get(&format!("{path}?{range}")).status, 404, "{path}");
    }
    let unknown = client.get(&format!("/historical/markets/KXNONE/candlesticks?{range}"));
    let code = unknown.json()["error"]["code"].clone();
    assert_eq!(code, "failed_to_get_market_by_ticker:_not_found");
    exchange.add_group("KXC-1", "KXOTHER", "Moved");
    let moved = get(&mut client, "/series/KXOTHER/markets/KXC-1-A/candlesticks", 0, 1, 1);
    assert_eq!(moved.status, 200, "the series counts, not the name");
}

#[test]
fn a_batch_has_a_list_for_everything_asked() {
    let (exchange, _server, mut client) = bench();
    exchange.add_market(market("KXC-1-B", "KXC-1"));
    add(&exchange, &[(START_US + 1, 150, 50)]);
    let path = "/markets/candlesticks?market_tickers=KXC-1-B,KXNONE,KXC-1-A";
    let mut lists = |minutes| {
        let answer = client.get(&format!("{path}&{}", query(START_S, HOUR_S, minutes)));
        let names = answer.texts("markets", "market_ticker");
        assert_eq!(names, ["KXC-1-B", "KXNONE", "KXC-1-A"]);
        let markets = answer.json()["markets"].as_array().unwrap().clone();
        let lists = markets.iter().map(|market| market["candlesticks"].as_array().unwrap());
        lists.map(|candles| volumes(candles, HOUR_S)).collect::<Vec<_>>()
    };
    assert_eq!(lists(60), [pairs(&[(0, "0.00")]), vec![], pairs(&[(0, "1.50")])]);
    assert_eq!(lists(5), [vec![], vec![], vec![]], "there are no such candles");
    assert_eq!(exchange.requests()[0].row_count, 2);
}

#[test]
fn too_much_is_refused() {
    let (exchange, _server, mut client) = bench();
    let over = "requested time range with candlesticks: 5001, max candlesticks: 5000";
    for (minutes, length_s) in [(1, 60), (60, 3_600), (1_440, DAY_S)] {
        // Days begin at 04:00Z or 05:00Z; the others at any of these.
        let from_s = 20_000 * DAY_S;
        let most = get(&mut client, PATH, from_s + 1, from_s + 5_000 * length_s, minutes);
        assert_eq!(most.status, 200, "{minutes}: {}", most.text());
        let more = get(&mut client, PATH, from_s + 1, from_s + 5_001 * length_s, minutes);
        assert_eq!(more.refused(), over, "{minutes}");
    }
    archive(&exchange);
    assert_eq!(get(&mut client, ARCHIVED, 60, 300_060, 1).refused(), over);

    let mut batch = |ticker_count: usize, candle_count: i64| {
        let tickers = vec!["KXC-1-A"; ticker_count].join(",");
        let range = query(1, 60 * candle_count, 1);
        client.get(&format!("/markets/candlesticks?market_tickers={tickers}&{range}"))
    };
    assert_eq!([batch(100, 100).status, batch(1, 10_000).status], [200, 200]);
    assert_eq!(batch(101, 1).refused(), "invalid market_tickers");
    assert_eq!(
        batch(100, 101).refused(),
        "requested time range with candlesticks: 10100, max candlesticks: 10000"
    );
}

#[test]
fn nonsense_is_refused() {
    let (_exchange, _server, mut client) = bench();
    for (query, why) in [
        ("start_ts=1&end_ts=2", "period_interval is required"),
        ("start_ts=1&period_interval=1", "end_ts is required"),
        ("end_ts=1&period_interval=1", "start_ts is required"),
        ("start_ts=1&end_ts=x&period_interval=1", "invalid end_ts"),
        ("start_ts=1.5&end_ts=2&period_interval=1", "invalid start_ts"),
        ("start_ts=1&end_ts=2&period_interval=0", "invalid period_interval"),
    ] {
        for path in [PATH, ARCHIVED, "/markets/candlesticks"] {
            let answer = client.get(&format!("{path}?market_tickers=A&{query}"));
            assert_eq!(answer.refused(), why, "{path} {query}");
        }
    }
    assert_eq!(get(&mut client, PATH, 1, 2, 5).refused(), "invalid period_interval");
    let nobody = get(&mut client, "/markets/candlesticks", 1, 2, 1);
    assert_eq!(nobody.refused(), "invalid market_tickers");
}

#[test]
fn candles_count_the_trades_of_both_tiers() {
    let (exchange, _server, mut client) = bench();
    add(&exchange, &[(HOUR_S * SECOND_US - 1, 100, 50), (HOUR_S * SECOND_US + 1, 200, 50)]);
    exchange.change(|world| world.rules.cutoff_s = HOUR_S);
    for path in ["/markets/trades", "/historical/trades"] {
        assert_eq!(walk(&mut client, path, "").concat().len(), 1, "{path}");
    }
    let hours = rows(&get(&mut client, PATH, START_S, HOUR_S + 3_600, 60));
    assert_eq!(volumes(&hours, HOUR_S), pairs(&[(0, "1.00"), (3_600, "2.00")]));
    archive(&exchange);
    let hours = rows(&get(&mut client, ARCHIVED, START_S, HOUR_S + 3_600, 60));
    assert_eq!((&hours[0]["volume"], &hours[1]["volume"]), (&json!("1.00"), &json!("2.00")));
}

#[test]
fn phantom_volume_is_counted_and_not_shown() {
    let (exchange, _server, mut client) = bench();
    add(&exchange, &[(START_US + 1, 100, 50)]);
    exchange.add_phantom_volume(TICKER, START_US + 1, 25);
    exchange.change(|world| world.add_phantom_volume(TICKER, HOUR_S * SECOND_US + 1, 50));
    assert_eq!(exchange.volume_e2(TICKER), 175);
    assert_eq!(client.trades("").ids().len(), 1);
    assert_eq!((exchange.all_trades().len(), exchange.rows(TICKER).len()), (1, 1));
    let hours = rows(&get(&mut client, PATH, START_S, HOUR_S + 3_600, 60));
    assert_eq!(volumes(&hours, HOUR_S), pairs(&[(0, "1.25"), (3_600, "0.50")]));
    assert_eq!(hours[1]["open_interest_fp"], "1.75");
    assert_eq!(hours[1]["price"]["close_dollars"], Value::Null, "nobody knows a price");

    exchange.set_now(HOUR_S * SECOND_US + DAY_S * SECOND_US);
    let listed = client.get("/markets").json()["markets"][0].clone();
    assert_eq!((&listed["volume_fp"], &listed["volume_24h_fp"]), (&json!("1.75"), &json!("0.50")));
    archive(&exchange);
    let archived = client.get("/historical/markets").json()["markets"][0].clone();
    assert_eq!(archived["volume_fp"], "1.75");

    exchange.add_phantom_volume("KXP-1-A", START_US, 100);
    assert_eq!(client.get("/markets/KXP-1-A").json()["market"]["volume_fp"], "1.00");
    assert_eq!(exchange.tickers(), [TICKER], "it is on no tape");
}

#[test]
fn candles_have_faults_by_their_path() {
    let (exchange, _server, mut client) = bench();
    let batch = "/markets/candlesticks";
    exchange.script_for(PATH, [Fault::Status(503)]);
    exchange.script_for(batch, [Fault::TooMany { retry_after: None }]);
    exchange.fail_always("/historical/markets/*", Some(Fault::Status(502)));
    let mut status = |path: &str| {
        let range = query(START_S, HOUR_S, 60);
        client.get(&format!("{path}?market_tickers={TICKER}&{range}")).status
    };
    assert_eq!([status(PATH), status(PATH)], [503, 200]);
    assert_eq!([status(batch), status(batch)], [429, 200]);
    assert_eq!([status(ARCHIVED), status(ARCHIVED)], [502, 502]);
    exchange.script_for("/series/*", [Fault::NotTrades]);
    assert_eq!(get(&mut client, PATH, START_S, HOUR_S, 60).text(), r#"{"ok":true}"#);
}

#[test]
fn figures_can_be_silent() {
    let (exchange, _server, mut client) = bench();
    add(&exchange, &[(START_US + SECOND_US, 150, 40)]);
    let volume = |client: &mut Client| {
        client.get(&format!("/markets/{TICKER}")).json()["market"]["volume_fp"].clone()
    };
    assert_eq!(volume(&mut client), "1.50");
    exchange.change(|world| world.rules.market_volume = MarketVolume::Zero);
    assert_eq!(volume(&mut client), "0.00");
    exchange.change(|world| world.rules.market_volume = MarketVolume::Null);
    assert_eq!(volume(&mut client), Value::Null);
    assert!(!rows(&get(&mut client, PATH, START_S, HOUR_S, 60)).is_empty());
    exchange.change(|world| world.rules.empty_candles = true);
    assert!(rows(&get(&mut client, PATH, START_S, HOUR_S, 60)).is_empty());
}
