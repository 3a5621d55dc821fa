//! Lists that leave something out, or show what nobody asked for.

use kalshi_simulator::{Exchange, Fault, Market, Rules, Server, UnknownSeries};

use crate::client::Client;

fn bench() -> (Exchange, Server, Client) {
    let exchange = Exchange::new(Rules::default());
    exchange.set_now(1_785_000_000_000_000);
    for market in ["KXA-1-A", "KXA-1-B", "KXB-1-A"] {
        let now = exchange.now_us();
        exchange.add_market(Market::new(market, &market[..5], now - 1_000_000, now + 1_000_000));
    }
    let server = exchange.serve().unwrap();
    let client = Client::new(&server);
    (exchange, server, client)
}

#[test]
fn a_list_can_be_empty_once() {
    let (exchange, _server, mut client) = bench();
    exchange.script_for("/markets", [Fault::EmptyList]);
    assert_eq!(client.get("/markets").text(), r#"{"cursor":"","markets":[]}"#);
    assert_eq!(client.get("/markets").tickers().len(), 3);
    exchange.script_for("/events", [Fault::EmptyList]);
    assert_eq!(client.get("/events").text(), r#"{"cursor":"","events":[]}"#);
}

#[test]
fn an_empty_page_leads_on_by_a_cursor_of_its_own() {
    let (exchange, _server, mut client) = bench();
    exchange.script_for("/markets", [Fault::EmptyPageWithCursor, Fault::EmptyPageWithCursor]);
    let mut cursors: Vec<String> = Vec::new();
    for _ in 0..2 {
        let cursor = cursors.last().cloned().unwrap_or_default();
        let page = client.get(&format!("/markets?cursor={cursor}"));
        assert!(page.text().ends_with(r#""markets":[]}"#), "{}", page.text());
        cursors.push(page.text().split('"').nth(3).unwrap().to_owned());
    }
    assert_ne!(cursors[0], cursors[1]);
    assert_eq!(client.get(&format!("/markets?cursor={}", cursors[1])).tickers().len(), 3);
}

#[test]
fn filters_can_be_ignored() {
    let (exchange, _server, mut client) = bench();
    exchange.script_for("/markets", [Fault::IgnoredFilters]);
    assert_eq!(client.get("/markets?series_ticker=KXA&limit=9").tickers().len(), 3);
    assert_eq!(client.get("/markets?series_ticker=KXA&limit=9").tickers().len(), 2);
}

#[test]
fn a_market_that_is_left_out_is_there_alone() {
    let (exchange, _server, mut client) = bench();
    exchange.leave_out("KXA-1-A", true);
    assert_eq!(client.get("/markets?tickers=KXA-1-A").tickers().len(), 0);
    assert_eq!(client.get("/markets?event_ticker=KXA-1").tickers(), ["KXA-1-B"]);
    assert!(!client.get("/events?with_nested_markets=true").text().contains("KXA-1-A"));
    assert_eq!(client.get("/markets/KXA-1-A").status, 200);
    exchange.leave_out("KXA-1-A", false);
    assert_eq!(client.get("/markets?tickers=KXA-1-A").tickers().len(), 1);
}

#[test]
fn nobody_knows_how_an_unknown_series_is_answered() {
    let (exchange, _server, mut client) = bench();
    for (unknown, status) in
        [(UnknownSeries::NotFound, 404), (UnknownSeries::Refused, 400), (UnknownSeries::Null, 200)]
    {
        exchange.change(|world| world.rules.unknown_series = unknown);
        assert_eq!(client.get("/series/KXNO").status, status, "{unknown:?}");
        assert_eq!(client.get("/series/KXA").status, 200);
    }
}
