//! The query parameters.

use kalshi_simulator::{ErrorShape, MaxTs, Rules, Trade, ZeroLimit, seeded_trades};

use crate::client::{Client, walk};
use crate::{SECOND_US, START_US, TICKER, exchange, trade};

const START_S: i64 = START_US / SECOND_US;

#[test]
fn the_lower_bound_includes_its_second_and_the_upper_one_as_the_rule_says() {
    let (exchange, server) = exchange(Rules::default(), 0);
    for (offset_us, trade_id) in [
        (-1, "just before"),
        (0, "on the second"),
        (999_999, "end of the second"),
        (1_000_000, "next second"),
    ] {
        exchange.add(trade(START_US + offset_us, trade_id));
    }
    let mut client = Client::new(&server);
    let mut check = |query: String, expected: &[&str]| {
        assert_eq!(client.trades(&query).ids(), expected, "{query}");
    };
    check(format!("min_ts={START_S}"), &["next second", "end of the second", "on the second"]);
    check(format!("min_ts={}", START_S + 1), &["next second"]);
    check(format!("max_ts={START_S}"), &["end of the second", "on the second", "just before"]);
    check(format!("min_ts={START_S}&max_ts={START_S}"), &["end of the second", "on the second"]);
    check(format!("min_ts={START_S}&max_ts={}", START_S - 1), &[]);
    check(
        format!("max_ts={}", i64::MAX),
        &["next second", "end of the second", "on the second", "just before"],
    );
    check(format!("min_ts={}", i64::MAX), &[]);

    exchange.change(|world| world.rules.max_ts = MaxTs::Exclusive);
    check(format!("max_ts={START_S}"), &["just before"]);
    check(format!("min_ts={START_S}&max_ts={START_S}"), &[]);
    check(
        format!("min_ts={START_S}&max_ts={}", START_S + 1),
        &["end of the second", "on the second"],
    );
}

#[test]
fn markets_are_apart_and_unknown_ones_empty() {
    let (exchange, server) = exchange(Rules::default(), 300);
    exchange.add_all(seeded_trades(1, "KXOTHER.5-B", 300, START_US, START_US + SECOND_US));
    assert_eq!(exchange.tickers(), ["KXOTHER.5-B", TICKER]);
    let mut client = Client::new(&server);
    for ticker in exchange.tickers() {
        let truth: Vec<_> = exchange.trades(&ticker).into_iter().map(|t| t.trade_id).collect();
        let query = format!("limit=128&ticker={ticker}");
        assert_eq!(walk(&mut client, "/markets/trades", &query).concat(), truth);
    }
    assert!(client.trades("ticker=KXNOBODY").ids().is_empty());
    assert_eq!(client.trades("ticker=KXOTHER%2E5-B&limit=1000").ids().len(), 300, "it is decoded");
}

#[test]
fn block_trades_are_told_apart() {
    let (exchange, server) = exchange(Rules::default(), 0);
    for number in 0..6 {
        let plain = trade(START_US + number, &format!("{number}"));
        exchange.add(Trade { is_block_trade: number % 3 == 0, ..plain });
    }
    let flagged = r#"{"trade_id":"recorded","is_block_trade":true}"#;
    exchange.add_event(TICKER, START_US + 9, "recorded", flagged.to_owned());
    let mut client = Client::new(&server);
    let mut seen = |query| walk(&mut client, "/markets/trades", query).concat();
    assert_eq!(seen("limit=2&is_block_trade=true"), ["recorded", "3", "0"]);
    assert_eq!(seen("limit=2&is_block_trade=false"), ["5", "4", "2", "1"]);
    assert_eq!(seen("limit=2").len(), 7);
}

#[test]
fn limits_have_a_default_and_a_maximum() {
    let (exchange, server) = exchange(Rules::default(), 1_500);
    let mut client = Client::new(&server);
    for (query, row_count) in [("", 100), ("limit=1", 1), ("limit=1000", 1_000), ("limit=0", 100)] {
        assert_eq!(client.trades(query).ids().len(), row_count, "{query}");
    }
    exchange.change(|world| world.rules.zero_limit = ZeroLimit::Refused);
    for query in ["limit=1001", "limit=-1", "limit=", "limit=ten", "limit=1e3", "limit=0"] {
        let refused = client.trades(query);
        assert_eq!(refused.status, 400, "{query}");
        assert_eq!(
            refused.text(),
            r#"{"error":{"code":"bad_request","details":"invalid limit","message":"bad request"}}"#
        );
    }
    exchange.change(|world| world.rules.error_shape = ErrorShape::Flat);
    assert_eq!(
        client.trades("limit=1001").text(),
        r#"{"code":"bad_request","details":"invalid limit","message":"bad request"}"#
    );
}

#[test]
fn what_is_not_understood_is_refused_and_what_is_unknown_ignored() {
    let (_exchange, server) = exchange(Rules::default(), 10);
    let mut client = Client::new(&server);
    for query in ["min_ts=x", "max_ts=1.5", "min_ts=", "is_block_trade=1"] {
        assert_eq!(client.trades(query).status, 400, "{query}");
    }
    for query in ["order=asc", "tickers=A,B", "mve_filter=bogus&&=", "ticker="] {
        assert_eq!(client.trades(query).ids().len(), 10, "{query}");
    }
}
