//! Markets that have left the live tier.

use kalshi_simulator::{Exchange, Market, Rules, Server};

use crate::client::Client;
use crate::{SECOND_US, START_US, exchange, market};

const CUTOFF_S: i64 = START_US / SECOND_US + 100;

/// OLD and the combo MVE were settled before the cutoff, NEW after it, OPEN never.
fn bench() -> (Exchange, Server, Client) {
    let rules = Rules { markets_cutoff_s: CUTOFF_S, ..Rules::default() };
    let (exchange, server) = exchange(rules, 0);
    for name in ["KXA-OLD", "KXA-NEW", "KXA-OPEN", "KXB-OLD"] {
        exchange.add_market(market(name, &name[..3].replace("KX", "KXE-")));
    }
    exchange.add_market(Market { is_combo: true, ..market("KXMVE-1", "KXMVE-1") });
    exchange.set_now(CUTOFF_S * SECOND_US - 1);
    for ticker in ["KXA-OLD", "KXB-OLD", "KXMVE-1"] {
        exchange.settle_market(ticker, "yes", 10_000);
    }
    exchange.advance(1);
    exchange.settle_market("KXA-NEW", "no", 0);
    let client = Client::new(&server);
    (exchange, server, client)
}

#[test]
fn settled_markets_move_at_the_cutoff() {
    let (exchange, _server, mut client) = bench();
    assert_eq!(client.get("/markets").tickers(), ["KXA-OPEN", "KXA-NEW"]);
    let archived = client.get("/historical/markets");
    assert_eq!(archived.tickers(), ["KXMVE-1", "KXB-OLD", "KXA-OLD"]);
    assert_eq!(archived.json()["markets"][0]["status"], "finalized");
    for (ticker, live, historical) in
        [("KXA-OLD", 404, 200), ("KXA-NEW", 200, 404), ("KXA-OPEN", 200, 404), ("KXNONE", 404, 404)]
    {
        assert_eq!(client.get(&format!("/markets/{ticker}")).status, live, "{ticker}");
        let status = client.get(&format!("/historical/markets/{ticker}")).status;
        assert_eq!(status, historical, "{ticker}");
    }
    let cutoff = client.get("/historical/cutoff").json();
    assert_eq!(cutoff["market_settled_ts"], "2026-09-21T14:28:20Z");
    exchange.change(|world| world.rules.markets_cutoff_s = CUTOFF_S + 1);
    assert_eq!(client.get("/markets").tickers(), ["KXA-OPEN"]);
    assert!(exchange.market("KXA-OLD").is_some(), "the world knows both tiers");
    exchange.remove_market("KXA-OLD");
    assert_eq!(client.get("/historical/markets/KXA-OLD").status, 404);
}

#[test]
fn the_archive_has_filters_of_its_own() {
    let (_exchange, _server, mut client) = bench();
    for (query, expected) in [
        ("tickers=KXA-OLD,KXA-NEW", &["KXA-OLD"][..]),
        ("event_ticker=KXE-B", &["KXB-OLD"]),
        ("series_ticker=KXE", &["KXB-OLD", "KXA-OLD"]),
        ("series_ticker=KXNONE", &[]),
        ("mve_filter=exclude", &["KXB-OLD", "KXA-OLD"]),
        ("mve_filter=only", &["KXMVE-1", "KXB-OLD", "KXA-OLD"]),
        ("ticker=KXA-OLD&status=nonsense&min_close_ts=x", &["KXMVE-1", "KXB-OLD", "KXA-OLD"]),
    ] {
        let answer = client.get(&format!("/historical/markets?{query}"));
        assert_eq!(answer.tickers(), expected, "{query}");
        assert_eq!(answer.header("cache-control"), None);
    }
    for query in
        ["tickers=A&event_ticker=B", "tickers=A&series_ticker=B", "event_ticker=A&series_ticker=B"]
    {
        let refused = client.get(&format!("/historical/markets?{query}")).refused();
        assert_eq!(
            refused, "tickers, event_ticker and series_ticker are mutually exclusive",
            "{query}"
        );
    }
}

#[test]
fn the_archive_is_paged() {
    let (_exchange, _server, mut client) = bench();
    let first = client.get("/historical/markets?limit=2");
    assert_eq!(first.tickers(), ["KXMVE-1", "KXB-OLD"]);
    let cursor = first.cursor().unwrap();
    let last = client.get(&format!("/historical/markets?limit=2&cursor={cursor}"));
    assert_eq!((last.tickers(), last.cursor()), (vec!["KXA-OLD".to_owned()], None));
}

#[test]
fn an_unknown_market_has_a_code_of_its_own() {
    let (_exchange, _server, mut client) = bench();
    assert_eq!(
        client.get("/historical/markets/KXNONE").text(),
        r#"{"error":{"code":"failed_to_get_market_by_ticker:_not_found","message":"not found"}}"#
    );
}
