//! Events and series.

use kalshi_simulator::{Exchange, Market, Rules, Server, Status};

use crate::client::Client;
use crate::{SECOND_US, START_US, exchange, market};

/// Two events of a series, the second closing later, and one of combos.
fn bench() -> (Exchange, Server, Client) {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.set_now(START_US + SECOND_US);
    exchange.add_series("KXA", "All A");
    exchange.add_group("KXA-1", "KXA", "The first");
    exchange.add_market(market("KXA-1-X", "KXA-1"));
    exchange.add_market(Market { status: Some(Status::Closed), ..market("KXA-1-Y", "KXA-1") });
    let late_us = START_US + 7_200 * SECOND_US;
    exchange.add_market(Market { close_us: late_us, ..market("KXA-2-X", "KXA-2") });
    exchange.add_market(Market { is_combo: true, ..market("KXMVE-1-M", "KXMVE-1") });
    let client = Client::new(&server);
    (exchange, server, client)
}

fn events(client: &mut Client, query: &str) -> Vec<String> {
    client.get(query).texts("events", "event_ticker")
}

#[test]
fn an_event_is_written_as_documented() {
    let (_exchange, _server, mut client) = bench();
    let answer = client.get("/events/KXA-1");
    let (event, markets) = answer.text().split_once(r#","markets":"#).unwrap();
    assert_eq!(
        event,
        concat!(
            r#"{"event":{"category":"Simulation","collateral_return_type":"","#,
            r#""event_ticker":"KXA-1","exchange_index":0,"#,
            r#""last_updated_ts":"2026-09-21T14:26:41Z","mutually_exclusive":false,"#,
            r#""series_ticker":"KXA","settlement_sources":null,"strike_period":"","#,
            r#""sub_title":"","title":"The first"}"#
        )
    );
    assert!(markets.starts_with(r#"[{"can_close_early":true,"#));
    assert_eq!(answer.tickers(), ["KXA-1-Y", "KXA-1-X"]);
}

#[test]
fn markets_may_be_nested_or_left_out() {
    let (exchange, _server, mut client) = bench();
    let nested = client.get("/events/KXA-1?with_nested_markets=true").json();
    assert_eq!(nested["event"]["markets"].as_array().unwrap().len(), 2);
    assert_eq!(nested["markets"].as_array().map(Vec::len), Some(0), "there, and of nothing");
    let bare = client.get("/events/KXA-1?exclude_markets=true").json();
    assert!(bare.get("markets").is_none() && bare["event"].get("markets").is_none());
    let both = client.get("/events/KXA-1?exclude_markets=true&with_nested_markets=true");
    assert_eq!(both.status, 400);
    let list = client.get("/events?with_nested_markets=true").json();
    assert_eq!(list["events"][0]["markets"][0]["ticker"], "KXA-2-X");
    assert!(client.get("/events").json()["events"][0].get("markets").is_none());

    exchange.settle_market("KXA-2-X", "yes", 10_000);
    exchange.change(|world| world.rules.markets_cutoff_s = START_US / SECOND_US + 100);
    let archived = client.get("/events/KXA-2").json();
    assert!(archived["event"].is_object() && archived.get("markets").is_none());
    let nested = client.get("/events/KXA-2?with_nested_markets=true").json();
    assert!(nested["event"].get("markets").is_none());
}

#[test]
fn lists_are_filtered() {
    let (exchange, _server, mut client) = bench();
    for (query, expected) in [
        ("", &["KXA-2", "KXA-1"][..]),
        ("series_ticker=KXA", &["KXA-2", "KXA-1"]),
        ("series_ticker=KXNONE", &[]),
        ("tickers=KXA-1,KXMVE-1,KXNONE", &["KXA-1"]),
        ("status=open", &["KXA-2", "KXA-1"]),
        ("status=closed", &["KXA-1"]),
        ("status=settled", &[]),
        (&format!("min_close_ts={}", START_US / SECOND_US + 3_600), &["KXA-2"]),
        (&format!("min_updated_ts={}", START_US / SECOND_US + 1), &[]),
        ("nonsense=1", &["KXA-2", "KXA-1"]),
    ] {
        assert_eq!(events(&mut client, &format!("/events?{query}")), expected, "{query}");
    }
    for status in ["paused", "open,closed", "active"] {
        assert_eq!(client.get(&format!("/events?status={status}")).status, 400, "{status}");
    }
    exchange.advance(5 * SECOND_US);
    exchange.add_group("KXA-1", "KXA", "Named anew");
    let updated = format!("/events?min_updated_ts={}", START_US / SECOND_US + 1);
    assert_eq!(events(&mut client, &updated), ["KXA-1"]);
}

#[test]
fn combos_have_a_list_of_their_own() {
    let (_exchange, _server, mut client) = bench();
    for (query, expected) in [
        ("", &["KXMVE-1"][..]),
        ("series_ticker=KXMVE", &["KXMVE-1"]),
        ("series_ticker=KXA", &[]),
        ("collection_ticker=KXMVE-R", &["KXMVE-1"]),
        ("collection_ticker=KXA-R", &[]),
        ("tickers=KXA-1", &[]),
    ] {
        let path = format!("/events/multivariate?{query}");
        assert_eq!(events(&mut client, &path), expected, "{query}");
    }
    let both = "/events/multivariate?series_ticker=KXMVE&collection_ticker=KXMVE-R";
    assert_eq!(client.get(both).status, 400);
    assert_eq!(client.get("/events/KXMVE-1").json()["event"]["exchange_index"], 1);
}

#[test]
fn lists_are_paged_by_two_hundred() {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.change(|world| {
        for number in 0..450 {
            world.add_group(&format!("KXA-{number:03}"), "KXA", "One of many");
        }
        for number in 0..150 {
            let name = format!("KXMVE-{number:03}");
            world.add_market(Market { is_combo: true, ..market(&name, &name) });
        }
    });
    let mut client = Client::new(&server);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for row_count in [200, 200, 50] {
        let answer = client.get(&format!("/events?cursor={cursor}"));
        let rows = answer.texts("events", "event_ticker");
        assert_eq!(rows.len(), row_count);
        seen.extend(rows);
        cursor = answer.cursor().unwrap_or_default();
    }
    let expected: Vec<String> = (0..450).rev().map(|number| format!("KXA-{number:03}")).collect();
    assert_eq!(seen, expected);
    assert_eq!(cursor, "");
    assert_eq!(events(&mut client, "/events/multivariate").len(), 100);
    assert_eq!(exchange.requests().last().unwrap().row_count, 100);
    for path in ["/events", "/events/multivariate"] {
        assert_eq!(client.get(&format!("{path}?limit=201")).refused(), "invalid limit");
    }
}

#[test]
fn unknown_events_and_series_are_not_found() {
    let (exchange, _server, mut client) = bench();
    for path in ["/events/KXNONE", "/series/KXNONE"] {
        let answer = client.get(path);
        assert_eq!(answer.status, 404);
        assert_eq!(answer.text(), r#"{"error":{"code":"not_found","message":"not found"}}"#);
    }
    exchange.remove_market("KXA-2-X");
    assert_eq!(client.get("/events/KXA-2").status, 200, "an event outlives its markets");
}

#[test]
fn series_come_all_at_once() {
    let (_exchange, server) = exchange(Rules::default(), 0);
    let none = Client::new(&server).get("/series");
    assert_eq!(none.text(), r#"{"series":null}"#);

    let (_exchange, _server, mut client) = bench();
    let all = client.get("/series?limit=1&category=Simulation");
    assert_eq!(all.texts("series", "ticker"), ["KXA", "KXMVE"]);
    assert_eq!(
        client.get("/series/KXA").text(),
        concat!(
            r#"{"series":{"additional_prohibitions":null,"categories":["Simulation"],"#,
            r#""category":"Simulation","contract_terms_url":"https://example.com/terms.pdf","#,
            r#""contract_url":"https://example.com/contract.pdf","exchange_index":0,"#,
            r#""fee_multiplier":1,"fee_type":"quadratic","frequency":"custom","#,
            r#""last_updated_ts":"2026-09-21T14:26:41Z","settlement_sources":null,"tags":null,"#,
            r#""ticker":"KXA","title":"All A"}}"#
        )
    );
}
