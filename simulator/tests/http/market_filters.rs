//! What narrows a list of markets, and what must not be combined.

use kalshi_simulator::{Exchange, Market, MaxTs, Rules, Server, Status};

use crate::client::{Answer, Client};
use crate::{SECOND_US, START_US, exchange, market, trade};

const START_S: i64 = START_US / SECOND_US;

/// One market of each kind, created ten seconds apart, at half past the open hour:
/// finalized S, closed C, active A, paused P, unopened U, and the active combo M.
fn bench() -> (Exchange, Server, Client) {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.set_now(START_US + 1_800 * SECOND_US);
    let made = |ticker: &str, event: &str, number: i64| Market {
        created_us: START_US + number * 10 * SECOND_US + 500_000,
        ..market(ticker, event)
    };
    exchange.add_market(made("KXA-1-S", "KXA-1", 0));
    let closed_us = START_US + 900 * SECOND_US;
    exchange.add_market(Market { close_us: closed_us, ..made("KXA-1-C", "KXA-1", 1) });
    exchange.add_market(made("KXA-1-A", "KXA-1", 2));
    exchange.add_market(Market { status: Some(Status::Inactive), ..made("KXB-1-P", "KXB-1", 3) });
    let later_us = START_US + 2_000 * SECOND_US;
    exchange.add_market(Market { open_us: later_us, ..made("KXB-2-U", "KXB-2", 4) });
    exchange.add_market(Market { is_combo: true, ..made("KXMVE-1-M", "KXMVE-1", 5) });
    exchange.settle_market("KXA-1-S", "no", 0);
    let client = Client::new(&server);
    (exchange, server, client)
}

/// The last letters of the tickers listed.
fn letters(answer: &Answer) -> String {
    answer.tickers().iter().map(|ticker| ticker.chars().next_back().unwrap()).collect()
}

fn check(client: &mut Client, cases: &[(&str, &str)]) {
    for (query, expected) in cases {
        let answer = client.get(&format!("/markets?{query}"));
        assert_eq!(letters(&answer), *expected, "{query}");
    }
}

#[test]
fn scopes_narrow_the_list() {
    let (exchange, _server, mut client) = bench();
    check(
        &mut client,
        &[
            ("", "MUPACS"),
            ("event_ticker=KXA-1", "ACS"),
            ("event_ticker=KXA-1,KXB-1", ""),
            ("series_ticker=KXB", "UP"),
            ("series_ticker=KXB&event_ticker=KXB-1", "P"),
            ("series_ticker=KXA&event_ticker=KXB-1", ""),
            ("tickers=KXA-1-S,KXB-2-U,KXNONE,KXA-1-S", "US"),
            ("tickers=KXA-1-S,KXB-2-U&limit=1", "U"),
            ("tickers=KXA-1-S,KXB-2-U&series_ticker=KXA", "S"),
            ("tickers=KXA-1-S,KXB-2-U&status=settled", "S"),
            ("ticker=KXA-1-S&nonsense=1", "MUPACS"),
        ],
    );
    let first = client.get("/markets?tickers=KXA-1-S,KXB-2-U&limit=1").cursor().unwrap();
    let next = client.get(&format!("/markets?tickers=KXA-1-S,KXB-2-U&limit=1&cursor={first}"));
    assert_eq!((letters(&next), next.cursor()), ("S".to_owned(), None));
    exchange.add_group("KXB-2", "KXMOVED", "Moved");
    check(&mut client, &[("series_ticker=KXB", "P"), ("series_ticker=KXMOVED", "U")]);
}

#[test]
fn combos_are_filtered_and_a_wrong_word_is_ignored() {
    let (_exchange, _server, mut client) = bench();
    check(
        &mut client,
        &[("mve_filter=only", "M"), ("mve_filter=exclude", "UPACS"), ("mve_filter=x", "MUPACS")],
    );
}

#[test]
fn statuses_have_their_own_words_in_filters() {
    let (exchange, _server, mut client) = bench();
    check(
        &mut client,
        &[
            ("status=unopened", "U"),
            ("status=open", "MPA"),
            ("status=paused", "P"),
            ("status=closed", "C"),
            ("status=settled", "S"),
            ("status=", "MUPACS"),
        ],
    );
    let later_us = START_US + 2_000 * SECOND_US;
    exchange.change_market("KXB-1-P", |market| market.open_us = later_us);
    check(&mut client, &[("status=open", "MA"), ("status=paused", "P")]);
    for status in [Status::Determined, Status::Disputed, Status::Amended] {
        exchange.change_market("KXA-1-C", |market| market.status = Some(status));
        check(&mut client, &[("status=closed", "C")]);
    }
    for status in ["all", "active", "finalized", "Open"] {
        let refused = client.get(&format!("/markets?status={status}"));
        assert_eq!(
            refused.text(),
            r#"{"error":{"code":"bad_request","details":"invalid status filter","message":"bad request"}}"#
        );
        assert_eq!(refused.status, 400);
    }
    let several = client.get("/markets?status=open,closed").refused();
    assert_eq!(several, "only one status filter may be supplied");
}

#[test]
fn times_are_bounds_at_the_resolution_of_a_second() {
    let (exchange, _server, mut client) = bench();
    let settled_s = START_S + 1_800;
    let cases: Vec<(String, &str)> = vec![
        (format!("min_created_ts={}", START_S + 40), "MU"),
        (format!("min_created_ts={}&max_created_ts={}", START_S + 10, START_S + 30), "PAC"),
        (format!("min_created_ts={}&status=open", START_S + 20), "MPA"),
        (format!("max_created_ts={}&status=unopened", START_S + 99), "U"),
        (format!("max_close_ts={}", START_S + 900), "C"),
        (format!("min_close_ts={START_S}&status=closed"), "C"),
        (format!("max_close_ts={}&status=open", START_S + 3_600), "MPA"),
        (format!("min_settled_ts={settled_s}"), "S"),
        (format!("max_settled_ts={settled_s}&status=settled"), "S"),
        (format!("min_settled_ts={}", settled_s + 1), ""),
    ];
    for (query, expected) in &cases {
        check(&mut client, &[(query, expected)]);
    }
    exchange.change(|world| world.rules.max_ts = MaxTs::Exclusive);
    check(&mut client, &[(&format!("max_created_ts={}", START_S + 20), "CS")]);
}

#[test]
fn times_exclude_each_other_and_some_statuses() {
    let (_exchange, _server, mut client) = bench();
    let several = "timestamp filters are mutually exclusive";
    let incompatible = "timestamp filter is not compatible with status filter";
    for (query, details) in [
        ("min_created_ts=1&max_close_ts=2", several),
        ("min_settled_ts=1&min_close_ts=2", several),
        ("min_updated_ts=1&min_close_ts=2&mve_filter=exclude", several),
        ("min_created_ts=1&status=closed", incompatible),
        ("min_created_ts=1&status=settled", incompatible),
        ("min_close_ts=1&status=open", incompatible),
        ("max_close_ts=1&status=settled", incompatible),
        ("min_settled_ts=1&status=closed", incompatible),
        ("max_settled_ts=1&status=paused", incompatible),
        ("min_created_ts=now", "invalid timestamp"),
    ] {
        assert_eq!(client.get(&format!("/markets?{query}")).refused(), details, "{query}");
    }
}

#[test]
fn updates_are_asked_for_alone_and_without_combos() {
    let (exchange, _server, mut client) = bench();
    let now_s = START_S + 1_800;
    exchange.change_market("KXMVE-1-M", |market| market.is_provisional = true);
    exchange.advance(500_000);
    exchange.change_market("KXB-1-P", |market| market.status = None);
    exchange.add(trade(START_US, "no change of a market"));
    for (query, expected) in [
        (format!("min_updated_ts={now_s}"), "P"),
        (format!("min_updated_ts={}", now_s - 1), "PS"),
        (format!("min_updated_ts={}&series_ticker=KXA", now_s - 1), "S"),
        (format!("min_updated_ts={}&max_updated_ts={now_s}", now_s - 1), "S"),
        (format!("min_updated_ts={}", now_s + 1), ""),
    ] {
        check(&mut client, &[(&format!("{query}&mve_filter=exclude"), expected)]);
    }
    for query in [
        "",
        "&mve_filter=only",
        "&series_ticker=KXA",
        "&mve_filter=exclude&status=open",
        "&mve_filter=exclude&event_ticker=KXA-1",
        "&mve_filter=exclude&tickers=KXA-1-S",
    ] {
        for bound in ["min_updated_ts=1", "max_updated_ts=1"] {
            let refused = client.get(&format!("/markets?{bound}{query}")).refused();
            assert!(refused.starts_with("updated timestamp filters"), "{query}: {refused}");
        }
    }
}
