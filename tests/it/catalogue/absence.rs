//! What is kept of names that were refused and of markets that are over.

use kalshi_ingest::domain::market::{EventRecord, MarketScope, Refusal, WatchChange};
use kalshi_ingest::domain::selection::Target;
use kalshi_ingest::store::Store;

use super::{at, market, see, seen, ticker};
use crate::support::database::{Database, on_both_stores};
use crate::support::scopes;

on_both_stores! {
    a_refused_name_is_kept_until_it_is_lifted,
    a_refused_name_is_no_entry_unless_it_was_known,
    a_refused_market_retires_unless_it_traded,
    what_is_stored_of_a_name_is_found,
    markets_that_are_over_take_their_turn,
    events_tell_their_series,
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn a_refused_name_is_kept_until_it_is_lifted(database: &Database) {
    let mut store = database.open();
    let both = names(&["series:A", "market:B"]);
    assert_eq!(store.refusals(&both).unwrap(), []);
    store.save_refusals(&both, &[], at(100)).unwrap();
    store.save_refusals(&both[..1], &[], at(200)).unwrap();
    let refusal = |name: &str, checked| Refusal {
        name: name.to_owned(),
        first_refused_at: at(100),
        checked_at: at(checked),
    };
    let mut found = store.refusals(&both).unwrap();
    found.sort_by_key(|refusal| refusal.checked_at);
    assert_eq!(found, [refusal("market:B", 100), refusal("series:A", 200)]);
    store.save_refusals(&[], &both[..1], at(300)).unwrap();
    assert_eq!(store.refusals(&both).unwrap(), [refusal("market:B", 100)]);
}

fn a_refused_name_is_no_entry_unless_it_was_known(database: &Database) {
    let mut store = database.open();
    let all = names(&["series:A", "series:A 0/3", "series:AB", "series:B"]);
    store.watches(&all, at(10)).unwrap();
    let known_at = Some(at(20));
    let known = WatchChange { watch: "series:B".into(), known_at, ..WatchChange::default() };
    store.save_watches(&[known]).unwrap();
    store.save_refusals(&names(&["series:A", "series:B"]), &[], at(30)).unwrap();
    let mut left: Vec<String> =
        store.watches_on_record(&all).unwrap().into_iter().map(|record| record.watch).collect();
    left.sort_unstable();
    assert_eq!(left, ["series:AB", "series:B"]);
}

fn a_refused_market_retires_unless_it_traded(database: &Database) {
    let mut store = database.open();
    store.checkpoints(&scopes(&["A", "B"]), at(10)).unwrap();
    database.execute(
        "update ingestion_checkpoints set last_trade_at = '2026-07-25T00:00:00.000000Z' where market_ticker = 'B'",
    );
    store.save_refusals(&names(&["market:A", "market:B"]), &[], at(30)).unwrap();
    let left = store.checkpoints_on_record(&scopes(&["A", "B", "C"])).unwrap();
    let mut left: Vec<(&str, bool)> =
        left.iter().map(|row| (row.scope.as_str(), row.retired_at.is_some())).collect();
    left.sort_unstable();
    assert_eq!(left, [("A", true), ("B", false)]);
}

fn what_is_stored_of_a_name_is_found(database: &Database) {
    let mut store = database.open();
    let mut row = market("S-1-A", "active");
    (row.event_ticker, row.series) = ("S-1".into(), Some("S".into()));
    store.save_markets(&[seen(row, 100)], &[], at(100)).unwrap();
    store.checkpoints(&scopes(&["N"]), at(10)).unwrap();
    for (target, is_there) in [
        (Target::Market(ticker("S-1-A")), true),
        (Target::Event(ticker("S-1")), true),
        (Target::Series(ticker("S")), true),
        (Target::Market(ticker("S-1")), false),
        (Target::Event(ticker("S")), false),
        (Target::Series(ticker("S-1")), false),
        (Target::Market(ticker("N")), false),
    ] {
        assert_eq!(store.is_on_record(&target).unwrap(), is_there, "{target:?}");
    }
    see(store.as_mut(), "S-1-A", "finalized", 200);
    let mut row = market("S-1-A", "finalized");
    (row.event_ticker, row.series) = ("S-1".into(), Some("S".into()));
    store.save_markets(&[seen(row, 300)], &[], at(300)).unwrap();
    assert!(store.is_on_record(&Target::Series(ticker("S"))).unwrap(), "also what is over");
    assert!(store.is_on_record(&Target::Event(ticker("S-1"))).unwrap());
}

fn over(store: &mut dyn Store, scope: MarketScope<'_>, after: i64, count: usize) -> Vec<String> {
    let found = store.over_markets(scope, at(after), count).unwrap();
    let mut names: Vec<String> = found.iter().map(|known| known.ticker.to_string()).collect();
    names.sort_unstable();
    names
}

fn markets_that_are_over_take_their_turn(database: &Database) {
    let mut store = database.open();
    for (n, (status, ended)) in
        [("finalized", 1_000), ("finalized", 2_000), ("active", 2_500), ("finalized", 3_000)]
            .into_iter()
            .enumerate()
    {
        let mut row = market(&format!("S-1-{n}"), status);
        (row.event_ticker, row.series) = ("S-1".into(), Some("S".into()));
        // The later it ended, the longer ago it was looked at.
        store.save_markets(&[seen(row, ended)], &[], at(10_000 - ended)).unwrap();
    }
    for scope in [MarketScope::Series("S"), MarketScope::Event("S-1")] {
        let store = store.as_mut();
        assert_eq!(over(store, scope, 0, 10), ["S-1-0", "S-1-1", "S-1-3"], "nothing that trades");
        assert_eq!(over(store, scope, 0, 1), ["S-1-3"], "the one not looked at for longest");
        assert_eq!(over(store, scope, 9_000, 1), ["S-1-3"], "also if none ended lately");
        assert_eq!(over(store, scope, 9_000, 2), ["S-1-1", "S-1-3"]);
    }
    assert_eq!(over(store.as_mut(), MarketScope::Series("T"), 0, 10), [""; 0]);
}

fn events_tell_their_series(database: &Database) {
    let mut store = database.open();
    let record =
        EventRecord { event_ticker: "E".into(), series: "S".into(), title: Some("Why?".into()) };
    store.save_events(std::slice::from_ref(&record), at(1)).unwrap();
    let asked: [Box<str>; 2] = ["E".into(), "F".into()];
    assert_eq!(store.series_of_events(&asked).unwrap(), [record]);
}
