//! The small resources, and paths that are none.

use kalshi_simulator::{Account, ErrorShape, ExchangeStatus, Grant, LimitsShape, Rules};

use crate::client::Client;
use crate::{START_US, exchange};

#[test]
fn the_cutoff_has_the_documented_shape() {
    let rules =
        Rules { cutoff_s: 1_784_505_600, markets_cutoff_s: 1_784_505_600, ..Rules::default() };
    let (exchange, server) = exchange(rules, 0);
    exchange.set_now(START_US);
    assert_eq!(
        Client::new(&server).get("/historical/cutoff").text(),
        concat!(
            r#"{"market_positions_last_updated_ts":"2026-07-20T00:00:00Z","#,
            r#""market_settled_ts":"2026-07-20T00:00:00Z","#,
            r#""orders_updated_ts":"2026-09-07T00:00:00Z","#,
            r#""trades_created_ts":"2026-07-20T00:00:00Z"}"#
        )
    );
}

#[test]
fn the_status_has_the_documented_shape_even_when_unavailable() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let mut client = Client::new(&server);
    let open = client.get("/exchange/status");
    assert_eq!(open.status, 200);
    assert_eq!(
        open.text(),
        concat!(
            r#"{"exchange_active":true,"exchange_estimated_resume_time":null,"#,
            r#""exchange_index_statuses":[{"description":"default","exchange_active":true,"#,
            r#""exchange_index":0,"intra_exchange_transfers_active":true,"trading_active":true}],"#,
            r#""intra_exchange_transfers_active":true,"trading_active":true}"#
        )
    );
    exchange.change(|world| {
        world.rules.exchange_status = ExchangeStatus {
            exchange_active: false,
            trading_active: false,
            estimated_resume_time: Some("2026-11-26T10:00:00Z".to_owned()),
            unavailable: true,
        };
    });
    let paused = client.get("/exchange/status");
    assert_eq!(paused.status, 503);
    assert_eq!(paused.json()["exchange_active"], false);
    assert_eq!(paused.json()["exchange_estimated_resume_time"], "2026-11-26T10:00:00Z");
}

#[test]
fn the_limits_of_the_account_have_both_documented_shapes_and_need_a_key() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let mut client = Client::new(&server);
    assert_eq!(client.get("/account/limits").status, 401, "without a key");
    let mut limits = || {
        client.send("GET /trade-api/v2/account/limits HTTP/1.1\r\nKALSHI-ACCESS-KEY: k\r\n\r\n");
        client.answer().unwrap().text().to_owned()
    };
    assert_eq!(
        limits(),
        concat!(
            r#"{"grants":[],"read":{"bucket_capacity":400,"refill_rate":200},"#,
            r#""usage_tier":"basic","write":{"bucket_capacity":400,"refill_rate":200}}"#
        )
    );
    let grant = |expires_s| Grant { level: "expert".to_owned(), expires_s };
    let account = |shape| Account {
        tier: "expert".to_owned(),
        read_rate: 60,
        grants: vec![grant(None), grant(Some(1_790_000_000))],
        shape,
    };
    exchange.change(|world| world.rules.account = account(LimitsShape::Nested));
    assert!(limits().starts_with(concat!(
        r#"{"grants":[{"exchange_instance":"event_contract","level":"expert","source":"manual"},"#,
        r#"{"exchange_instance":"event_contract","expires_ts":1790000000,"level":"expert","#,
        r#""source":"manual"}],"read":"#
    )));
    exchange.change(|world| world.rules.account = account(LimitsShape::Flat));
    assert_eq!(limits(), r#"{"read_limit":60,"usage_tier":"expert","write_limit":60}"#);
}

#[test]
fn unknown_paths_are_not_found() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let mut client = Client::new(&server);
    for path in ["/markets/TICKER/trades", "/portfolio/trades", "/historical"] {
        let answer = client.get(path);
        assert_eq!(answer.status, 404);
        assert_eq!(answer.text(), r#"{"error":{"code":"not_found","message":"not found"}}"#);
    }
    exchange.change(|world| world.rules.error_shape = ErrorShape::Flat);
    assert_eq!(client.get("/x").text(), r#"{"code":"not_found","message":"not found"}"#);
    client.send("GET /markets/trades HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 404, "outside of the base path");
    client.send("DELETE /trade-api/v2/markets/trades HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 405);
}

#[test]
fn a_trailing_slash_is_redirected() {
    let (_exchange, server) = exchange(Rules::default(), 0);
    let answer = Client::new(&server).get("/markets/trades/?limit=5&ticker=A%20B");
    assert_eq!(answer.status, 301);
    let location = "/trade-api/v2/markets/trades?limit=5&ticker=A%20B";
    assert_eq!(answer.header("location"), Some(location));
}
