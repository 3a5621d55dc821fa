//! Markets that nobody added but that have trades.

use kalshi_simulator::{Market, Rules, Trade, seeded_trades};

use crate::client::Client;
use crate::{SECOND_US, START_US, TICKER, exchange, market, trade};

#[test]
fn a_traded_market_is_listed() {
    let (exchange, server) = exchange(Rules::default(), 300);
    exchange.set_now(START_US + 86_400 * SECOND_US);
    let mut client = Client::new(&server);
    assert_eq!(client.get("/markets?status=open&series_ticker=KXTEST").tickers(), [TICKER]);
    assert_eq!(client.get("/events").texts("events", "event_ticker"), ["KXTEST-26NOV22"]);
    assert_eq!(client.get("/series").texts("series", "ticker"), ["KXTEST"]);

    let trades = exchange.trades(TICKER);
    let market = exchange.market(TICKER).unwrap();
    let first_us = trades.last().unwrap().created_us;
    assert_eq!(market.open_us, first_us - 86_400 * SECOND_US);
    assert_eq!(market.created_us, market.open_us);
    assert!(exchange.now_us() < market.close_us);
    let volume_e2: u64 = trades.iter().map(|trade| trade.count_e2).sum();
    assert_eq!(exchange.volume_e2(TICKER), volume_e2);
    let json = client.get(&format!("/markets/{TICKER}")).json()["market"].clone();
    assert_eq!(json["volume_fp"], format!("{}.{:02}", volume_e2 / 100, volume_e2 % 100));
    assert_eq!(json["event_ticker"], "KXTEST-26NOV22");
}

#[test]
fn earlier_trades_move_its_opening() {
    let (exchange, server) = exchange(Rules::default(), 0);
    for number in (0..10).rev() {
        exchange.add(trade(START_US + number, &format!("{number}")));
    }
    let open_us = exchange.market(TICKER).unwrap().open_us;
    assert_eq!(open_us, START_US - 86_400 * SECOND_US);
    assert_eq!(Client::new(&server).get("/markets").tickers(), [TICKER], "once");
}

#[test]
fn recorded_trades_count_too() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let line = |id: &str, count: &str| {
        format!(
            r#"{{"trade_id":"{id}","ticker":"KXR","created_time":"2026-09-21T14:26:40Z",{count}}}"#
        )
    };
    let lines = [line("a", r#""count_fp":"1.25""#), line("b", r#""count":3"#)].join("\n");
    exchange.load_json_lines(&lines).unwrap();
    assert_eq!(exchange.volume_e2("KXR"), 425);
    let again = line("a", r#""count_fp":"2.00""#);
    exchange.add_event("KXR", START_US, "a", again);
    assert_eq!(exchange.volume_e2("KXR"), 500, "a trade that is replaced counts once");
    assert_eq!(Client::new(&server).get("/markets/KXR").json()["market"]["event_ticker"], "KXR");
}

#[test]
fn an_added_market_takes_its_place() {
    let (exchange, server) = exchange(Rules::default(), 5);
    let added = Market { title: "Said".to_owned(), ..market(TICKER, "KXOTHER-1") };
    exchange.add_market(added.clone());
    exchange.add_all(seeded_trades(2, TICKER, 5, START_US - SECOND_US, START_US));
    assert_eq!(exchange.markets(), [added]);
    let mut client = Client::new(&server);
    assert_eq!(client.get("/events").texts("events", "event_ticker"), ["KXOTHER-1"]);
    assert_eq!(client.get("/series").texts("series", "ticker"), ["KXOTHER"]);
}

#[test]
fn a_removed_market_stays_away_until_it_is_added() {
    let (exchange, server) = exchange(Rules::default(), 5);
    exchange.remove_market(TICKER);
    exchange.add_all(seeded_trades(2, TICKER, 5, START_US, START_US + SECOND_US));
    let mut client = Client::new(&server);
    assert_eq!(client.get(&format!("/markets/{TICKER}")).status, 404);
    assert_eq!(exchange.status_of(TICKER), None);
    assert_eq!(client.trades("").ids().len(), 10, "its trades are still there");
    exchange.add_market(market(TICKER, "KXTEST-26NOV22"));
    assert_eq!(client.get(&format!("/markets/{TICKER}")).status, 200);
}

#[test]
fn the_rule_may_be_off() {
    let rules = Rules { implicit_markets: false, ..Rules::default() };
    let (exchange, server) = exchange(rules, 5);
    exchange.add_market(market("KXTEST-26NOV22-B", "KXTEST-26NOV22"));
    exchange.add(Trade { ticker: "KXELSE-1".to_owned(), ..trade(START_US, "else") });
    let mut client = Client::new(&server);
    assert_eq!(client.get("/markets").tickers(), ["KXTEST-26NOV22-B"]);
    assert_eq!(client.get(&format!("/markets/{TICKER}")).status, 404);
    assert_eq!(client.get("/events/KXELSE-1").status, 404);
    assert_eq!(client.get("/series").texts("series", "ticker"), ["KXTEST"]);
    assert_eq!(client.get("/events/KXTEST-26NOV22").tickers(), ["KXTEST-26NOV22-B"]);
    exchange.change(|world| world.rules.implicit_markets = true);
    assert_eq!(client.get("/markets").tickers().len(), 3);
}
