//! Raw events that are not needed any more.

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::store::{Pruned, ReplayCursor, Store, TRADES_TABLE};

use super::{at, beginning, count, dump, event, is_sqlite, raw, receive, refused, replayed};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    what_was_never_normalized_stays,
    events_are_deleted_oldest_first_and_not_too_many,
    what_a_replay_made_of_it_can_go,
    words_in_capitals_are_other_words,
    deletion_is_one_transaction,
    a_replay_after_a_pruning_sees_what_is_new,
}

/// The payloads of the raw events, by number.
fn payloads(store: &mut dyn Store) -> Vec<String> {
    raw(store).iter().map(|raw| raw.payload.to_string()).collect()
}

fn what_was_never_normalized_stays(database: &Database) {
    let mut store = database.open();
    let rejected = vec![refused("A", None, "{\"r\":1}"), refused("A", Some("r2"), "{\"r\":2}")];
    let old = vec![event("A", "t1", 8), event("A", "t2", 9), event("A", "t3", 9)];
    receive(store.as_mut(), old, rejected, 100);
    receive(store.as_mut(), vec![event("A", "t4", 9)], vec![], 200);
    database.execute("delete from prediction_market_trades where trade_id = 't2'");
    // One of the same id, but of another source, is not it.
    database.execute("update prediction_market_trades set source = 'other' where trade_id = 't3'");

    assert_eq!(store.prunable(at(100)).unwrap(), (0, 0), "received before, not at");
    assert_eq!(store.prune(at(100), 0, 1_000).unwrap().deleted, 0);
    let just_after = Timestamp::from_micros(100_000_001);
    assert_eq!(store.prunable(just_after).unwrap(), (5, 4));
    assert_eq!(store.prunable(at(1_000)).unwrap(), (6, 4));
    let trades = dump(database, TRADES_TABLE);
    assert_eq!(store.prune(just_after, 0, 1_000).unwrap().deleted, 1);
    assert_eq!(store.prunable(just_after).unwrap(), (4, 4));
    assert_eq!(store.prune(just_after, 0, 1_000).unwrap().deleted, 0);
    assert_eq!(database.raw_counts(), (3, 2));
    assert_eq!(store.prune(at(1_000), 0, 1_000).unwrap().deleted, 1);
    let t = |id| event("A", id, 9).payload.to_string();
    let mut left = payloads(store.as_mut());
    left.sort();
    let mut expected = [t("t2"), t("t3"), "{\"r\":1}".to_owned(), "{\"r\":2}".to_owned()];
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(dump(database, TRADES_TABLE), trades, "trades are not touched");
}

fn events_are_deleted_oldest_first_and_not_too_many(database: &Database) {
    let mut store = database.open();
    for n in 0..5 {
        receive(store.as_mut(), vec![event("A", &format!("t{n}"), 8)], vec![], 100 + n);
        receive(store.as_mut(), vec![], vec![refused("A", None, &format!("{n}"))], 100 + n);
    }
    let mut page = |after| {
        let pruned = store.prune(at(104), after, 3).unwrap();
        let times = raw(store.as_mut()).into_iter().filter(|raw| raw.rejected.is_none());
        let times: Vec<i64> = times.map(|raw| raw.received_at.second()).collect();
        (pruned, times)
    };
    let none = page(i64::MAX);
    assert_eq!(none, (Pruned::default(), vec![100, 101, 102, 103, 104]));
    // Events that stay block nothing: each page begins after the last event of the one before.
    let (first, times) = page(0);
    assert_eq!((first.found, first.kept, first.deleted), (3, 1, 2));
    assert_eq!(times, [102, 103, 104]);
    let (second, times) = page(first.last.unwrap());
    assert_eq!((second.found, second.kept, second.deleted), (3, 2, 1));
    assert_eq!(times, [103, 104]);
    let (third, times) = page(second.last.unwrap());
    assert_eq!((third.found, third.kept, third.deleted), (2, 1, 1));
    assert_eq!(times, [104]);
    let (end, _) = page(third.last.unwrap());
    assert_eq!(end, Pruned::default());
    assert_eq!(database.raw_counts(), (1, 5));
    assert_eq!(store.prunable(at(104)).unwrap(), (4, 4));
}

fn what_a_replay_made_of_it_can_go(database: &Database) {
    let mut store = database.open();
    let understood = event("A", "t1", 8);
    let rejected =
        vec![refused("A", Some("t1"), &understood.payload), refused("A", Some("t2"), "{}")];
    receive(store.as_mut(), vec![], rejected, 100);
    assert_eq!(store.prunable(at(200)).unwrap(), (2, 2));
    let trades = replayed(&raw(store.as_mut()), &[understood]);
    store.replay(&beginning(TRADES_TABLE), &trades, at(900)).unwrap();
    assert_eq!(store.prunable(at(200)).unwrap(), (2, 1));
    assert_eq!(store.prune(at(200), 0, 10).unwrap().deleted, 1);
    assert_eq!(payloads(store.as_mut()), ["{}"]);
}

/// Both databases tell a conflict from another reason alike.
fn words_in_capitals_are_other_words(database: &Database) {
    let mut store = database.open();
    let trade = event("A", "t1", 8);
    let rejected = vec![refused("A", Some("t1"), "{\"r\":1}")];
    receive(store.as_mut(), vec![trade], rejected, 100);
    for (reason, left) in [
        ("conflicts with the stored trade: side", (1, 1)),
        ("Conflicts With The Stored Trade: side", (2, 0)),
    ] {
        let sql = "update raw_kalshi_trade_events set rejected = '{}' where rejected is not null";
        database.execute(&sql.replace("{}", reason));
        let prunable = store.prunable(at(200)).unwrap();
        assert_eq!((prunable.0 - prunable.1, prunable.1), left, "{reason}");
    }
}

fn deletion_is_one_transaction(database: &Database) {
    let mut store = database.open();
    let events = (0..10).map(|n| event("A", &format!("t{n}"), 8)).collect();
    receive(store.as_mut(), events, vec![], 100);
    database.execute(if is_sqlite(database) {
        "create trigger no before delete on raw_kalshi_trade_events when old.trade_id = 't7'
             begin select raise(abort, 'no'); end"
    } else {
        "create function no() returns trigger language plpgsql as
             $$ begin if old.trade_id = 't7' then raise 'no'; end if; return old; end $$;
         create trigger no before delete on raw_kalshi_trade_events for each row execute function no()"
    });
    store.prune(at(200), 0, 10).unwrap_err();
    assert_eq!(database.raw_counts(), (10, 0));
}

fn a_replay_after_a_pruning_sees_what_is_new(database: &Database) {
    let mut store = database.open();
    let events = (0..10).map(|n| event("A", &format!("t{n}"), 8)).collect();
    receive(store.as_mut(), events, vec![], 100);
    let place = ReplayCursor { after_event: 8, ..beginning(TRADES_TABLE) };
    store.replay(&place, &[], at(900)).unwrap();
    assert_eq!(store.prune(at(200), 0, 100).unwrap().deleted, 10);
    assert_eq!(count(database, "raw_kalshi_trade_events"), 0);
    receive(store.as_mut(), vec![event("A", "new", 9)], vec![], 300);
    let place = store.replay_cursor(TRADES_TABLE, None, None).unwrap();
    assert_eq!(store.raw_events(&place, 10).unwrap().len(), 1, "{place:?}");
}
