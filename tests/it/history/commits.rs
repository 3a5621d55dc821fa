//! Slices in a commit.

use kalshi_ingest::domain::batch::{Batch, Committed};
use kalshi_ingest::domain::slice::{Slice, SliceStatus};
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::failure::Kind;
use kalshi_ingest::store::Store;

use super::{
    at, commit, count, event, event_at, fresh, instant, is_sqlite, key, page, receive, refused,
    slices, walked,
};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_slice_moves_with_its_rows,
    the_archive_is_complete_when_it_is_read,
    only_new_trades_are_counted,
    a_slice_counts_what_lies_in_it,
    a_row_of_another_version_stays_untouched,
    what_is_not_on_record_is_not_made,
    rows_and_slices_are_one,
    a_thousand_slices_are_one_commit,
}

fn counted(database: &Database) -> Vec<i64> {
    let query = "select events_ingested as x from ingestion_windows
        order by market_ticker, window_from, window_until, tier";
    database.texts(query).into_iter().map(|text| text.unwrap().parse().unwrap()).collect()
}

fn record(store: &mut dyn Store, given: &[&Slice]) {
    let given: Vec<Slice> = given.iter().map(|slice| (*slice).clone()).collect();
    store.add_slices(&given, false, at(50)).unwrap();
}

fn a_slice_moves_with_its_rows(database: &Database) {
    let mut store = database.open();
    let first = fresh("A", 0, 1_000);
    record(store.as_mut(), &[&first]);
    let newest = page(vec![event("A", "t4", 900), event("A", "t3", 800)], Some("c1"));
    assert_eq!(commit(store.as_mut(), vec![(&first, newest)], 60).inserted, [0, 1]);
    let open =
        Slice { cursor: Some("c1".to_owned()), low: Some(at(800)), version: 1, ..first.clone() };
    assert_eq!(slices(store.as_mut(), &["A"]), std::slice::from_ref(&open));
    assert_eq!(counted(database), [2]);

    let oldest = page(vec![event("A", "t2", 700)], None);
    commit(store.as_mut(), vec![(&open, oldest)], 70);
    let read = Slice { status: SliceStatus::Read, version: 2, ..first };
    assert_eq!(slices(store.as_mut(), &["A"]), [read]);
    assert_eq!(counted(database), [3]);
    let (created, updated) = (instant(database, "created_at"), instant(database, "updated_at"));
    let times =
        format!("ingestion_windows where {created} = '{}' and {updated} = '{}'", at(50), at(70));
    assert_eq!(count(database, &times), 1);
    assert_eq!(database.raw_counts(), (3, 0));
}

fn the_archive_is_complete_when_it_is_read(database: &Database) {
    let mut store = database.open();
    let (archive, live) = (Slice::new(key("A", Tier::Archive, 0, 100)), fresh("A", 0, 100));
    record(store.as_mut(), &[&archive, &live]);
    commit(store.as_mut(), vec![(&archive, page(vec![event("A", "t1", 50)], None))], 60);
    let done = Slice { status: SliceStatus::Complete, version: 1, ..archive };
    assert_eq!(slices(store.as_mut(), &["A"]), [done, live], "the other tier's has nothing of it");
    assert_eq!(counted(database), [1, 0]);
}

fn only_new_trades_are_counted(database: &Database) {
    let mut store = database.open();
    let slice = fresh("A", 0, 1_000);
    record(store.as_mut(), &[&slice]);
    receive(store.as_mut(), vec![event("A", "t1", 100), event("A", "t2", 50)], vec![], 55);
    let mut seen = page(vec![event("A", "t1", 100), event("A", "t3", 300)], Some("c"));
    seen.rejected.push(refused("A", None, "{}"));
    let receipt = commit(store.as_mut(), vec![(&slice, seen)], 60);
    assert_eq!((receipt.inserted.len(), receipt.rejected.len()), (1, 1));
    assert_eq!(counted(database), [1]);
    let next = slices(store.as_mut(), &["A"]).remove(0);
    commit(store.as_mut(), vec![(&next, page(vec![event("A", "t2", 50)], None))], 61);
    assert_eq!(counted(database), [1], "all known already");
    let done = slices(store.as_mut(), &["A"]).remove(0);
    assert_eq!((done.status, done.version), (SliceStatus::Read, 2));
}

fn a_slice_counts_what_lies_in_it(database: &Database) {
    let mut store = database.open();
    let tape = fresh("*", 0, 100);
    let group = fresh("*46e708897c4f7d6e-2", 50, 100);
    let low = fresh("A", 0, 50);
    let high = fresh("A", 50, 100);
    let other = fresh("B", 0, 100);
    let archive = Slice::new(key("B", Tier::Archive, 99, 100));
    record(store.as_mut(), &[&tape, &group, &low, &high, &other, &archive]);
    let end = 100_000_000;
    let everything = [
        event_at("A", "a1", 0, 1),
        event_at("A", "a2", 49_999_999, 1),
        event_at("A", "a3", 50_000_000, 1),
        event_at("A", "a4", end - 1, 1),
        event_at("B", "b1", 1, 1),
        event_at("AA", "c1", 60_000_000, 1),
    ];
    let of = |market: &str, from: i64, until: i64| {
        let is_in = |event: &&kalshi_ingest::domain::trade::RawEvent| {
            let micros = event.trade.traded_at.micros();
            event.trade.market.as_str() == market && (from..until).contains(&micros)
        };
        page(everything.iter().filter(is_in).cloned().collect(), None)
    };
    let pages = vec![
        (&tape, page(everything.to_vec(), None)),
        (&group, page(Vec::new(), None)),
        (&low, of("A", 0, 50_000_000)),
        (&high, of("A", 50_000_000, end)),
        (&other, of("B", 0, end)),
        (&archive, of("B", 99_000_000, end)),
    ];
    assert_eq!(commit(store.as_mut(), pages, 60).inserted.len(), 6);
    // In the order of the keys: tape, group, A below 50, A from 50 on, B, B in the archive.
    assert_eq!(counted(database), [6, 3, 2, 2, 1, 0]);
}

fn a_row_of_another_version_stays_untouched(database: &Database) {
    let mut store = database.open();
    let (slice, other) = (fresh("A", 0, 100), fresh("B", 0, 100));
    record(store.as_mut(), &[&slice, &other]);
    store.add_slices(std::slice::from_ref(&slice), true, at(51)).unwrap();
    let held = slices(store.as_mut(), &["A"]).remove(0);
    assert_eq!(held.version, 1);
    let pages = vec![
        (&slice, page(vec![event("A", "t1", 10)], None)),
        (&other, page(vec![event("B", "t2", 10)], None)),
    ];
    let receipt = commit(store.as_mut(), pages, 60);
    assert_eq!(receipt.inserted, [0, 1], "true rows are kept all the same");
    assert!(receipt.overtaken.is_empty());
    assert_eq!(slices(store.as_mut(), &["A"]), std::slice::from_ref(&held));
    assert_eq!(slices(store.as_mut(), &["B"])[0].status, SliceStatus::Read);
    assert_eq!(counted(database), [0, 1]);
    // One too far ahead is as wrong.
    let ahead = Slice { version: 2, ..slice };
    commit(store.as_mut(), vec![(&ahead, page(vec![event("A", "t3", 11)], None))], 61);
    assert_eq!(slices(store.as_mut(), &["A"]), [held]);
}

fn what_is_not_on_record_is_not_made(database: &Database) {
    let mut store = database.open();
    let slice = fresh("A", 0, 100);
    commit(store.as_mut(), vec![(&slice, page(vec![event("A", "t1", 10)], None))], 60);
    assert_eq!(count(database, "ingestion_windows"), 0);
    assert_eq!(database.trades().len(), 1);
}

fn rows_and_slices_are_one(database: &Database) {
    let mut store = database.open();
    let slice = fresh("A", 0, 100);
    record(store.as_mut(), &[&slice]);
    let sealed = || {
        let mut batch = Batch::default();
        let page = page(vec![event("A", "t9", 20), event("A", "t1", 10)], None);
        batch.push(walked(&slice, page));
        batch.seal(&Committed::of_slices([slice.clone()]), 7, at(60))
    };
    // A trade that the table itself refuses takes everything with it.
    database.execute(if is_sqlite(database) {
        "create trigger no before insert on prediction_market_trades when new.trade_id = 't9'
             begin select raise(abort, 'no'); end"
    } else {
        "alter table prediction_market_trades add constraint no check (trade_id <> 't9')"
    });
    assert_eq!(store.commit(7, &sealed()).unwrap_err().kind, Kind::StoreRefused);
    assert_eq!(slices(store.as_mut(), &["A"]), std::slice::from_ref(&slice), "not an inch");
    // And a slice that its table refuses, the rows.
    database.execute(if is_sqlite(database) {
        "drop trigger no;
         create trigger no before update on ingestion_windows
             begin select raise(abort, 'no'); end"
    } else {
        "alter table prediction_market_trades drop constraint no;
         alter table ingestion_windows add check (version = 0)"
    });
    assert_eq!(store.commit(7, &sealed()).unwrap_err().kind, Kind::StoreRefused);
    assert_eq!(database.trades().len(), 0);
    assert_eq!(database.raw_counts(), (0, 0));
}

fn a_thousand_slices_are_one_commit(database: &Database) {
    let mut store = database.open();
    let given: Vec<Slice> = (0..1_000).map(|n| fresh(&format!("M{n:04}"), 0, 100)).collect();
    store.add_slices(&given, false, at(50)).unwrap();
    let pages = given.iter().map(|slice| {
        let market = slice.key.scope().as_str();
        let events = (0..3).map(|n| event(market, &format!("{market}-{n}"), n)).collect();
        (slice, page(events, None))
    });
    let receipt = commit(store.as_mut(), pages.collect(), 60);
    assert_eq!(receipt.inserted.len(), 3_000);
    assert_eq!(counted(database), vec![3; 1_000]);
}
