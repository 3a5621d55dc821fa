//! Order books.

use kalshi_simulator::{Book, Exchange, Rules, Server};

use crate::client::Client;
use crate::{exchange, market};

const EMPTY: &str = r#"{"no_dollars":[],"yes_dollars":[]}"#;

fn bench() -> (Exchange, Server, Client) {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.add_market(market("KXA-1", "KXA"));
    exchange.add_market(market("KXA-2", "KXA"));
    let yes = vec![(6_100, 7_900), (100, 660_000), (5_900, 1)];
    exchange.set_book("KXA-1", Book { yes, no: vec![(3_001, 50)] });
    let client = Client::new(&server);
    (exchange, server, client)
}

#[test]
fn bids_ascend_and_empty_sides_are_lists() {
    let (_exchange, _server, mut client) = bench();
    assert_eq!(
        client.get("/markets/KXA-1/orderbook").text(),
        concat!(
            r#"{"orderbook_fp":{"no_dollars":[["0.3001","0.50"]],"#,
            r#""yes_dollars":[["0.0100","6600.00"],["0.5900","0.01"],["0.6100","79.00"]]}}"#
        )
    );
    let other = client.get("/markets/KXA-2/orderbook");
    assert_eq!(other.text(), format!("{{\"orderbook_fp\":{EMPTY}}}"));
    assert_eq!(client.get("/markets/KXNONE/orderbook").status, 404);
}

#[test]
fn depth_keeps_the_best() {
    let (_exchange, _server, mut client) = bench();
    let mut level_count = |depth: &str| {
        let answer = client.get(&format!("/markets/KXA-1/orderbook?depth={depth}"));
        let levels = answer.json()["orderbook_fp"]["yes_dollars"].clone();
        assert_eq!(levels.as_array().unwrap().last().unwrap()[0], "0.6100");
        levels.as_array().unwrap().len()
    };
    for (depth, count) in [("1", 1), ("2", 2), ("100", 3), ("0", 3), ("-1", 3), ("", 3)] {
        assert_eq!(level_count(depth), count, "depth {depth}");
    }
    for depth in ["101", "x"] {
        let answer = client.get(&format!("/markets/KXA-1/orderbook?depth={depth}"));
        assert_eq!(answer.refused(), "invalid depth");
    }
}

#[test]
fn several_books_come_in_the_order_asked_for() {
    let (exchange, _server, mut client) = bench();
    let answer = client.get("/markets/orderbooks?tickers=KXA-2&tickers=KXNONE&tickers=KXA-1");
    assert_eq!(answer.texts("orderbooks", "ticker"), ["KXA-2", "KXNONE", "KXA-1"]);
    let books = answer.json()["orderbooks"].clone();
    assert_eq!(books[1]["orderbook_fp"].to_string(), EMPTY);
    assert_eq!(books[2]["orderbook_fp"]["yes_dollars"].as_array().unwrap().len(), 3);
    assert_eq!(exchange.requests()[0].row_count, 3);

    let joined = client.get("/markets/orderbooks?tickers=KXA-1,KXA-2");
    assert_eq!(
        joined.text(),
        format!("{{\"orderbooks\":[{{\"orderbook_fp\":{EMPTY},\"ticker\":\"KXA-1,KXA-2\"}}]}}")
    );
}

#[test]
fn one_to_a_hundred_books_may_be_asked_for() {
    let (_exchange, _server, mut client) = bench();
    let query = |count: usize| vec!["tickers=KXA-1"; count].join("&");
    for (count, status) in [(0, 400), (1, 200), (100, 200), (101, 400)] {
        let answer = client.get(&format!("/markets/orderbooks?{}", query(count)));
        assert_eq!(answer.status, status, "{count}");
    }
}

#[test]
fn settled_and_removed_markets_have_empty_books() {
    let (exchange, _server, mut client) = bench();
    exchange.settle_market("KXA-1", "yes", 10_000);
    let book = client.get("/markets/KXA-1/orderbook");
    assert_eq!(book.text(), format!("{{\"orderbook_fp\":{EMPTY}}}"));
    let market = client.get("/markets/KXA-1").json()["market"].clone();
    assert_eq!(market["yes_bid_dollars"], "0.0000");
    exchange.remove_market("KXA-1");
    let books = client.get("/markets/orderbooks?tickers=KXA-1").json();
    assert_eq!(books["orderbooks"][0]["orderbook_fp"].to_string(), EMPTY);
}
