//! Pages: complete, in order, without repetition, whatever happens between them.

use kalshi_simulator::{ListEnd, MalformedCursor, Rules, seeded_trades};

use crate::client::{Client, walk};
use crate::{START_US, TICKER, exchange, ids, trade};

const TRADES: &str = "/markets/trades";

#[test]
fn a_walk_sees_everything_once_under_every_rule_for_the_end() {
    for trade_count in [0, 1, 999, 1_000, 1_001, 3_000] {
        let (exchange, server) = exchange(Rules::default(), trade_count);
        let mut client = Client::new(&server);
        for list_end in [ListEnd::EmptyString, ListEnd::Null, ListEnd::Absent] {
            for cursor_after_full_page in [false, true] {
                exchange.change(|world| {
                    world.rules.list_end = list_end;
                    world.rules.cursor_after_full_page = cursor_after_full_page;
                });
                let pages = walk(&mut client, TRADES, "limit=1000");
                let why = format!("{trade_count} {list_end:?} {cursor_after_full_page}");
                assert_eq!(pages.concat(), ids(&exchange), "{why}");
                let has_empty_page =
                    cursor_after_full_page && 0 < trade_count && trade_count % 1_000 == 0;
                let page_count = trade_count.div_ceil(1_000).max(1) + usize::from(has_empty_page);
                assert_eq!(pages.len(), page_count, "{why}");
            }
        }
    }
}

#[test]
fn the_end_is_written_as_the_rule_says() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let mut client = Client::new(&server);
    for (list_end, body) in [
        (ListEnd::EmptyString, r#"{"cursor":"","trades":[]}"#),
        (ListEnd::Null, r#"{"cursor":null,"trades":[]}"#),
        (ListEnd::Absent, r#"{"trades":[]}"#),
    ] {
        exchange.change(|world| world.rules.list_end = list_end);
        assert_eq!(client.trades("").text(), body);
    }
}

#[test]
fn a_page_is_the_recorded_one_byte_for_byte() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let recorded = include_str!("recorded_page.json").trim_end();
    let rows = recorded.split_once('[').unwrap().1.strip_suffix("]}").unwrap();
    let lines = rows.replace("},{", "}\n{");
    assert_eq!(exchange.load_json_lines(&lines), Ok(3));
    let older = "KXOLDER-26JUL25-X";
    exchange.add_all(seeded_trades(
        1,
        older,
        1,
        START_US - 365 * 86_400_000_000,
        START_US - 364 * 86_400_000_000,
    ));
    let mut client = Client::new(&server);
    assert_eq!(client.trades("limit=3").text(), recorded);
    assert_eq!(exchange.rows("KXETH15M-26JUL250200-00"), [lines.lines().next().unwrap()]);
    assert_eq!(
        exchange.load_json_lines("{}"),
        Err("line 1: no text in \"created_time\"".to_owned())
    );
}

#[test]
fn growth_at_the_head_neither_repeats_nor_skips() {
    let (exchange, server) = exchange(Rules::default(), 2_500);
    let before = ids(&exchange);
    exchange.before_each_page(|world, number| {
        let from_us = world.all_trades()[0].created_us + 1;
        world.add_all(seeded_trades(number, TICKER, 400, from_us, from_us + 1_000));
    });
    let pages = walk(&mut Client::new(&server), TRADES, "limit=1000");
    assert_eq!(pages[0].len(), 1_000);
    let seen = pages.concat();
    assert_eq!(
        seen[400..],
        before,
        "the first page has the growth before it, the rest is as it was"
    );
    assert_eq!(ids(&exchange).len(), 2_500 + pages.len() * 400);
}

#[test]
fn a_late_trade_is_seen_only_ahead_of_the_walk() {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.add_all((0..10).map(|number| trade(START_US + number * 10, &format!("{number}"))));
    exchange.before_each_page(|world, number| {
        if number == 2 {
            world.add(trade(START_US + 85, "behind"));
            world.add(trade(START_US + 5, "ahead"));
        }
    });
    let seen = walk(&mut Client::new(&server), TRADES, "limit=4").concat();
    assert_eq!(seen, ["9", "8", "7", "6", "5", "4", "3", "2", "1", "ahead", "0"]);
}

#[test]
fn ties_are_ordered_by_id_and_cut_anywhere() {
    let (exchange, server) = exchange(Rules::default(), 0);
    exchange.add_all(seeded_trades(3, "A", 150, START_US, START_US + 2));
    exchange.add_all(seeded_trades(3, "B", 150, START_US, START_US + 1));
    let truth = exchange.all_trades();
    let is_ordered = |pair: &[kalshi_simulator::Trade]| {
        (pair[1].created_us, &pair[1].trade_id) < (pair[0].created_us, &pair[0].trade_id)
    };
    assert!(truth.windows(2).all(is_ordered));
    let mut client = Client::new(&server);
    for limit in [1, 7, 100] {
        let pages = walk(&mut client, TRADES, &format!("limit={limit}"));
        assert_eq!(pages.concat(), ids(&exchange), "limit {limit}");
    }
}

#[test]
fn ids_of_any_form_are_paged() {
    let (exchange, server) = exchange(Rules::default(), 0);
    for trade_id in ["", "x", "ünï\"quoted", "BD4A0729-5498-774F-09AF-920BC1C31642"] {
        exchange.add(trade(START_US, trade_id));
    }
    exchange.add_event(
        TICKER,
        START_US - 1,
        "~",
        r#"{"trade_id":"from text","n":1.50}"#.to_owned(),
    );
    let seen = walk(&mut Client::new(&server), TRADES, "limit=1").concat();
    assert_eq!(seen[..4], ids(&exchange));
    assert_eq!(seen[4], "from text");
}

#[test]
fn events_of_any_bytes_are_served_as_they_are() {
    let (exchange, server) = exchange(Rules::default(), 1);
    exchange.add_event(TICKER, START_US - 1, "~", b"{\"x\":\"\0\xff".to_vec());
    let body = Client::new(&server).trades("limit=10").body;
    assert!(body.ends_with(b",{\"x\":\"\0\xff]}"), "{}", String::from_utf8_lossy(&body));
    assert!(exchange.rows(TICKER)[1].ends_with('\u{fffd}'));
}

#[test]
fn a_malformed_cursor_restarts_or_is_refused() {
    let (exchange, server) = exchange(Rules::default(), 20);
    let mut client = Client::new(&server);
    let first = client.trades("limit=10").ids();
    assert_eq!(client.trades("limit=10&cursor=damaged").ids(), first);
    assert_eq!(client.trades("limit=10&cursor=").ids(), first, "an empty one is none");
    exchange.change(|world| world.rules.malformed_cursor = MalformedCursor::Refused);
    let refused = client.trades("limit=10&cursor=damaged");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["details"], "invalid cursor");
}
