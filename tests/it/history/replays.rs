//! Raw events in, trades out.

use kalshi_ingest::domain::trade::{Price, Side};
use kalshi_ingest::failure::Kind;
use kalshi_ingest::store::{ReplayCursor, Replayed, TRADES_TABLE};

use super::{
    at, beginning, count, dump, event, event_at, is_sqlite, raw, receive, refused, replayed,
};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    raw_events_come_by_number_as_received,
    bounds_are_those_of_receipt,
    what_was_deleted_comes_back_bit_for_bit,
    what_is_there_is_not_touched,
    a_refused_event_becomes_a_trade,
    of_two_events_of_one_trade_the_first_counts,
    a_replay_goes_on_where_it_was_ended,
    the_time_of_a_place_is_ours,
    trades_and_place_are_one,
    an_odd_target_is_refused,
}

fn raw_events_come_by_number_as_received(database: &Database) {
    let mut store = database.open();
    let odd = "{\"x\" : 1.50,\n\"x\":\"\\u0000é\"}";
    receive(store.as_mut(), vec![event("B", "t2", 9), event("A", "t1", 8)], vec![], 60);
    receive(store.as_mut(), vec![], vec![refused("C", None, odd)], 61);
    let stored = raw(store.as_mut());
    assert!(stored.is_sorted_by(|a, b| a.event_id < b.event_id));
    let seen: Vec<_> = stored
        .iter()
        .map(|raw| {
            assert_eq!(raw.run_id, 7);
            (raw.received_at, raw.scope.as_str(), &*raw.payload, raw.rejected.as_deref())
        })
        .collect();
    let payload = |id: &str| event("A", id, 8).payload;
    assert_eq!(
        seen,
        [
            (at(60), "A", &*payload("t1"), None),
            (at(60), "B", &*payload("t2"), None),
            (at(61), "C", odd, Some("count_fp is missing")),
        ]
    );

    let mut place = beginning(TRADES_TABLE);
    assert_eq!(store.raw_events(&place, 2).unwrap(), stored[..2]);
    place.after_event = stored[1].event_id;
    assert_eq!(store.raw_events(&place, 2).unwrap(), stored[2..]);
    place.after_event = stored[2].event_id;
    assert_eq!(store.raw_events(&place, 2).unwrap(), []);
}

fn bounds_are_those_of_receipt(database: &Database) {
    let mut store = database.open();
    for (id, now) in [("t1", 100), ("t2", 200), ("t3", 300)] {
        receive(store.as_mut(), vec![event("A", id, 9_000)], vec![], now);
    }
    // Another process's clock was behind.
    receive(store.as_mut(), vec![event("A", "t4", 9_000)], vec![], 199);
    let mut received = |from: Option<i64>, until: Option<i64>| {
        let place = ReplayCursor { from: from.map(at), until: until.map(at), ..beginning("x") };
        let found = store.raw_events(&place, 100).unwrap();
        found.iter().map(|raw| raw.received_at.second()).collect::<Vec<_>>()
    };
    assert_eq!(received(None, None), [100, 200, 300, 199]);
    assert_eq!(received(Some(200), None), [200, 300]);
    assert_eq!(received(None, Some(200)), [100, 199]);
    assert_eq!(received(Some(100), Some(300)), [100, 200, 199]);
    assert_eq!(received(Some(301), None), [0; 0]);
}

fn what_was_deleted_comes_back_bit_for_bit(database: &Database) {
    let mut store = database.open();
    let mut events = vec![
        event_at("A", "t1", 1_625_000_000_000_001, 1),
        event_at("B", "t2", 999_999, 999_999_999_999_999_999),
        event_at("B", "t3", -1, 100),
        event_at("B", "t4", 0, 101),
    ];
    events[0].trade.is_block_trade = Some(true);
    events[1].trade.is_block_trade = Some(false);
    events[1].trade.price = Price::from_e4_cents(1).unwrap();
    events[2].trade.price = Price::from_e4_cents(0).unwrap();
    events[2].trade.side = Side::Yes;
    events[3].trade.price = Price::from_e4_cents(1_000_000).unwrap();
    receive(store.as_mut(), events[..2].to_vec(), vec![], 100);
    receive(store.as_mut(), events[2..].to_vec(), vec![], 200);
    database.execute(
        "update raw_kalshi_trade_events set run_id = 8 where trade_id = 't3';
         update prediction_market_trades set run_id = 8 where trade_id = 't3'",
    );
    let before = dump(database, TRADES_TABLE);
    assert_eq!(before.len(), 4);

    database.execute("delete from prediction_market_trades where trade_id <> 't4'");
    let trades = replayed(&raw(store.as_mut()), &events);
    assert_eq!(trades.len(), 4);
    assert_eq!(store.replay(&beginning(TRADES_TABLE), &trades, at(900)).unwrap(), 3);
    assert_eq!(dump(database, TRADES_TABLE), before);
    let unknown = "prediction_market_trades where is_block_trade is null and run_id in (7, 8)";
    assert_eq!(count(database, unknown), 2);

    database.execute("delete from prediction_market_trades");
    let backwards: Vec<Replayed> = trades.into_iter().rev().collect();
    assert_eq!(store.replay(&beginning(TRADES_TABLE), &backwards, at(900)).unwrap(), 4);
    assert_eq!(dump(database, TRADES_TABLE), before);
    assert_eq!(store.replay(&beginning(TRADES_TABLE), &backwards, at(900)).unwrap(), 0);
    assert_eq!(database.raw_counts(), (4, 0), "the raw events are only read");
}

fn what_is_there_is_not_touched(database: &Database) {
    let mut store = database.open();
    let events = vec![event("A", "t1", 8), event("A", "t2", 9)];
    receive(store.as_mut(), events.clone(), vec![], 60);
    database.execute(
        "update prediction_market_trades set side = 'yes', run_id = 99 where trade_id = 't1'",
    );
    let before = dump(database, TRADES_TABLE);
    let trades = replayed(&raw(store.as_mut()), &events);
    assert_eq!(store.replay(&beginning(TRADES_TABLE), &trades, at(900)).unwrap(), 0);
    assert_eq!(dump(database, TRADES_TABLE), before);
}

fn a_refused_event_becomes_a_trade(database: &Database) {
    let mut store = database.open();
    let understood = event("A", "t1", 8);
    let refused = refused("A", Some("t1"), &understood.payload);
    receive(store.as_mut(), vec![], vec![refused], 60);
    assert_eq!(database.trades().len(), 0);
    let stored = raw(store.as_mut());
    assert!(stored[0].rejected.is_some());
    let trades = replayed(&stored, &[understood]);
    assert_eq!(store.replay(&beginning(TRADES_TABLE), &trades, at(900)).unwrap(), 1);
    assert_eq!(database.trades()[0].0, "t1");
    assert_eq!(count(database, "prediction_market_trades where run_id = 7"), 1);
    assert_eq!(database.raw_counts(), (0, 1), "its event stays as it was received");
}

fn of_two_events_of_one_trade_the_first_counts(database: &Database) {
    let mut store = database.open();
    let replayed = |run_id, received_at| Replayed {
        run_id,
        received_at: at(received_at),
        trade: event("A", "t1", 8).trade,
    };
    let trades = [replayed(3, 30), replayed(2, 20), replayed(1, 40)];
    assert_eq!(store.replay(&beginning(TRADES_TABLE), &trades, at(900)).unwrap(), 1);
    assert_eq!(count(database, "prediction_market_trades where run_id = 3"), 1);
}

fn a_replay_goes_on_where_it_was_ended(database: &Database) {
    let mut store = database.open();
    store.make_trades_table("other").unwrap();
    let (from, until) = (Some(at(10)), Some(at(20)));
    let place = store.replay_cursor(TRADES_TABLE, from, until).unwrap();
    let expected = ReplayCursor { target: TRADES_TABLE.to_owned(), from, until, after_event: 0 };
    assert_eq!(place, expected, "none was begun");

    let moved = ReplayCursor { after_event: 5_000_000_000, ..place.clone() };
    store.replay(&moved, &[], at(900)).unwrap();
    assert_eq!(database.open().replay_cursor(TRADES_TABLE, from, until).unwrap(), moved);
    for (target, from, until) in [
        ("other", from, until),
        (TRADES_TABLE, None, until),
        (TRADES_TABLE, from, None),
        (TRADES_TABLE, None, None),
        (TRADES_TABLE, from, Some(at(21))),
    ] {
        let place = store.replay_cursor(target, from, until).unwrap();
        assert_eq!(place.after_event, 0, "another replay: {target} {from:?} {until:?}");
    }

    let other = ReplayCursor { target: "other".to_owned(), after_event: 3, ..moved.clone() };
    store.replay(&other, &[], at(900)).unwrap();
    store.replay(&ReplayCursor { after_event: 4, ..moved.clone() }, &[], at(900)).unwrap();
    let held = store.replay_cursor(TRADES_TABLE, from, until).unwrap().after_event;
    assert_eq!(held, 5_000_000_000, "one that lags does not pull it back");

    store.finish_replay(&moved).unwrap();
    assert_eq!(store.replay_cursor(TRADES_TABLE, from, until).unwrap().after_event, 0);
    assert_eq!(store.replay_cursor("other", from, until).unwrap().after_event, 3);
    store.finish_replay(&moved).unwrap();
    assert_eq!(count(database, "replay_places"), 1);
}

fn the_time_of_a_place_is_ours(database: &Database) {
    let mut store = database.open();
    for (second, count) in [(900, 1), (800, 1)] {
        store.replay(&beginning(TRADES_TABLE), &[], at(second)).unwrap();
        let sql =
            format!("select count(*) as x from replay_places where updated_at = '{}'", at(second));
        assert_eq!(database.number(&sql), count, "{second}");
    }
}

fn trades_and_place_are_one(database: &Database) {
    let mut store = database.open();
    let events = vec![event("A", "t1", 8), event("A", "t9", 9)];
    receive(store.as_mut(), events.clone(), vec![], 60);
    database.execute("delete from prediction_market_trades");
    let stored = raw(store.as_mut());
    let place = ReplayCursor { after_event: stored[1].event_id, ..beginning(TRADES_TABLE) };
    database.execute(if is_sqlite(database) {
        "create trigger no before insert on prediction_market_trades when new.trade_id = 't9'
             begin select raise(abort, 'no'); end"
    } else {
        "alter table prediction_market_trades add constraint no check (trade_id <> 't9')"
    });
    let failure = store.replay(&place, &replayed(&stored, &events), at(900)).unwrap_err();
    assert_eq!(failure.kind, Kind::StoreRefused);
    assert_eq!(database.trades().len(), 0);
    assert_eq!(store.replay_cursor(TRADES_TABLE, None, None).unwrap().after_event, 0);

    database.execute(if is_sqlite(database) {
        "drop trigger no; create trigger no before insert on replay_places
             begin select raise(abort, 'no'); end"
    } else {
        "alter table prediction_market_trades drop constraint no;
         alter table replay_places add check (after_event < 0)"
    });
    store.replay(&place, &replayed(&stored, &events), at(900)).unwrap_err();
    assert_eq!(database.trades().len(), 0, "no trade without its place");
}

fn an_odd_target_is_refused(database: &Database) {
    let mut store = database.open();
    let trades = [Replayed { run_id: 1, received_at: at(1), trade: event("A", "t1", 8).trade }];
    let odd = beginning("prediction_market_trades\" (source) values ('x'); --");
    assert_eq!(store.replay(&odd, &trades, at(900)).unwrap_err().kind, Kind::Config);
    assert_eq!(
        store.replay(&beginning("nobody"), &trades, at(900)).unwrap_err().kind,
        Kind::StoreRefused
    );
    assert_eq!(count(database, "replay_places"), 0);
}
