//! Lists of markets and single ones.

use kalshi_simulator::{
    Book, Exchange, ListEnd, MalformedCursor, Market, Rules, Status, ZeroLimit,
};

use crate::client::Client;
use crate::{SECOND_US, START_US, exchange, market, trade};

/// Markets `KXA-n`, one a second from the start on, in events of their own.
fn add_markets(exchange: &Exchange, count: i64) {
    exchange.change(|world| {
        for number in 0..count {
            let open_us = START_US + number * SECOND_US;
            let name = format!("KXA-{number:06}");
            world.add_market(Market::new(&name, &name, open_us, open_us + 3_600 * SECOND_US));
        }
    });
}

/// The tickers of each page, to the end of the list.
fn walk(client: &mut Client, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = client.get(&format!("/markets?{query}&cursor={cursor}"));
        pages.push(answer.tickers());
        match answer.cursor() {
            Some(next) => cursor = next,
            None => return pages,
        }
    }
}

#[test]
fn a_market_is_written_as_documented() {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.set_now(START_US + SECOND_US);
    exchange.add_market(Market { expected_expiration_us: None, ..market("KXA-1-B", "KXA-1") });
    exchange.set_book("KXA-1-B", Book { yes: vec![(6_100, 7_900)], no: vec![(3_800, 5)] });
    exchange
        .add(kalshi_simulator::Trade { ticker: "KXA-1-B".to_owned(), ..trade(START_US + 1, "a") });
    let mut client = Client::new(&server);
    let text = concat!(
        r#"{"can_close_early":true,"close_time":"2026-09-21T15:26:40Z","#,
        r#""created_time":"2026-09-21T14:26:40Z","event_ticker":"KXA-1","exchange_index":0,"#,
        r#""expiration_time":"2026-09-28T15:26:40Z","expiration_value":"","#,
        r#""last_price_dollars":"0.2500","latest_expiration_time":"2026-09-28T15:26:40Z","#,
        r#""market_type":"binary","no_ask_dollars":"0.3900","no_bid_dollars":"0.3800","#,
        r#""no_sub_title":"No","notional_value_dollars":"1.0000","occurrence_datetime":null,"#,
        r#""open_interest_fp":"1.00","open_time":"2026-09-21T14:26:40Z","#,
        r#""previous_price_dollars":"0.0000","previous_yes_ask_dollars":"0.0000","#,
        r#""previous_yes_bid_dollars":"0.0000","price_level_structure":"linear_cent","#,
        r#""price_ranges":[{"end":"1.0000","start":"0.0000","step":"0.0100"}],"result":"","#,
        r#""rules_primary":"If this simulation says so, then the market resolves to Yes.","#,
        r#""rules_secondary":"","settlement_bounds_type":"default","#,
        r#""settlement_timer_seconds":60,"status":"active","subtitle":"","ticker":"KXA-1-B","#,
        r#""title":"Will KXA-1-B happen?","updated_time":"2026-09-21T14:26:40Z","#,
        r#""volume_24h_fp":"1.00","volume_fp":"1.00","yes_ask_dollars":"0.6200","#,
        r#""yes_ask_size_fp":"0.05","yes_bid_dollars":"0.6100","yes_bid_size_fp":"79.00","#,
        r#""yes_sub_title":"Yes"}"#
    );
    let one = client.get("/markets/KXA-1-B");
    assert_eq!(one.text(), format!("{{\"market\":{text}}}"));
    let list = client.get("/markets");
    assert_eq!(list.text(), format!("{{\"cursor\":\"\",\"markets\":[{text}]}}"));
    assert_eq!(list.header("cache-control"), Some("public, max-age=5"));
    assert_eq!(client.trades("").header("cache-control"), None);
    assert_eq!(exchange.requests()[1].row_count, 1);
}

#[test]
fn what_a_market_does_not_have_is_left_out() {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.set_now(START_US + SECOND_US);
    exchange.add_market(market("KXA-1-B", "KXA-1"));
    exchange.add_market(Market {
        is_combo: true,
        is_provisional: true,
        price_level_structure: "center_deci_edge_centi_cent".to_owned(),
        ..market("KXMVE-1-C", "KXMVE-1")
    });
    let mut client = Client::new(&server);
    let combo = client.get("/markets/KXMVE-1-C").json()["market"].clone();
    assert_eq!(combo["is_provisional"], true);
    assert_eq!(combo["mve_collection_ticker"], "KXMVE-R");
    assert_eq!(combo["expected_expiration_time"], "2026-09-21T15:26:40Z");
    assert_eq!(combo["price_ranges"][0]["step"], "0.0001");
    assert_eq!(
        (&combo["yes_bid_dollars"], &combo["yes_ask_dollars"]),
        (&"0.0000".into(), &"1.0000".into())
    );
    let open = client.get("/markets/KXA-1-B").json()["market"].clone();
    for field in ["is_provisional", "mve_collection_ticker", "settlement_ts"] {
        assert!(open.get(field).is_none(), "{field}");
    }
    exchange.settle_market("KXA-1-B", "yes", 10_000);
    let settled = client.get("/markets/KXA-1-B").json()["market"].clone();
    assert_eq!(settled["status"], "finalized");
    assert_eq!(settled["result"], "yes");
    assert_eq!(settled["settlement_value_dollars"], "1.0000");
    assert_eq!(settled["settlement_ts"], "2026-09-21T14:26:41Z");
    assert_eq!(settled["updated_time"], "2026-09-21T14:26:41Z");
}

#[test]
fn five_thousand_markets_of_a_series_take_five_pages() {
    let (exchange, server) = exchange(Rules::default(), 10);
    exchange.add_market(market("KXB-1", "KXB-1"));
    add_markets(&exchange, 5_000);
    let mut client = Client::new(&server);
    exchange.forget_requests();
    let pages = walk(&mut client, "series_ticker=KXA&limit=1000");
    assert_eq!(pages.len(), 5);
    let newest_first: Vec<String> =
        (0..5_000).rev().map(|number| format!("KXA-{number:06}")).collect();
    assert_eq!(pages.concat(), newest_first);
    assert!(exchange.requests().iter().all(|asked| asked.row_count == 1_000));
    assert_eq!(client.get("/markets").tickers().len(), 100, "if no limit is said");
}

#[test]
fn ties_are_ordered_by_ticker() {
    let (exchange, server) = exchange(Rules::default(), 0);
    for ticker in ["KXA-1-B", "KXA-1-D", "KXA-1-A", "KXA-1-C.5"] {
        exchange.add_market(market(ticker, "KXA-1"));
    }
    let pages = walk(&mut Client::new(&server), "limit=1");
    assert_eq!(pages.concat(), ["KXA-1-D", "KXA-1-C.5", "KXA-1-B", "KXA-1-A"]);
}

#[test]
fn new_markets_do_not_shift_pages() {
    let (exchange, server) = exchange(Rules::default(), 0);
    add_markets(&exchange, 4);
    let mut client = Client::new(&server);
    let first = client.get("/markets?limit=2");
    exchange.add_market(Market::new("KXNEW-1", "KXNEW-1", START_US * 2, START_US * 2));
    exchange.remove_market("KXA-000002");
    let rest = client.get(&format!("/markets?limit=2&cursor={}", first.cursor().unwrap()));
    assert_eq!(rest.tickers(), ["KXA-000001", "KXA-000000"]);
}

#[test]
fn the_end_follows_the_rules_for_lists() {
    for cursor_after_full_page in [false, true] {
        let (exchange, server) = exchange(Rules::default(), 0);
        add_markets(&exchange, 4);
        exchange.change(|world| {
            world.rules.cursor_after_full_page = cursor_after_full_page;
            world.rules.list_end = ListEnd::Null;
        });
        let mut client = Client::new(&server);
        let pages = walk(&mut client, "limit=2");
        assert_eq!(pages.len(), 2 + usize::from(cursor_after_full_page));
        let none = client.get("/markets?series_ticker=KXNONE");
        assert_eq!(none.text(), r#"{"cursor":null,"markets":[]}"#);
    }
}

#[test]
fn limits_and_cursors_are_checked() {
    let (exchange, server) = exchange(Rules::default(), 0);
    add_markets(&exchange, 3);
    let mut client = Client::new(&server);
    for path in ["/markets", "/historical/markets"] {
        for limit in ["1001", "-1", "x"] {
            assert_eq!(client.get(&format!("{path}?limit={limit}")).refused(), "invalid limit");
        }
    }
    assert_eq!(client.get("/markets?limit=0").tickers().len(), 3);
    assert_eq!(client.get("/markets?limit=1&cursor=damaged").tickers(), ["KXA-000002"]);
    exchange.change(|world| {
        world.rules.malformed_cursor = MalformedCursor::Refused;
        world.rules.zero_limit = ZeroLimit::Refused;
    });
    assert_eq!(client.get("/markets?cursor=damaged").refused(), "invalid cursor");
    assert_eq!(client.get("/markets?limit=0").refused(), "invalid limit");
    let long = "X".repeat(8_200);
    client.send(&format!("GET /trade-api/v2/markets?tickers={long} HTTP/1.1\r\n\r\n"));
    assert_eq!(client.answer().unwrap().status, 414);
}

#[test]
fn the_status_follows_the_clock_without_an_update() {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.add_market(market("KXA-1", "KXA-1"));
    let mut client = Client::new(&server);
    for (now_us, status, filter) in [
        (START_US - 1, "initialized", "unopened"),
        (START_US, "active", "open"),
        (START_US + 3_599 * SECOND_US, "active", "open"),
        (START_US + 3_600 * SECOND_US, "closed", "closed"),
    ] {
        exchange.set_now(now_us);
        let market = client.get("/markets/KXA-1").json()["market"].clone();
        assert_eq!(market["status"], status);
        assert_eq!(market["updated_time"], "2026-09-21T14:26:40Z");
        assert_eq!(exchange.status_of("KXA-1").map(Status::as_str), Some(status));
        for other in ["unopened", "open", "paused", "closed", "settled"] {
            let count = client.get(&format!("/markets?status={other}")).tickers().len();
            assert_eq!(count, usize::from(other == filter), "{other} at {now_us}");
        }
    }
}

#[test]
fn changes_count_as_updates_and_replacements_do_not() {
    let (exchange, _server) = exchange(Rules::default(), 0);
    let first = market("KXA-1", "KXA-1");
    exchange.add_market(first.clone());
    exchange.set_now(START_US + 7);
    exchange.change_market("KXA-1", |market| market.close_us += SECOND_US);
    let changed = exchange.market("KXA-1").unwrap();
    assert_eq!(
        changed,
        Market { close_us: first.close_us + SECOND_US, updated_us: START_US + 7, ..first.clone() }
    );
    exchange.add_market(first.clone());
    assert_eq!(exchange.markets(), [first]);
}

#[test]
fn unknown_markets_are_not_found() {
    let (exchange, server) = exchange(Rules::default(), 0);
    add_markets(&exchange, 1);
    let mut client = Client::new(&server);
    let answer = client.get("/markets/KXNONE");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.text(), r#"{"error":{"code":"not_found","message":"not found"}}"#);
    assert_eq!(client.get("/markets/KXA%2D000000").status, 200, "escapes are read");
    exchange.remove_market("KXA-000000");
    assert_eq!(client.get("/markets/KXA-000000").status, 404);
    assert!(client.get("/markets").tickers().is_empty());
}
