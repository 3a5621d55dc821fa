//! The ledger of backfills.

use kalshi_ingest::domain::slice::{Slice, SliceStatus};
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::time::Timestamp;

use super::{at, count, fresh, instant, is_sqlite, key, slices, with_status};
use crate::support::database::{Database, on_both_stores};
use crate::support::scopes;

on_both_stores! {
    every_field_of_a_slice_survives,
    slices_come_in_the_order_of_their_keys,
    only_slices_that_touch_the_window_are_answered,
    a_slice_on_record_is_left_alone,
    a_reset_slice_begins_anew_one_version_on,
    the_same_window_of_two_tiers_is_two_slices,
    only_what_is_read_becomes_complete,
    completion_and_strips_are_one,
    thousands_of_slices_are_one_call,
}

fn every_field_of_a_slice_survives(database: &Database) {
    let mut store = database.open();
    let given = [
        fresh("A", 0, 3_600),
        Slice {
            key: key("*", Tier::Archive, -7_200, -3_600),
            status: SliceStatus::Open,
            cursor: Some("c'1;\"é".to_owned()),
            low: Some(Timestamp::from_micros(-3_600_000_001)),
            version: i64::MAX - 1,
        },
        with_status(fresh("*46e708897c4f7d6e-2", 3_600, 7_200), SliceStatus::Read),
        with_status(fresh("A", 3_600, 253_402_300_799), SliceStatus::Complete),
    ];
    store.add_slices(&given, false, at(50)).unwrap();
    let mut stored = slices(store.as_mut(), &["A", "*", "*46e708897c4f7d6e-2"]);
    stored.sort_by_key(|slice| given.iter().position(|given| given.key == slice.key));
    assert_eq!(stored, given);
    let created = instant(database, "created_at");
    let rows = format!(
        "ingestion_windows where source = 'kalshi' and events_ingested = 0
             and {created} = '{}' and created_at = updated_at",
        at(50)
    );
    assert_eq!(count(database, &rows), 4);
}

fn slices_come_in_the_order_of_their_keys(database: &Database) {
    let mut store = database.open();
    let mut keys = Vec::new();
    for market in ["a", "B", "*", "*1", "Z-1", "Z"] {
        for (tier, from, until) in [
            (Tier::Live, 0, 60),
            (Tier::Archive, 0, 60),
            (Tier::Live, 0, 120),
            (Tier::Live, -60, 0),
            (Tier::Live, 1_000, 1_060),
        ] {
            keys.push(key(market, tier, from, until));
        }
    }
    let given: Vec<Slice> = keys.iter().cloned().map(Slice::new).collect();
    store.add_slices(&given, false, at(50)).unwrap();
    let stored = slices(store.as_mut(), &["a", "B", "*", "*1", "Z-1", "Z"]);
    let stored: Vec<_> = stored.into_iter().map(|slice| slice.key).collect();
    keys.sort();
    assert_eq!(stored, keys);
}

fn only_slices_that_touch_the_window_are_answered(database: &Database) {
    let mut store = database.open();
    let edges = [(0, 100), (100, 200), (150, 160), (200, 300), (0, 300), (199, 200), (100, 101)];
    let given: Vec<Slice> = edges.iter().map(|(from, until)| fresh("A", *from, *until)).collect();
    store.add_slices(&given, false, at(50)).unwrap();
    store.add_slices(&[fresh("B", 100, 200)], false, at(50)).unwrap();
    let found = |store: &mut dyn kalshi_ingest::store::Store, names: &[&str], from, until| {
        let found = store.slices(&scopes(names), from, until).unwrap();
        let edges = |slice: &Slice| (slice.key.from().second(), slice.key.until().second());
        found.iter().map(edges).collect::<Vec<_>>()
    };
    let touching = [(0, 300), (100, 101), (100, 200), (150, 160), (199, 200)];
    assert_eq!(found(store.as_mut(), &["A", "C"], at(100), at(200)), touching);
    let last = Timestamp::from_micros(199_999_999);
    assert_eq!(found(store.as_mut(), &["A"], last, at(200)), [(0, 300), (100, 200), (199, 200)]);
    assert_eq!(found(store.as_mut(), &["B"], at(0), at(100)), []);
    assert_eq!(found(store.as_mut(), &["B"], at(200), at(300)), []);
    assert_eq!(found(store.as_mut(), &["a"], at(0), at(300)), [], "tickers have case");
    assert_eq!(found(store.as_mut(), &[], at(0), at(300)), []);
}

fn a_slice_on_record_is_left_alone(database: &Database) {
    let mut store = database.open();
    let known =
        Slice { cursor: Some("c".to_owned()), low: Some(at(30)), version: 4, ..fresh("A", 0, 60) };
    store.add_slices(std::slice::from_ref(&known), false, at(50)).unwrap();
    let again = [with_status(fresh("A", 0, 60), SliceStatus::Complete), fresh("A", 60, 120)];
    store.add_slices(&again, false, at(70)).unwrap();
    assert_eq!(slices(store.as_mut(), &["A"]), [known, fresh("A", 60, 120)]);
    let untouched =
        format!("ingestion_windows where {} = '{}'", instant(database, "updated_at"), at(50));
    assert_eq!(count(database, &untouched), 1);
}

fn a_reset_slice_begins_anew_one_version_on(database: &Database) {
    let mut store = database.open();
    let known = Slice { version: 4, ..with_status(fresh("A", 0, 60), SliceStatus::Complete) };
    let open = Slice { cursor: Some("c".to_owned()), low: Some(at(30)), ..fresh("B", 0, 60) };
    let other = Slice { version: 9, ..fresh("C", 0, 60) };
    store.add_slices(&[known, open, other.clone()], false, at(50)).unwrap();
    let given = [fresh("A", 0, 60), fresh("B", 0, 60), fresh("D", 0, 60)];
    store.add_slices(&given, true, at(70)).unwrap();
    let expected = [
        Slice { version: 5, ..fresh("A", 0, 60) },
        Slice { version: 1, ..fresh("B", 0, 60) },
        other,
        fresh("D", 0, 60),
    ];
    assert_eq!(slices(store.as_mut(), &["A", "B", "C", "D"]), expected);
    let times = format!(
        "select {} || ' ' || {} as x from ingestion_windows order by market_ticker",
        instant(database, "created_at"),
        instant(database, "updated_at")
    );
    let times: Vec<String> = database.texts(&times).into_iter().flatten().collect();
    let pair = |created, updated| format!("{} {}", at(created), at(updated));
    assert_eq!(times, [pair(50, 70), pair(50, 70), pair(50, 50), pair(70, 70)]);
}

fn the_same_window_of_two_tiers_is_two_slices(database: &Database) {
    let mut store = database.open();
    let live = with_status(fresh("A", 0, 60), SliceStatus::Read);
    let archive = Slice::new(key("A", Tier::Archive, 0, 60));
    store.add_slices(&[live.clone(), archive.clone()], false, at(50)).unwrap();
    assert_eq!(slices(store.as_mut(), &["A"]), [archive.clone(), live.clone()]);
    store.complete_slices(std::slice::from_ref(&live.key), &[], at(51)).unwrap();
    let complete = Slice { version: 1, ..with_status(live, SliceStatus::Complete) };
    assert_eq!(slices(store.as_mut(), &["A"]), [archive, complete]);
}

fn only_what_is_read_becomes_complete(database: &Database) {
    let mut store = database.open();
    let read = Slice { version: 2, ..with_status(fresh("A", 0, 60), SliceStatus::Read) };
    let open = Slice { cursor: Some("c".to_owned()), low: Some(at(90)), ..fresh("A", 60, 120) };
    let complete = with_status(fresh("A", 120, 180), SliceStatus::Complete);
    let unnamed = with_status(fresh("A", 180, 240), SliceStatus::Read);
    let elsewhere = with_status(fresh("B", 0, 60), SliceStatus::Read);
    let given = [read.clone(), open.clone(), complete.clone(), unnamed.clone(), elsewhere.clone()];
    store.add_slices(&given, false, at(50)).unwrap();
    let known_strip = Slice { version: 8, ..Slice::new(key("A", Tier::Archive, 0, 20)) };
    store.add_slices(std::slice::from_ref(&known_strip), false, at(50)).unwrap();

    let nobody = key("Z", Tier::Live, 0, 60);
    let keys = [open.key.clone(), complete.key.clone(), nobody, read.key.clone()];
    let strips =
        [Slice::new(key("A", Tier::Archive, 0, 20)), Slice::new(key("A", Tier::Archive, 60, 70))];
    store.complete_slices(&keys, &strips, at(70)).unwrap();
    let done = Slice { version: 3, ..with_status(read, SliceStatus::Complete) };
    let expected = [known_strip, done, strips[1].clone(), open, complete, unnamed];
    assert_eq!(slices(store.as_mut(), &["A"]), expected);
    assert_eq!(slices(store.as_mut(), &["B"]), [elsewhere]);
    assert_eq!(slices(store.as_mut(), &["Z"]), [], "none is made");
    store.complete_slices(&keys, &[], at(71)).unwrap();
    assert_eq!(slices(store.as_mut(), &["A"]), expected, "once");
    store.complete_slices(&[], &[], at(71)).unwrap();
}

fn completion_and_strips_are_one(database: &Database) {
    let mut store = database.open();
    let read = with_status(fresh("A", 0, 60), SliceStatus::Read);
    store.add_slices(std::slice::from_ref(&read), false, at(50)).unwrap();
    database.execute(if is_sqlite(database) {
        "create trigger no before update on ingestion_windows when new.status = 'complete'
             begin select raise(abort, 'no'); end"
    } else {
        "alter table ingestion_windows add check (status <> 'complete')"
    });
    let strip = Slice::new(key("A", Tier::Archive, 0, 20));
    store.complete_slices(std::slice::from_ref(&read.key), &[strip], at(70)).unwrap_err();
    assert_eq!(slices(store.as_mut(), &["A"]), [read], "no strip either");
}

fn thousands_of_slices_are_one_call(database: &Database) {
    let mut store = database.open();
    let given: Vec<Slice> = (0..5_000)
        .map(|hour| with_status(fresh("*", hour * 3_600, (hour + 1) * 3_600), SliceStatus::Read))
        .collect();
    store.add_slices(&given, false, at(50)).unwrap();
    let keys: Vec<_> = given.iter().map(|slice| slice.key.clone()).collect();
    store.complete_slices(&keys, &[], at(60)).unwrap();
    let stored = slices(store.as_mut(), &["*"]);
    assert_eq!(stored.len(), 5_000);
    assert!(stored.iter().all(|slice| slice.status == SliceStatus::Complete && slice.version == 1));
    store.add_slices(&given, true, at(70)).unwrap();
    let stored = slices(store.as_mut(), &["*"]);
    assert!(stored.iter().all(|slice| slice.status == SliceStatus::Read && slice.version == 2));
}
