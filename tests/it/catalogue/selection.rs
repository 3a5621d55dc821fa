//! What belongs to what was selected.

use kalshi_ingest::domain::market::{Absence, Market, MarketScope, WatchChange, WatchRecord};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::store::Store;

use super::{at, instant, market, plain, rows, seen, some, ticker, tickers};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    an_entry_is_selected_from_its_first_time_on,
    what_was_learnt_of_an_entry_is_kept,
    markets_join_and_leave,
    entries_do_not_share_their_markets,
    ten_thousand_markets_join_at_once,
    unsettled_markets_are_those_in_scope,
}

fn change(watch: &str) -> WatchChange {
    WatchChange { watch: watch.to_owned(), ..WatchChange::default() }
}

fn watch(store: &mut dyn Store, name: &str) -> WatchRecord {
    let mut records = store.watches(&[name.to_owned()], at(999)).unwrap();
    assert_eq!(records.len(), 1, "{name}");
    records.remove(0)
}

fn an_entry_is_selected_from_its_first_time_on(database: &Database) {
    let mut store = database.open();
    let names = ["series:KX\"1'".to_owned(), "*".to_owned()];
    let first = WatchRecord {
        watch: names[0].clone(),
        first_selected_at: at(100),
        resolved_at: None,
        synced_at: None,
        synced_until: None,
        known_at: None,
        empty_at: None,
        members: Vec::new(),
    };
    for now in [100, 200] {
        let records = store.watches(&names[..1], at(now)).unwrap();
        assert_eq!(records, std::slice::from_ref(&first), "asked at {now}");
    }
    let mut records = store.watches(&names, at(300)).unwrap();
    records.sort_by_key(|record| record.first_selected_at);
    let second =
        WatchRecord { watch: names[1].clone(), first_selected_at: at(300), ..first.clone() };
    assert_eq!(records, [first, second], "each from its own first time");
}

fn what_was_learnt_of_an_entry_is_kept(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    watch(store, "event:E");
    let resolved = WatchChange { resolved_at: Some(at(1_000)), ..change("event:E") };
    let synced = WatchChange { synced: Some((at(1_100), Some(at(1_090)))), ..change("event:E") };
    for (change, times, why) in [
        (resolved, (Some(at(1_000)), None, None), "resolved"),
        (synced, (Some(at(1_000)), Some(at(1_100)), Some(at(1_090))), "synced"),
        (change("event:E"), (Some(at(1_000)), Some(at(1_100)), Some(at(1_090))), "nothing"),
    ] {
        store.save_watches(&[change]).unwrap();
        let stored = watch(store, "event:E");
        assert_eq!((stored.resolved_at, stored.synced_at, stored.synced_until), times, "{why}");
        assert_eq!(stored.first_selected_at, at(999), "{why}");
    }
    let columns = [
        plain("watch"),
        instant(database, "first_selected_at"),
        instant(database, "resolved_at"),
        instant(database, "synced_at"),
        instant(database, "synced_until"),
    ];
    let expected =
        [some("event:E"), some(at(999)), some(at(1_000)), some(at(1_100)), some(at(1_090))];
    assert_eq!(rows(database, &columns, "selection_watches where source = 'kalshi'"), [expected]);
}

fn markets_join_and_leave(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    watch(store, "series:S");
    let joined = WatchChange {
        joined: tickers(&["b", "A", "C"]),
        resolved_at: Some(at(1_000)),
        ..change("series:S")
    };
    store.save_watches(&[joined]).unwrap();
    assert_eq!(watch(store, "series:S").members, tickers(&["A", "C", "b"]), "sorted");
    let later = WatchChange {
        joined: tickers(&["A", "D"]),
        left: tickers(&["C", "NEVER"]),
        resolved_at: Some(at(2_000)),
        ..change("series:S")
    };
    store.save_watches(&[later]).unwrap();
    assert_eq!(watch(store, "series:S").members, tickers(&["A", "D", "b"]));
    let columns = [plain("market_ticker"), instant(database, "joined_at")];
    assert_eq!(
        rows(
            database,
            &columns,
            "selection_members where source = 'kalshi' and watch = 'series:S'
                 order by joined_at, market_ticker"
        ),
        [[some("A"), some(at(1_000))], [some("b"), some(at(1_000))], [some("D"), some(at(2_000))],],
        "who was there stays since when it was there"
    );
}

fn entries_do_not_share_their_markets(database: &Database) {
    let mut store = database.open();
    let names = ["series:S", "event:E", "event:NONE"].map(str::to_owned);
    store.watches(&names, at(10)).unwrap();
    store
        .save_watches(&[
            WatchChange { joined: tickers(&["A", "B"]), ..change("series:S") },
            WatchChange { joined: tickers(&["B", "C"]), ..change("event:E") },
            WatchChange { joined: tickers(&["X"]), ..change("never selected") },
        ])
        .unwrap();
    let left = WatchChange { left: tickers(&["B"]), ..change("series:S") };
    store.save_watches(&[left]).unwrap();
    let members = |record: WatchRecord| -> String {
        let names: Vec<&str> = record.members.iter().map(Ticker::as_str).collect();
        format!("{} {}", record.watch, names.join(" "))
    };
    let mut found: Vec<String> =
        store.watches(&names, at(20)).unwrap().into_iter().map(members).collect();
    found.sort_unstable();
    assert_eq!(found, ["event:E B C", "event:NONE ", "series:S A"]);
    assert_eq!(database.number("select count(*) as x from selection_members"), 3);
}

fn ten_thousand_markets_join_at_once(database: &Database) {
    let mut store = database.open();
    watch(store.as_mut(), "*");
    let joined: Vec<_> = (0..10_000).map(|n| ticker(&format!("M{n:05}"))).collect();
    let all = WatchChange { joined: joined.clone(), ..change("*") };
    store.save_watches(&[all]).unwrap();
    assert_eq!(watch(store.as_mut(), "*").members, joined);
    let none = WatchChange { left: joined, ..change("*") };
    store.save_watches(&[none]).unwrap();
    assert!(watch(store.as_mut(), "*").members.is_empty());
}

fn unsettled_markets_are_those_in_scope(database: &Database) {
    let mut store = database.open();
    let of = |name: &str, status: &str, event: &str, series: Option<&str>| Market {
        event_ticker: event.into(),
        series: series.map(Box::from),
        ..market(name, status)
    };
    let markets = [
        of("C", "active", "E1", Some("S1")),
        of("A", "disputed", "E1", Some("S1")),
        of("B", "finalized", "E1", Some("S1")),
        of("b", "some-word", "E2", Some("S1")),
        of("D", "initialized", "E3", None),
        of("V", "active", "E3", None),
    ];
    store.save_markets(&markets.map(|market| seen(market, 10)), &[], at(10)).unwrap();
    let gone = Absence { ticker: ticker("V"), is_believed: true };
    store.save_markets(&[], &[gone], at(20)).unwrap();
    for (scope, names) in [
        (MarketScope::All, "A C D b"),
        (MarketScope::Series("S1"), "A C b"),
        (MarketScope::Event("E1"), "A C"),
        (MarketScope::Event("E3"), "D"),
        (MarketScope::Series("E1"), ""),
        (MarketScope::Event(""), ""),
    ] {
        let unsettled = store.unsettled_markets(scope).unwrap();
        let found: Vec<&str> = unsettled.iter().map(|known| known.ticker.as_str()).collect();
        assert_eq!(found.join(" "), names, "{scope:?}");
    }
}
