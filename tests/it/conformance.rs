//! Every promise of `Store`, held against both stores.

use kalshi_ingest::domain::batch::{Batch, Committed, Receipt};
use kalshi_ingest::domain::checkpoint::{Checkpoint, Claim, Correction};
use kalshi_ingest::domain::evidence::Anchor;
use kalshi_ingest::domain::page::{Next, Page, Rules, Traded};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::tally::{Retries, RetryReason, Tally};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use kalshi_ingest::domain::walk::Walk;
use kalshi_ingest::failure::Kind;
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, RunRecord, Store};
use std::time::Duration;

use crate::support::database::{Database, on_both_stores};
use crate::support::scope;
use crate::upgrades::steps;

on_both_stores! {
    a_fresh_database_is_migrated_once,
    a_newer_schema_is_refused,
    a_schema_changed_by_hand_is_refused,
    a_selected_market_is_stale_from_then_on,
    every_field_of_a_checkpoint_survives,
    what_was_heard_and_what_is_left_survive,
    a_claim_that_is_found_false_moves_back_and_is_on_record,
    a_trade_is_stored_once_with_its_event,
    a_trade_twice_in_one_batch_is_stored_once,
    extreme_values_are_stored_exactly,
    a_refused_event_is_kept_once_with_its_reason,
    a_refused_event_is_told_whatever_is_stored_beside_it,
    an_event_refused_first_can_become_a_trade,
    rows_and_checkpoint_are_one,
    a_stale_ledger_loses_cleanly,
    completeness_never_moves_back_even_by_hand,
    ten_thousand_rows_are_one_commit,
    a_thousand_checkpoints_are_one_commit,
    a_lock_is_held_once_and_released_by_its_end,
    a_run_is_open_until_it_is_finished,
    the_report_counts_what_is_stored,
}

const RULES: Rules = Rules {
    overlap: Duration::from_secs(60),
    settle: Duration::ZERO,
    since: None,
    pages_max: 100,
    ..Rules::EXACT
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn ticker(text: &str) -> Ticker {
    Ticker::new(text).unwrap()
}

fn event(market: &str, id: &str, second: i64) -> RawEvent {
    let trade = Trade {
        trade_id: id.into(),
        market: ticker(market),
        side: Side::No,
        price: Price::from_e4_cents(380_001).unwrap(),
        quantity: Quantity::from_e2(1_261).unwrap(),
        traded_at: Timestamp::from_micros(second * 1_000_000 + 544_670),
        is_block_trade: None,
    };
    RawEvent { trade, payload: format!("{{\"trade_id\": \"{id}\",  \"x\":\"\\u0000é\"}}").into() }
}

fn refused(market: &str, payload: &str) -> Rejected {
    Rejected {
        scope: scope(market),
        trade_id: None,
        payload: payload.into(),
        reason: "count_fp is missing".to_owned(),
    }
}

fn page(events: Vec<RawEvent>, cursor: Option<&str>, now: i64) -> Page {
    let cursor = cursor.map(str::to_owned);
    Page {
        events,
        rejected: Vec::new(),
        foreign: 0,
        cursor,
        exchange_now: at(now),
        our_now: at(now),
    }
}

fn load(store: &mut dyn Store, market: &str) -> Checkpoint {
    let mut rows = store.checkpoints(&[scope(market)], at(1)).unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// Commits these pages of one market as one batch of one walk.
fn commit(store: &mut dyn Store, checkpoint: &Checkpoint, pages: Vec<Page>) -> Receipt {
    let mut batch = Batch::default();
    walk(&mut batch, checkpoint, pages);
    let sealed = batch.seal(&Committed::new([checkpoint.clone()]), 7, at(9_999));
    store.commit(7, &sealed).unwrap()
}

/// Walks these pages; where the list ends it is asked once more, and agrees.
fn walk(batch: &mut Batch, checkpoint: &Checkpoint, pages: Vec<Page>) {
    let agrees = pages.last().filter(|last| last.cursor.is_none()).map(|last| {
        let events = last.events.last().cloned().into_iter().collect();
        page(events, None, last.exchange_now.second())
    });
    let never = pages.last().map_or(at(0), |last| last.exchange_now);
    let mut walk = Walk::new(checkpoint, RULES).traded(Traded::Never(never));
    for page in pages {
        batch.push(walk.page(page));
    }
    if let (Some(page), Next::Fetch(_)) = (agrees, walk.next()) {
        batch.push(walk.page(page));
    }
}

fn a_fresh_database_is_migrated_once(database: &Database) {
    database.clear();
    let mut store = DatabaseUrl::parse(&database.url, &|_| None)
        .unwrap()
        .open(Missing::Create, VENUE.source)
        .unwrap();
    assert_eq!(store.migrate(at(0)).unwrap(), steps());
    assert!(store.migrate(at(0)).unwrap().is_empty(), "again");
    assert!(database.open().migrate(at(0)).unwrap().is_empty(), "on another connection");
}

fn a_newer_schema_is_refused(database: &Database) {
    let mut store = database.open();
    database.execute(
        "insert into kalshi_ingest_migrations values ('999_future', 'x', '2026-01-01T00:00:00Z')",
    );
    let failure = store.migrate(at(0)).unwrap_err();
    assert_eq!(failure.kind, Kind::StoreRefused);
    assert!(failure.to_string().contains("run a newer kalshi-ingest"), "{failure}");
}

fn a_schema_changed_by_hand_is_refused(database: &Database) {
    let mut store = database.open();
    database.execute("update kalshi_ingest_migrations set checksum = 'edited'");
    assert_eq!(store.migrate(at(0)).unwrap_err().kind, Kind::StoreRefused);
}

fn a_selected_market_is_stale_from_then_on(database: &Database) {
    let mut store = database.open();
    let markets = ["A", "B"].map(scope);
    for now in [100, 200] {
        let mut rows = store.checkpoints(&markets[..1], at(now)).unwrap();
        assert_eq!(rows.remove(0), Checkpoint::first(ticker("A"), at(100)), "asked at {now}");
    }
    let mut rows = store.checkpoints(&markets, at(300)).unwrap();
    rows.sort_by(|a, b| a.scope.cmp(&b.scope));
    let since: Vec<i64> = rows.iter().map(|row| row.first_selected_at.second()).collect();
    assert_eq!(since, [100, 300], "each from its own first time");
}

fn every_field_of_a_checkpoint_survives(database: &Database) {
    let mut store = database.open();
    let first = load(store.as_mut(), "A");
    commit(store.as_mut(), &first, vec![page(vec![event("A", "t1", 500)], None, 1_000)]);
    let level = load(store.as_mut(), "A");
    assert_eq!(level.complete_until, Some(at(500)), "the newest trade bounds it");
    assert_eq!(level.last_trade_at, Some(Timestamp::from_micros(500_544_670)));
    assert_eq!((level.last_success_at, level.version), (Some(at(9_999)), 1));

    let anchor =
        |id: &str, us| Some(Anchor { at: Timestamp::from_micros(us), id: Some(id.into()) });
    assert_eq!(level.anchor, anchor("t1", 500_544_670));
    assert_eq!((level.level_at, level.quiet), (Some(at(9_999)), None));

    commit(store.as_mut(), &level, vec![page(vec![event("A", "t2", 1_500)], Some("c\"1"), 2_000)]);
    let open = load(store.as_mut(), "A");
    let walk = open.walk.as_ref().unwrap();
    assert_eq!(walk.cursor.as_deref(), Some("c\"1"));
    assert_eq!(walk.anchor, anchor("t2", 1_500_544_670));

    let mut batch = Batch::default();
    batch.fail(scope("A"), "it's gone".to_owned());
    let sealed = batch.seal(&Committed::new([open]), 7, at(9_999));
    let expected = sealed.checkpoints()[0].next().clone();
    store.commit(7, &sealed).unwrap();
    let loaded = load(store.as_mut(), "A");
    assert_eq!(loaded, expected, "an open walk and an error, column by column");
    let open = loaded.walk.unwrap();
    assert_eq!((open.cursor.as_deref(), loaded.failures), (None, 1), "distrusted after an error");
    assert_eq!(open.low, Some(Timestamp::from_micros(1_500_544_670)));
}

fn what_was_heard_and_what_is_left_survive(database: &Database) {
    let mut store = database.open();
    let first = load(store.as_mut(), "A");
    let quiet = || vec![page(vec![event("A", "t1", 500)], None, 1_000)];
    commit(store.as_mut(), &first, quiet());
    let level = load(store.as_mut(), "A");
    commit(store.as_mut(), &level, quiet());
    let mut batch = Batch::default();
    batch.check(scope("A"), at(990));
    batch.leave(scope("B"), Duration::from_millis(1_500));
    let ledger = Committed::new([load(store.as_mut(), "A"), load(store.as_mut(), "B")]);
    let sealed = batch.seal(&ledger, 8, at(9_999));
    let expected: Vec<Checkpoint> =
        sealed.checkpoints().iter().map(|update| update.next().clone()).collect();
    store.commit(8, &sealed).unwrap();
    let (heard, behind) = (load(store.as_mut(), "A"), load(store.as_mut(), "B"));
    assert_eq!([heard.clone(), behind.clone()], expected[..], "column by column");
    assert_eq!((heard.checked_until, heard.quiet.map(|quiet| quiet.run)), (Some(at(990)), Some(7)));
    assert!(heard.footing.is_some());
    assert_eq!(behind.left.map(|left| left.span), Some(Duration::from_millis(1_500)));
}

fn a_claim_that_is_found_false_moves_back_and_is_on_record(database: &Database) {
    let mut store = database.open();
    let first = load(store.as_mut(), "A");
    commit(store.as_mut(), &first, vec![page(vec![event("A", "t1", 500)], None, 1_000)]);
    let before = load(store.as_mut(), "A");
    let lower = |until: i64| {
        let mut batch = Batch::default();
        let (claimed, proven) = (at(500), Some(at(until)));
        let reason = "it's \"false\"";
        let claim = Claim::CompleteUntil;
        batch.correct(scope("A"), Correction { claim, claimed, proven, reason });
        batch.seal(&Committed::new([before.clone()]), 8, at(9_999))
    };
    assert!(store.commit(8, &lower(400)).unwrap().overtaken.is_empty());
    assert_eq!(load(store.as_mut(), "A").complete_until, Some(at(400)));
    // One who comes too late corrects nothing, and records nothing.
    assert_eq!(store.commit(9, &lower(300)).unwrap().overtaken, [scope("A")]);
    assert_eq!(load(store.as_mut(), "A").complete_until, Some(at(400)));
    let rows = database
        .texts("select claim || ' ' || run_id || ' ' || reason as x from claim_corrections");
    assert_eq!(rows, [Some("complete_until 8 it's \"false\"".to_owned())]);
}

fn a_trade_is_stored_once_with_its_event(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    let pages = || vec![page(vec![event("A", "t2", 600), event("A", "t1", 500)], None, 1_000)];
    let receipt = commit(store.as_mut(), &checkpoint, pages());
    assert_eq!(receipt, Receipt { inserted: vec![0, 1], ..Receipt::default() });
    let checkpoint = load(store.as_mut(), "A");
    let again = commit(store.as_mut(), &checkpoint, pages());
    assert_eq!(again, Receipt::default(), "all known, nothing overtaken");
    assert_eq!(database.trades().len(), 2);
    assert_eq!(database.raw_counts(), (2, 0));
    let payloads =
        database.texts("select payload as x from raw_kalshi_trade_events where trade_id = 't1'");
    assert_eq!(payloads, [Some(event("A", "t1", 500).payload.into_string())], "byte for byte");
    let source = database.texts("select source as x from prediction_market_trades");
    assert!(source.iter().all(|source| source.as_deref() == Some("kalshi")));
}

fn a_trade_twice_in_one_batch_is_stored_once(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    let twice = vec![event("A", "t1", 500), event("A", "t1", 500), event("A", "t0", 500)];
    let receipt = commit(store.as_mut(), &checkpoint, vec![page(twice, None, 1_000)]);
    assert_eq!(receipt.inserted, [0, 1]);
    assert_eq!(database.raw_counts(), (2, 0));
}

fn extreme_values_are_stored_exactly(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    let mut events = Vec::new();
    for (id, price, quantity, micros, block, side) in [
        ("a", 0, 1, 4_102_444_799_999_999, Some(true), Side::Yes),
        ("b", 1_000_000, 999_999_999_999_999_999, 1_625_000_000_000_001, Some(false), Side::No),
        ("c", 1, 100, 999_999, None, Side::Yes),
    ] {
        let mut event = event("A", id, 0);
        event.trade.price = Price::from_e4_cents(price).unwrap();
        event.trade.quantity = Quantity::from_e2(quantity).unwrap();
        event.trade.traded_at = Timestamp::from_micros(micros);
        event.trade.is_block_trade = block;
        event.trade.side = side;
        events.push(event);
    }
    commit(store.as_mut(), &checkpoint, vec![page(events, None, 4_102_444_801)]);
    let row = |id: &str, side: &str, price, quantity, micros, block| {
        (id.to_owned(), "A".to_owned(), side.to_owned(), price, quantity, micros, block)
    };
    assert_eq!(
        database.trades(),
        [
            row("a", "yes", 0, 1, 4_102_444_799_999_999, Some(true)),
            row("b", "no", 1_000_000, 999_999_999_999_999_999, 1_625_000_000_000_001, Some(false)),
            row("c", "yes", 1, 100, 999_999, None),
        ]
    );
    let yes = database
        .number("select count(*) as x from prediction_market_trades_yes where yes_price = 0");
    assert_eq!(yes, 2, "the yes price of a yes at 0 and of a no at a dollar");
}

fn a_refused_event_is_kept_once_with_its_reason(database: &Database) {
    let mut store = database.open();
    for (round, kept) in [(1, vec![0, 1]), (2, vec![])] {
        let checkpoint = load(store.as_mut(), "A");
        let mut page = page(vec![event("A", "t1", 500)], None, 1_000);
        let long = format!("{{\"x\":\"{}\"}}", "y".repeat(20_000));
        page.rejected = vec![refused("A", "{\"trade_id\":\"r1\"}"), refused("A", &long)];
        let receipt = commit(store.as_mut(), &checkpoint, vec![page]);
        assert_eq!(receipt.rejected, kept, "round {round}");
    }
    assert_eq!(database.raw_counts(), (1, 2));
    let reasons = database.texts(
        "select distinct rejected as x from raw_kalshi_trade_events where rejected is not null",
    );
    assert_eq!(reasons, [Some("count_fp is missing".to_owned())]);
}

/// A ticker may sort before the text of the tape.
fn a_refused_event_is_told_whatever_is_stored_beside_it(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "*");
    for (names, kept) in [(&["!X"][..], vec![0]), (&["*", "!X"], vec![1]), (&["*", "!X"], vec![])] {
        let rejected = names.iter().map(|name| refused(name, "{\"trade_id\":\"r\"}")).collect();
        let page = Page { rejected, ..page(Vec::new(), Some("c"), 900) };
        let receipt = commit(store.as_mut(), &checkpoint, vec![page]);
        assert_eq!(receipt.rejected, kept, "{names:?}");
    }
}

fn an_event_refused_first_can_become_a_trade(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    let mut first = page(Vec::new(), None, 1_000);
    let known = event("A", "t1", 990);
    first.rejected = vec![Rejected { trade_id: Some("t1".into()), ..refused("A", &known.payload) }];
    commit(store.as_mut(), &checkpoint, vec![first]);
    let checkpoint = load(store.as_mut(), "A");
    commit(store.as_mut(), &checkpoint, vec![page(vec![known], None, 1_010)]);
    assert_eq!(database.trades().len(), 1);
    assert_eq!(database.raw_counts(), (1, 1));
}

fn rows_and_checkpoint_are_one(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    // A trade that the table itself refuses takes everything with it.
    database.execute(if database.url.starts_with("sqlite:") {
        "create trigger no before insert on prediction_market_trades when new.trade_id = 't9'
             begin select raise(abort, 'no'); end"
    } else {
        "alter table prediction_market_trades add check (trade_id <> 't9')"
    });
    let mut batch = Batch::default();
    let pages = vec![page(vec![event("A", "t9", 600), event("A", "t1", 500)], None, 1_000)];
    walk(&mut batch, &checkpoint, pages);
    let sealed = batch.seal(&Committed::new([checkpoint.clone()]), 7, at(1_000));
    let failure = store.commit(7, &sealed).unwrap_err();
    assert_eq!(failure.kind, Kind::StoreRefused);
    assert_eq!(database.trades().len(), 0);
    assert_eq!(database.raw_counts(), (0, 0));
    assert_eq!(load(store.as_mut(), "A"), checkpoint, "not an inch");
}

fn a_stale_ledger_loses_cleanly(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    commit(store.as_mut(), &checkpoint, vec![page(vec![event("A", "t2", 600)], None, 2_000)]);
    // Another pass that loaded the same checkpoint, and is later with an earlier window.
    let late = vec![page(vec![event("A", "t1", 500)], None, 1_000)];
    let receipt = commit(store.as_mut(), &checkpoint, late);
    assert_eq!((receipt.inserted, receipt.overtaken), (vec![0], vec![scope("A")]));
    assert_eq!(load(store.as_mut(), "A").complete_until, Some(at(600)), "the winner's");
    assert_eq!(database.trades().len(), 2, "true rows are kept all the same");
}

fn completeness_never_moves_back_even_by_hand(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    let until = "2030-01-01T00:00:00.000000Z";
    database.execute(&format!("update ingestion_checkpoints set complete_until = '{until}'"));
    let receipt = commit(store.as_mut(), &checkpoint, vec![page(Vec::new(), None, 1_000)]);
    assert_eq!(receipt.overtaken, [scope("A")]);
    assert_eq!(load(store.as_mut(), "A").complete_until, Timestamp::parse_rfc3339(until));
}

fn ten_thousand_rows_are_one_commit(database: &Database) {
    let mut store = database.open();
    let checkpoint = load(store.as_mut(), "A");
    let events = (0..10_000).rev().map(|n| event("A", &format!("t{:05}", n * 7_919 % 10_000), n));
    let receipt = commit(store.as_mut(), &checkpoint, vec![page(events.collect(), None, 20_000)]);
    assert_eq!(receipt.inserted.len(), 10_000);
    assert_eq!(database.raw_counts(), (10_000, 0));
}

fn a_thousand_checkpoints_are_one_commit(database: &Database) {
    let mut store = database.open();
    let markets: Vec<Scope> = (0..1_000).map(|n| scope(&format!("M{n:04}"))).collect();
    let checkpoints = store.checkpoints(&markets, at(1)).unwrap();
    let mut batch = Batch::default();
    for checkpoint in &checkpoints {
        walk(&mut batch, checkpoint, vec![page(Vec::new(), None, 1_000)]);
    }
    let receipt = store.commit(7, &batch.seal(&Committed::new(checkpoints), 7, at(1_000))).unwrap();
    assert!(receipt.overtaken.is_empty());
    let loaded = store.checkpoints(&markets, at(2)).unwrap();
    assert!(loaded.iter().all(|row| row.complete_until == Some(at(1_000)) && row.version == 1));
}

fn a_lock_is_held_once_and_released_by_its_end(database: &Database) {
    let (mut one, mut two) = (database.open(), database.open());
    let held = one.try_lock("run-0-of-1").unwrap();
    assert!(held.is_some());
    assert!(two.try_lock("run-0-of-1").unwrap().is_none(), "held by the other");
    assert!(one.try_lock("run-0-of-1").unwrap().is_none(), "nor twice by the same");
    assert!(two.try_lock("run-1-of-2").unwrap().is_some(), "another shard is free");
    drop(held);
    // A server notices the end of a connection when it gets round to it.
    let is_free = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        two.try_lock("run-0-of-1").unwrap().is_some()
    });
    assert!(is_free);
}

fn a_run_is_open_until_it_is_finished(database: &Database) {
    let mut store = database.open();
    let (one, two) =
        (store.begin_run("run", at(5)).unwrap(), store.begin_run("run", at(6)).unwrap());
    assert_ne!(one, two);
    let open = "select count(*) as x from ingestion_runs where finished_at is null";
    assert_eq!(database.number(open), 2);
    let mut retries = Retries::default();
    retries.add(RetryReason::RateLimited);
    retries.add(RetryReason::Database);
    let tally = Tally {
        requests: 9,
        retries,
        pages: 7,
        events_ingested: 40,
        events_duplicate: 3,
        events_rejected: 1,
        ..Tally::default()
    };
    let record = RunRecord {
        finished_at: at(8),
        exit_code: 143,
        markets: 3,
        tally,
        ingestion_lag: Some(Duration::from_millis(6_500)),
        error: Some("it's gone".to_owned()),
        overlap: Some(Duration::from_secs(120)),
        is_from_exchange: true,
    };
    store.finish_run(two, &record).unwrap();
    assert_eq!(database.number(open), 1);
    for (column, value) in [
        ("exit_code", "143"),
        ("markets", "3"),
        ("requests", "9"),
        ("retries", "2"),
        ("pages", "7"),
        ("events_ingested", "40"),
        ("events_duplicate", "3"),
        ("events_rejected", "1"),
        ("ingestion_lag_seconds", "6.5"),
        ("error", "it's gone"),
        ("command", "run"),
    ] {
        let stored = database
            .texts(&format!("select {column} as x from ingestion_runs where run_id = {two}"));
        assert_eq!(stored, [Some(value.to_owned())], "{column}");
    }
}

fn the_report_counts_what_is_stored(database: &Database) {
    let mut store = database.open();
    let (a, _) = (load(store.as_mut(), "A"), load(store.as_mut(), "B"));
    let events = vec![event("A", "t3", 9_000), event("A", "t2", 5_400), event("A", "t1", 5_399)];
    commit(store.as_mut(), &a, vec![page(events, None, 9_001)]);
    let rows = store.report(kalshi_ingest::store::Reported::All, at(9_000)).unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.checkpoint.scope.as_str(), row.trades_total, row.trades_last_hour))
        .collect();
    assert_eq!(seen, [("A", 3, 2), ("B", 0, 0)]);
}
