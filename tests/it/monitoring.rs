//! Every promise of `Oversight`, held against both stores.

use std::time::Duration;

use kalshi_ingest::domain::batch::{Batch, Committed};
use kalshi_ingest::domain::completeness::{Basis, Score};
use kalshi_ingest::domain::freshness::Now;
use kalshi_ingest::domain::market::{Market, Sighting, Status, Terms, WatchChange};
use kalshi_ingest::domain::overview::{DAY_STEPS, Overview};
use kalshi_ingest::domain::page::{Page, Rules};
use kalshi_ingest::domain::selection::{Target, Watch};
use kalshi_ingest::domain::tally::{Retries, RetryReason, Tally};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use kalshi_ingest::domain::walk::Walk;
use kalshi_ingest::failure::Kind;
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, RunRecord, Store};

use crate::support::database::{Database, on_both_stores};
use crate::support::scope;

on_both_stores! {
    an_empty_database_has_nothing_to_show,
    a_schema_that_lacks_a_step_is_named,
    what_passes_were_asked_for_is_on_record,
    an_entry_that_is_taken_out_is_forgotten_after_a_while,
    totals_outlive_their_runs,
    what_a_killed_run_stored_is_counted,
    a_run_that_ends_twice_is_counted_once,
    a_replay_counts_nothing_again,
    runs_of_the_last_day_are_summed_by_the_quarter_hour,
    the_use_of_the_overlap_is_that_of_the_last_hour,
    the_latest_score_of_a_market_counts,
    retired_markets_are_shown_apart,
}

/// A noon long ago.
const NOON: i64 = 1_785_067_200;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn ticker(text: &str) -> Ticker {
    Ticker::new(text).unwrap()
}

fn series(name: &str, sla_s: u64) -> Watch {
    Watch { target: Target::Series(ticker(name)), sla: Duration::from_secs(sla_s) }
}

fn sighting(name: &str, series: &str) -> Sighting {
    let market = Market {
        ticker: ticker(name),
        event_ticker: "KXA-1".into(),
        series: Some(series.into()),
        title: None,
        yes_label: None,
        status: Status::Finalized,
        result: None,
        open_time: None,
        close_time: None,
        expected_expiration_time: None,
        latest_expiration_time: None,
        settlement_time: None,
        settlement_value: None,
        volume_e2: None,
        price_level_structure: None,
        terms: Terms::new(),
        payload: "{}".into(),
    };
    Sighting { market, seen_at: at(NOON) }
}

fn record(tally: Tally) -> RunRecord {
    RunRecord {
        finished_at: at(NOON + 2),
        exit_code: 0,
        markets: 1,
        tally,
        ingestion_lag: Some(Duration::from_secs(7)),
        error: None,
        overlap: Some(Duration::from_secs(120)),
        is_from_exchange: true,
    }
}

fn ingested(events_ingested: u64) -> Tally {
    Tally { events_ingested, ..Tally::default() }
}

/// A commit of so many new trades and one event that is none.
fn store_trades(store: &mut dyn Store, run: i64, ids: &[&str]) {
    let events = ids.iter().map(|id| RawEvent {
        trade: Trade {
            trade_id: (*id).into(),
            market: ticker("A"),
            side: Side::Yes,
            price: Price::from_e4_cents(500_000).unwrap(),
            quantity: Quantity::from_e2(100).unwrap(),
            traded_at: at(NOON - 100),
            is_block_trade: None,
        },
        payload: format!("{{\"trade_id\":\"{id}\"}}").into(),
    });
    let rejected = Rejected {
        scope: scope("A"),
        trade_id: None,
        payload: format!("{{\"odd\":\"{}\"}}", ids.join("")).into(),
        reason: "count_fp is missing".to_owned(),
    };
    let page = Page {
        events: events.collect(),
        rejected: vec![rejected],
        foreign: 0,
        cursor: Some("more".to_owned()),
        exchange_now: at(NOON),
        our_now: at(NOON),
    };
    let checkpoint = store.checkpoints(&[scope("A")], at(NOON)).unwrap().remove(0);
    let mut batch = Batch::default();
    batch.push(Walk::new(&checkpoint, Rules::EXACT).page(page));
    store.commit(run, &batch.seal(&Committed::new([checkpoint]), run, at(NOON))).unwrap();
}

fn seen(store: &mut dyn Store) -> Overview {
    store.overview(at(NOON + 60)).unwrap()
}

fn an_empty_database_has_nothing_to_show(database: &Database) {
    let overview = seen(database.open().as_mut());
    assert!(overview.entries.is_empty() && overview.active.is_empty() && overview.runs.is_empty());
    assert_eq!((overview.retired_total, overview.totals.requests), (0, 0));
    assert_eq!((overview.day.len(), overview.last_pass), (DAY_STEPS, None));
}

fn a_schema_that_lacks_a_step_is_named(database: &Database) {
    database.clear();
    let mut store = DatabaseUrl::parse(&database.url, &|_| None)
        .unwrap()
        .open(Missing::Create, VENUE.source)
        .unwrap();
    let failure = store.check_schema().unwrap_err();
    assert_eq!(failure.kind, Kind::StoreRefused);
    let words = failure.to_string();
    assert!(words.contains("001_pipeline") && words.contains("kalshi-ingest migrate"), "{words}");
    store.migrate(at(0)).unwrap();
    store.check_schema().unwrap();
}

fn what_passes_were_asked_for_is_on_record(database: &Database) {
    let mut store = database.open();
    let market = Watch { target: Target::Market(ticker("B")), sla: Duration::from_secs(30) };
    let tape = Watch { target: Target::All, sla: Duration::from_millis(1_500) };
    let watches = [market.clone(), series("KXA", 60), tape.clone()];
    store.note_selection(&watches, at(NOON)).unwrap();
    let joined = vec![ticker("KXA-2"), ticker("KXA-1")];
    let resolved_at = Some(at(NOON + 5));
    let watch = "series:KXA".to_owned();
    let change = WatchChange { watch, resolved_at, joined, ..WatchChange::default() };
    store.save_watches(&[change]).unwrap();
    let entries = seen(store.as_mut()).entries;
    let found: Vec<_> = entries.iter().map(|entry| entry.watch.clone()).collect();
    assert_eq!(found, [tape, market, series("KXA", 60)], "by name");
    assert_eq!(entries[2].members, [ticker("KXA-1"), ticker("KXA-2")]);
    assert_eq!((entries[2].resolved_at, entries[1].resolved_at), (at(NOON + 5), at(NOON)));
    // Another SLA is noted at once, the same again only after some minutes.
    for (second, sla, expected) in
        [(60, 60, NOON), (120, 90, NOON + 120), (180, 90, NOON + 120), (500, 90, NOON + 500)]
    {
        store.note_selection(&[series("KXA", sla)], at(NOON + second)).unwrap();
        let entry = seen(store.as_mut()).entries.remove(2);
        assert_eq!((entry.watch, entry.selected_at), (series("KXA", sla), at(expected)));
    }
}

fn an_entry_that_is_taken_out_is_forgotten_after_a_while(database: &Database) {
    let mut store = database.open();
    let labels = |store: &mut dyn Store| -> Vec<String> {
        let summaries = seen(store).summaries(None, Now::by_record(at(NOON + 9_000), None));
        summaries.into_iter().map(|summary| summary.label).collect()
    };
    store.note_selection(&[series("KXA", 60), series("KXB", 60)], at(NOON)).unwrap();
    assert_eq!(labels(store.as_mut()), ["KXA", "KXB"], "however long ago the last pass was");
    store.note_selection(&[series("KXB", 60)], at(NOON + 3_600)).unwrap();
    assert_eq!(labels(store.as_mut()), ["KXA", "KXB"]);
    store.note_selection(&[series("KXB", 60)], at(NOON + 3_901)).unwrap();
    assert_eq!(labels(store.as_mut()), ["KXB"]);
    // Whose SLA is long must be able to breach it first.
    store.note_selection(&[series("KXA", 2_000)], at(NOON)).unwrap();
    assert_eq!(labels(store.as_mut()), ["KXA", "KXB"]);
    // A pass whose clock is a day ahead takes nobody with it, and the next one sets its note right.
    store.note_selection(&[series("KXC", 60)], at(NOON + 90_000)).unwrap();
    assert_eq!(labels(store.as_mut()), ["KXA", "KXB", "KXC"]);
    store.note_selection(&[series("KXC", 60)], at(NOON + 3_950)).unwrap();
    let noted = seen(store.as_mut()).entries.remove(2).selected_at;
    assert_eq!(noted, at(NOON + 3_950));
}

fn totals_outlive_their_runs(database: &Database) {
    let mut store = database.open();
    for _ in 0..2 {
        let run = store.begin_run("run", at(NOON)).unwrap();
        let mut retries = Retries::default();
        retries.add(RetryReason::NoAnswer);
        let tally = Tally {
            requests: 5,
            retries,
            events_duplicate: 3,
            late_trades: 1,
            ..ingested(4_000_000_000)
        };
        store.finish_run(run, &record(tally)).unwrap();
    }
    database.execute("delete from ingestion_runs");
    let totals = seen(store.as_mut()).totals;
    assert_eq!((totals.requests, totals.events_ingested), (10, 8_000_000_000));
    assert_eq!((totals.events_duplicate, totals.late_trades, totals.events_rejected), (6, 2, 0));
    assert_eq!(totals.retries.into_iter().collect::<Vec<_>>(), [(Box::from("no_answer"), 2)]);
}

fn what_a_killed_run_stored_is_counted(database: &Database) {
    let mut store = database.open();
    let killed = store.begin_run("run", at(NOON)).unwrap();
    store_trades(store.as_mut(), killed, &["t1", "t2"]);
    let totals = seen(store.as_mut()).totals;
    assert_eq!((totals.events_ingested, totals.events_rejected), (2, 1));
    // The next one meets them again, and hears nothing of what its last commit came to.
    let next = store.begin_run("run", at(NOON)).unwrap();
    store_trades(store.as_mut(), next, &["t1", "t2", "t3"]);
    store.finish_run(next, &record(ingested(0))).unwrap();
    let totals = seen(store.as_mut()).totals;
    let rows = database.number("select count(*) as x from prediction_market_trades");
    assert_eq!((totals.events_ingested, rows), (3, 3));
    assert_eq!((totals.events_duplicate, totals.events_rejected), (2, 2));
}

fn a_run_that_ends_twice_is_counted_once(database: &Database) {
    let mut store = database.open();
    let run = store.begin_run("run", at(NOON)).unwrap();
    store.finish_run(run, &record(ingested(4))).unwrap();
    store.finish_run(run, &record(ingested(4))).unwrap();
    assert_eq!(seen(store.as_mut()).totals.events_ingested, 4);
}

fn a_replay_counts_nothing_again(database: &Database) {
    let mut store = database.open();
    let run = store.begin_run("replay", at(NOON)).unwrap();
    let tally = Tally { events_duplicate: 9, ..ingested(4) };
    store.finish_run(run, &RunRecord { is_from_exchange: false, ..record(tally) }).unwrap();
    let overview = seen(store.as_mut());
    assert_eq!((overview.totals.events_ingested, overview.totals.events_duplicate), (0, 0));
    assert_eq!(overview.runs[0].events_ingested, Some(4), "its row says what it did");
    assert!(overview.day.iter().all(|span| span.events_ingested == 0));
}

fn runs_of_the_last_day_are_summed_by_the_quarter_hour(database: &Database) {
    let mut store = database.open();
    for (second, events, lag_s) in
        [(-100_000, 1, 9), (-900, 2, 3), (-899, 4, 8), (-1, 8, 2), (0, 16, 1), (59, 32, 5)]
    {
        let run = store.begin_run("run", at(NOON + second)).unwrap();
        let ingestion_lag = Some(Duration::from_secs(lag_s));
        store.finish_run(run, &RunRecord { ingestion_lag, ..record(ingested(events)) }).unwrap();
    }
    store.begin_run("run", at(NOON)).unwrap();
    let overview = seen(store.as_mut());
    let spans: Vec<_> =
        overview.day.iter().map(|span| (span.events_ingested, span.lag_seconds)).collect();
    assert_eq!(spans[DAY_STEPS - 2..], [(14, Some(8.0)), (48, Some(5.0))], "noon is a boundary");
    assert!(spans[..DAY_STEPS - 2].iter().all(|span| *span == (0, None)));
    assert_eq!(overview.runs.len(), 7);
    assert_eq!(overview.runs[0].finished_at, None, "the latest is at work");
    let last = overview.last_pass.unwrap();
    assert_eq!((last.events_ingested, last.exit_code), (Some(32), Some(0)));
}

fn the_use_of_the_overlap_is_that_of_the_last_hour(database: &Database) {
    let mut store = database.open();
    for (second, late_s) in [(-9_000, 500), (-60, 45), (-30, 30)] {
        let run = store.begin_run("run", at(NOON + second)).unwrap();
        let overlap_used = Duration::from_secs(late_s);
        let tally = Tally { late_trades: 1, overlap_used, ..Tally::default() };
        store.finish_run(run, &record(tally)).unwrap();
    }
    let overview = seen(store.as_mut());
    assert_eq!(overview.overlap_used, Duration::from_secs(45));
    assert_eq!(overview.overlap, Some(Duration::from_secs(120)));
}

fn the_latest_score_of_a_market_counts(database: &Database) {
    let mut store = database.open();
    let sightings = ["A", "B", "OLD", "REST"].map(|name| sighting(name, "KXA"));
    store.save_markets(&sightings, &[], at(NOON)).unwrap();
    store.note_selection(&[series("KXA", 60)], at(NOON)).unwrap();
    store.checkpoints(&[scope("A")], at(NOON)).unwrap();
    let of =
        |market: &str, stored: i64| Score::of_sums(ticker(market), stored, 100, Basis::Lifetime);
    store.save_scores(&[of("A", 10), of("B", 90)], at(NOON - 50)).unwrap();
    store.save_scores(&[of("A", 100)], at(NOON)).unwrap();
    store.save_scores(&[of("OLD", 1)], at(NOON - 40 * 86_400)).unwrap();
    store.save_scores(&[of("REST", 95)], at(NOON)).unwrap();
    let overview = seen(store.as_mut());
    let found: Vec<_> = overview.scores.iter().map(|s| (s.market.as_str(), s.score)).collect();
    assert_eq!(found, [("B", 0.9), ("A", 1.0)], "the worst of the series, and what is not retired");
    let summary = overview.summaries(None, Now::by_record(at(NOON + 60), None)).remove(0);
    assert_eq!(summary.completeness.map(|worst| worst.market), Some(ticker("B")));
}

fn retired_markets_are_shown_apart(database: &Database) {
    let mut store = database.open();
    store.checkpoints(&["A", "B", "C"].map(scope), at(NOON)).unwrap();
    for (market, second) in [("A", 10), ("B", 20)] {
        let at = at(NOON + second);
        database.execute(&format!(
            "update ingestion_checkpoints set retired_at = '{at}' where market_ticker = '{market}'"
        ));
    }
    let overview = seen(store.as_mut());
    let names = |rows: &[kalshi_ingest::domain::checkpoint::Checkpoint]| -> Vec<String> {
        rows.iter().map(|row| row.scope.to_string()).collect()
    };
    assert_eq!(names(&overview.active), ["C"]);
    assert_eq!(
        (names(&overview.retired), overview.retired_total),
        (vec!["B".into(), "A".into()], 2)
    );
}
