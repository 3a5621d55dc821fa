//! What the exchange says of markets, and when it says nothing.

use std::sync::Barrier;

use kalshi_ingest::domain::market::{
    Absence, EventRecord, Known, Market, MarketScope, Sighting, Status,
};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::Price;
use kalshi_ingest::failure::Kind;
use kalshi_ingest::store::Store;

use super::{
    at, change, changes, instant, is_sqlite, known, market, plain, rows, scaled, see, seen, some,
    ticker, tickers,
};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    every_column_of_a_market_is_stored_exactly,
    what_is_not_known_is_null,
    what_decides_a_pass_is_remembered,
    words_that_no_column_holds_do_not_stop_the_others,
    a_change_of_status_is_recorded_once,
    two_processes_record_a_change_once,
    an_older_sighting_changes_nothing,
    an_absence_is_noted_until_the_market_is_found,
    a_believed_absence_is_an_end_until_the_market_is_back,
    what_was_paid_out_does_not_vanish,
    a_market_never_seen_is_not_absent,
    an_end_is_when_it_was_first_said,
    a_series_once_known_is_kept,
    a_series_is_taken_from_the_event,
    events_without_series_are_named_once,
    an_event_named_twice_is_its_last_word,
    markets_are_saved_all_or_none,
    twenty_thousand_markets_are_one_call,
    an_absence_that_is_told_twice_is_one_change,
    nothing_to_save_is_no_mistake,
}

const TABLE: &str = "prediction_markets where source = 'kalshi' order by market_ticker";

fn micros(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000 + 123_456)
}

fn full() -> Market {
    Market {
        ticker: ticker("KXBTCD-26JUL2502-T74099.99"),
        event_ticker: "KXBTCD-26JUL2502".into(),
        series: Some("KXBTCD".into()),
        title: Some("Bitcoin's price – \"above\" 74,099.99?".into()),
        yes_label: Some("$74,099.99 or 'above'".into()),
        status: Status::Finalized,
        result: Some("scalar".into()),
        open_time: Some(micros(1)),
        close_time: Some(micros(2)),
        expected_expiration_time: Some(micros(3)),
        latest_expiration_time: Some(micros(4)),
        settlement_time: Some(micros(5)),
        settlement_value: Price::from_e4_cents(380_001),
        volume_e2: Some(i64::MAX),
        price_level_structure: Some("deci_cent".into()),
        terms: [("rules_primary", "If \"it\" – rains".into())].into(),
        payload: "{\"b\":1,  \"a\":\"\\u0000é\",\"a\":2}".into(),
    }
}

fn absent(name: &str, is_believed: bool) -> Absence {
    Absence { ticker: ticker(name), is_believed }
}

fn miss(store: &mut dyn Store, absence: Absence, now: i64) -> u64 {
    store.save_markets(&[], &[absence], at(now)).unwrap()
}

fn event(event: &str, series: &str) -> EventRecord {
    EventRecord { event_ticker: event.into(), series: series.into(), title: None }
}

fn series(database: &Database) -> Vec<Option<String>> {
    database.texts(&format!("select series_ticker as x from {TABLE}"))
}

/// All columns but the opaque ones of the key.
fn columns(database: &Database) -> Vec<String> {
    let mut columns: Vec<String> = [
        "event_ticker",
        "series_ticker",
        "title",
        "yes_label",
        "status",
        "result",
        "price_level_structure",
        "payload",
    ]
    .map(plain)
    .into();
    columns.push(scaled(database, "settlement_value", 4));
    columns.push(scaled(database, "volume", 2));
    columns.extend(
        [
            "open_time",
            "close_time",
            "expected_expiration_time",
            "latest_expiration_time",
            "settlement_time",
            "first_seen_at",
            "updated_at",
            "observed_at",
            "checked_at",
            "missing_since",
            "ended_at",
        ]
        .map(|column| instant(database, column)),
    );
    columns
}

fn every_column_of_a_market_is_stored_exactly(database: &Database) {
    let mut store = database.open();
    let sighting = |market: Market, seen_at| Sighting { market, seen_at };
    store.save_markets(&[sighting(market_before(), micros(9))], &[], micros(90)).unwrap();
    store.save_markets(&[sighting(full(), micros(10))], &[], micros(100)).unwrap();
    let stored = rows(database, &columns(database), TABLE);
    let market = full();
    let words = [
        some(&market.event_ticker),
        some("KXBTCD"),
        some(market.title.unwrap()),
        some(market.yes_label.unwrap()),
        some("finalized"),
        some("scalar"),
        some("deci_cent"),
        some(&market.payload),
        some(380_001),
        some(i64::MAX),
    ];
    let times = [1, 2, 3, 4, 5, 90, 100, 10, 100].map(|second| some(micros(second)));
    let ends = [None, some(micros(10))];
    assert_eq!(stored, [[&words[..], &times[..], &ends[..]].concat()]);
    let cents = format!("select count(*) as x from {TABLE}")
        .replace("order by market_ticker", "and settlement_value = 38.0001");
    assert_eq!(database.number(&cents), 1, "the column that people read");
}

/// The same market with every other column different.
fn market_before() -> Market {
    Market { ticker: full().ticker, ..market("X", "active") }
}

fn what_is_not_known_is_null(database: &Database) {
    let mut store = database.open();
    store.save_markets(&[seen(full(), 9)], &[], at(90)).unwrap();
    store.save_markets(&[seen(market_before(), 10)], &[], at(100)).unwrap();
    let stored = rows(database, &columns(database), TABLE);
    let words =
        [some("X-EVENT"), some("KXBTCD"), None, None, some("active"), None, None, some("{}")];
    let nothing = [const { None }; 7];
    let times = [90, 100, 10, 100].map(|second| some(at(second)));
    assert_eq!(stored, [[&words[..], &nothing, &times, &[None, None]].concat()]);
}

fn what_decides_a_pass_is_remembered(database: &Database) {
    let mut store = database.open();
    let other = market("B", "no-such-word");
    store.save_markets(&[seen(full(), 10), seen(other, 11)], &[], at(100)).unwrap();
    let asked = tickers(&["B", "KXBTCD-26JUL2502-T74099.99", "NEVER"]);
    let mut known = store.known_markets(&asked).unwrap();
    known.sort_by(|a, b| a.ticker.cmp(&b.ticker));
    let least = Known {
        ticker: ticker("B"),
        status: Status::Other("no-such-word".into()),
        has_series: false,
        open_time: None,
        close_time: None,
        settlement_time: None,
        ended_at: None,
        checked_at: at(100),
        missing_since: None,
        volume_e2: None,
        seen_at: at(11),
    };
    let most = Known {
        ticker: full().ticker,
        status: Status::Finalized,
        has_series: true,
        open_time: Some(micros(1)),
        close_time: Some(micros(2)),
        settlement_time: Some(micros(5)),
        ended_at: Some(at(10)),
        volume_e2: full().volume_e2,
        seen_at: at(10),
        ..least.clone()
    };
    assert_eq!(known, [least, most], "and nothing of the one never seen");
    assert!(store.known_markets(&[]).unwrap().is_empty());
}

fn words_that_no_column_holds_do_not_stop_the_others(database: &Database) {
    let mut store = database.open();
    let odd = Market {
        title: Some("a\0b".into()),
        yes_label: Some("\0".into()),
        status: Status::Other("c\0d".into()),
        ..market("A", "")
    };
    for now in [10, 20] {
        let sightings = [seen(odd.clone(), now), seen(market("B", "active"), now)];
        store.save_markets(&sightings, &[], at(now)).unwrap();
    }
    assert_eq!(known(store.as_mut(), "A").status, Status::Other("c\u{fffd}d".into()));
    let titles = database.texts(&format!("select title as x from {TABLE}"));
    assert_eq!(titles, [some("a\u{fffd}b"), None]);
    assert_eq!(changes(database).len(), 2, "compared as stored");
    let named = EventRecord { title: Some("\0".into()), ..event("E\0", "S\0") };
    store.save_events(&[named], at(30)).unwrap();
}

fn a_change_of_status_is_recorded_once(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    assert_eq!(see(store, "A", "initialized", 10), 1, "a first sighting");
    assert_eq!(see(store, "A", "initialized", 20), 0, "the same again");
    assert_eq!(see(store, "A", "active", 30), 1);
    let both = [seen(market("A", "closed"), 40), seen(market("B", "active"), 40)];
    assert_eq!(store.save_markets(&both, &[], at(41)).unwrap(), 2);
    assert_eq!(
        changes(database)[..3],
        [
            change("A", "initialized", None, 10),
            change("A", "active", Some("initialized"), 30),
            change("A", "closed", Some("active"), 40),
        ]
    );
    assert_eq!(changes(database)[3..], [change("B", "active", None, 40)]);
}

fn two_processes_record_a_change_once(database: &Database) {
    const ROUNDS: i64 = 10;
    let mut stores = [database.open(), database.open()];
    let start = Barrier::new(2);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads = stores.each_mut().map(|store| {
            let start = &start;
            scope.spawn(move || {
                let round = |round| {
                    let names = (0..50).map(|n| format!("M{n:02}"));
                    let status = format!("status-{round}");
                    let all: Vec<_> =
                        names.map(|name| seen(market(&name, &status), round)).collect();
                    start.wait();
                    store.save_markets(&all, &[], at(round))
                };
                (0..ROUNDS).map(round).collect::<Vec<_>>()
            })
        });
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let counted: u64 = answers.into_iter().map(Result::unwrap).sum();
    assert_eq!(counted, 500, "each change by one of the two");
    assert_eq!(changes(database).len(), 500);
    let doubled = "select count(*) as x from (select 1 from market_status_changes
        group by market_ticker, status having count(*) > 1) as t";
    assert_eq!(database.number(doubled), 0);
}

fn an_older_sighting_changes_nothing(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    store.save_markets(&[seen(full(), 50)], &[absent("NEVER", true)], at(500)).unwrap();
    let columns: Vec<String> =
        columns(database).into_iter().filter(|column| !column.contains("checked_at")).collect();
    let before = rows(database, &columns, TABLE);
    let older = seen(market_before(), 49);
    assert_eq!(store.save_markets(&[older], &[], at(600)).unwrap(), 0);
    assert_eq!(rows(database, &columns, TABLE), before);
    assert_eq!(known(store, full().ticker.as_str()).checked_at, at(600));
    assert_eq!(changes(database).len(), 1);
    let same_second = seen(market_before(), 50);
    assert_eq!(store.save_markets(&[same_second], &[], at(700)).unwrap(), 1, "not older");
    assert_eq!(known(store, full().ticker.as_str()).status, Status::Active);
}

fn an_absence_is_noted_until_the_market_is_found(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    see(store, "A", "active", 50);
    for (now, why) in [(200_000, "first"), (200_060, "still")] {
        assert_eq!(miss(store, absent("A", false), now), 0);
        let known = known(store, "A");
        assert_eq!(known.missing_since, Some(at(200_000)), "{why}");
        assert_eq!((known.checked_at, known.status), (at(now), Status::Active), "{why}");
    }
    see(store, "A", "active", 49);
    assert_eq!(known(store, "A").missing_since, None, "found, if in an older answer");
    miss(store, absent("A", false), 200_120);
    see(store, "A", "active", 60);
    assert_eq!(known(store, "A").missing_since, None, "found");
    assert_eq!(changes(database).len(), 1);
}

fn a_believed_absence_is_an_end_until_the_market_is_back(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    see(store, "A", "active", 50);
    miss(store, absent("A", false), 200_000);
    assert_eq!(miss(store, absent("A", true), 200_060), 1);
    assert_eq!(miss(store, absent("A", true), 200_120), 0, "once");
    let gone = known(store, "A");
    assert_eq!((gone.status, gone.ended_at), (Status::Vanished, Some(at(200_060))));
    assert_eq!((gone.missing_since, gone.checked_at), (Some(at(200_000)), at(200_120)));
    assert!(store.unsettled_markets(MarketScope::All).unwrap().is_empty());

    assert_eq!(see(store, "A", "closed", 60), 1);
    let back = known(store, "A");
    assert_eq!((back.status, back.ended_at, back.missing_since), (Status::Closed, None, None));
    assert_eq!(
        changes(database),
        [
            change("A", "active", None, 50),
            change("A", "vanished", Some("active"), 200_060),
            change("A", "closed", Some("vanished"), 60),
        ]
    );
}

fn what_was_paid_out_does_not_vanish(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    see(store, "A", "finalized", 50);
    assert_eq!(miss(store, absent("A", true), 200_000), 0);
    let known = known(store, "A");
    assert_eq!((known.status, known.ended_at), (Status::Finalized, Some(at(50))));
    assert_eq!(known.missing_since, Some(at(200_000)));
}

fn a_market_never_seen_is_not_absent(database: &Database) {
    let mut store = database.open();
    let both = [absent("A", false), absent("B", true)];
    assert_eq!(store.save_markets(&[], &both, at(10)).unwrap(), 0);
    assert!(store.known_markets(&tickers(&["A", "B"])).unwrap().is_empty());
    assert!(changes(database).is_empty());
}

fn an_end_is_when_it_was_first_said(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    for (status, second, end, why) in [
        ("determined", 10, None, "not over"),
        ("finalized", 20, Some(20), "over"),
        ("finalized", 30, Some(20), "still over"),
        ("amended", 40, None, "not over after all"),
        ("finalized", 50, Some(50), "over again"),
    ] {
        see(store, "A", status, second);
        assert_eq!(known(store, "A").ended_at, end.map(at), "{why}");
    }
}

fn a_series_once_known_is_kept(database: &Database) {
    let mut store = database.open();
    let named = |series: &str| Market { series: Some(series.into()), ..market("A", "active") };
    for (market, second, series, why) in [
        (named("S1"), 10, "S1", "named"),
        (market("A", "active"), 20, "S1", "not named any more"),
        (named("S2"), 30, "S2", "named anew"),
        (named("S1"), 29, "S2", "named in an older answer"),
    ] {
        store.save_markets(&[seen(market, second)], &[], at(second)).unwrap();
        assert_eq!(self::series(database), [some(series)], "{why}");
    }
    store.save_events(&[event("A-EVENT", "S3")], at(40)).unwrap();
    assert_eq!(series(database), [some("S2")], "the event has nothing to add");
}

fn a_series_is_taken_from_the_event(database: &Database) {
    let mut store = database.open();
    see(store.as_mut(), "A", "active", 10);
    assert!(!known(store.as_mut(), "A").has_series);
    let titled = EventRecord { title: Some("Both".into()), ..event("B-EVENT", "SB") };
    store.save_events(&[event("A-EVENT", "SA"), titled], at(20)).unwrap();
    see(store.as_mut(), "B", "active", 30);
    assert_eq!(series(database), [some("SA"), some("SB")], "stored before, and after");
    assert!(known(store.as_mut(), "A").has_series);
    let columns = ["event_ticker", "series_ticker", "title"].map(plain);
    let mut columns = columns.to_vec();
    columns.push(instant(database, "updated_at"));
    assert_eq!(
        rows(database, &columns, "prediction_events where source = 'kalshi' order by event_ticker"),
        [
            [some("A-EVENT"), some("SA"), None, some(at(20))],
            [some("B-EVENT"), some("SB"), some("Both"), some(at(20))],
        ]
    );
}

fn events_without_series_are_named_once(database: &Database) {
    let mut store = database.open();
    let of = |name: &str, event_ticker: &str| Market {
        event_ticker: event_ticker.into(),
        ..market(name, "finalized")
    };
    let markets = [of("A", "E2"), of("B", "E10"), of("C", "E2"), full()].map(|m| seen(m, 10));
    store.save_markets(&markets, &[], at(10)).unwrap();
    let names = |events: Vec<Box<str>>| events.join(" ");
    assert_eq!(names(store.events_without_series().unwrap()), "E10 E2");
    store.save_events(&[event("E2", "S")], at(20)).unwrap();
    assert_eq!(names(store.events_without_series().unwrap()), "E10");
}

fn an_event_named_twice_is_its_last_word(database: &Database) {
    let mut store = database.open();
    see(store.as_mut(), "A", "active", 10);
    store.save_events(&[event("A-EVENT", "S1"), event("Z", "S9")], at(20)).unwrap();
    let twice = [event("B-EVENT", "S1"), event("B-EVENT", "S2")];
    store.save_events(&twice, at(30)).unwrap();
    let series =
        database.texts("select series_ticker as x from prediction_events order by event_ticker");
    assert_eq!(series, [some("S1"), some("S2"), some("S9")]);
}

fn markets_are_saved_all_or_none(database: &Database) {
    let mut store = database.open();
    see(store.as_mut(), "A", "active", 10);
    database.execute(if is_sqlite(database) {
        "create trigger no before insert on prediction_markets when new.market_ticker = 'Z'
             begin select raise(abort, 'no'); end"
    } else {
        "alter table prediction_markets add check (market_ticker <> 'Z')"
    });
    let both = [seen(market("B", "active"), 20), seen(market("Z", "active"), 20)];
    let failure = store.save_markets(&both, &[absent("A", true)], at(20)).unwrap_err();
    assert_eq!(failure.kind, Kind::StoreRefused);
    assert_eq!(changes(database), [change("A", "active", None, 10)]);
    assert_eq!(known(store.as_mut(), "A").status, Status::Active);
}

fn twenty_thousand_markets_are_one_call(database: &Database) {
    let mut store = database.open();
    let payload = format!("{{\"rules\":\"{}\"}}", "x".repeat(2_000));
    let all = |status: &str, second| -> Vec<Sighting> {
        (0..20_000)
            .map(|n| {
                let one = market(&format!("KXMANY-26JUL25-T{n:05}"), status);
                seen(Market { payload: payload.as_str().into(), ..one }, second)
            })
            .collect()
    };
    assert_eq!(store.save_markets(&all("active", 10), &[], at(10)).unwrap(), 20_000);
    assert_eq!(store.save_markets(&all("active", 20), &[], at(20)).unwrap(), 0);
    assert_eq!(store.save_markets(&all("closed", 30), &[], at(30)).unwrap(), 20_000);
    let unsettled = store.unsettled_markets(MarketScope::All).unwrap();
    assert_eq!(unsettled.len(), 20_000);
    let absent: Vec<Absence> = unsettled
        .into_iter()
        .map(|known| Absence { ticker: known.ticker, is_believed: true })
        .collect();
    assert_eq!(store.save_markets(&[], &absent, at(40)).unwrap(), 20_000);
}

fn an_absence_that_is_told_twice_is_one_change(database: &Database) {
    let mut store = database.open();
    store.save_markets(&[seen(market("A", "active"), 10)], &[], at(10)).unwrap();
    let twice = [absent("A", true), absent("A", true)];
    assert_eq!(store.save_markets(&[], &twice, at(20)).unwrap(), 1);
    assert_eq!(changes(database).len(), 2, "seen first, and gone");
}

fn nothing_to_save_is_no_mistake(database: &Database) {
    let mut store = database.open();
    assert_eq!(store.save_markets(&[], &[], at(10)).unwrap(), 0);
    store.save_events(&[], at(10)).unwrap();
    store.save_watches(&[]).unwrap();
    store.save_books(&[]).unwrap();
    assert!(store.watches(&[], at(10)).unwrap().is_empty());
}
