//! Whole passes through every fault: what was broken is repaired by the same pass or the next,
//! and the exit status says who has to act.

use std::time::{Duration, Instant};

use kalshi_ingest::clock::Clock as _;
use kalshi_simulator::{Fault, RateLimit, RetryAfter, Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    passing_faults_are_repaired_by_the_same_pass,
    a_server_that_names_its_time_is_given_it,
    a_hang_is_cut_off_and_the_next_pass_goes_on,
    cursor_troubles_are_walked_around_by_time,
    every_cursor_ignored_forever_still_ends_complete,
    guarded_walks_are_warnings_and_heal,
    faults_at_random_lose_and_double_nothing,
    a_rate_limit_is_found_and_kept,
    nonsense_that_persists_is_status_four,
    a_refusal_is_status_four,
    a_blocked_client_stops_asking,
    an_exchange_that_is_down_breaches_only_past_the_sla,
}

const SECOND_US: i64 = 1_000_000;
const UNTIL_US: i64 = NOON_US - 10 * SECOND_US;

fn bench_with(database: &Database, trades: usize) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_all(seeded_trades(1, "KXA", trades, UNTIL_US - 3_600 * SECOND_US, UNTIL_US));
    bench
}

fn passing_faults_are_repaired_by_the_same_pass(database: &Database) {
    let kinds = [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Status(504),
        Fault::Status(408),
        Fault::Status(425),
        Fault::TooMany { retry_after: None },
        Fault::Reset,
        Fault::Closed,
        Fault::ResetMidHeaders,
        Fault::Truncated,
        Fault::Garbage,
        Fault::NotTrades,
        Fault::Huge { bytes: 32 << 20 },
        Fault::SlowBody { bytes_per_step: 40_000, pause_ms: 5 },
        Fault::CloseAfter,
        Fault::DuplicatedRows,
        Fault::EmptyPageWithCursor,
    ];
    let bench = Bench::new(database, Rules::default());
    let markets: Vec<String> = (0..kinds.len()).map(|n| format!("KXF{n}")).collect();
    for market in &markets {
        bench.exchange.add_all(seeded_trades(
            1,
            market,
            2_100,
            UNTIL_US - 3_600 * SECOND_US,
            UNTIL_US,
        ));
    }
    // One market after the other, each with its fault on its second page.
    for (kind, market) in kinds.iter().zip(&markets) {
        bench.exchange.script([Fault::None, *kind, Fault::None]);
        assert_eq!(bench.run(market, &[]), 0, "{kind:?}");
        let stored = database.trades().into_iter().filter(|row| row.1 == *market).count();
        assert_eq!(stored, 2_100, "{kind:?}");
        bench.exchange.clear_faults();
    }
    let names: Vec<&str> = markets.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "after all faults");
    assert!(database.number("select sum(retries) as x from ingestion_runs") >= 14);
}

fn a_server_that_names_its_time_is_given_it(database: &Database) {
    for wait in [RetryAfter::Seconds(1), RetryAfter::HttpDate(2)] {
        let bench = bench_with(database, 10);
        bench.exchange.script([Fault::TooMany { retry_after: Some(wait) }]);
        let started = bench.clock.elapsed();
        assert_eq!(bench.run("KXA", &[]), 0);
        assert!(bench.clock.elapsed() >= started + Duration::from_secs(1), "{wait:?}");
    }
    // More than the pass has: it is not waited for, and nothing is wrong yet.
    let bench = bench_with(database, 10);
    let wait = RetryAfter::Seconds(3_600);
    bench.exchange.script([Fault::TooMany { retry_after: Some(wait) }]);
    let started = bench.clock.elapsed();
    assert_eq!(bench.run("KXA", &[]), 0);
    assert!(bench.clock.elapsed() < started + Duration::from_secs(30), "did not wait");
    assert_eq!(bench.requests(), 1);
}

fn a_hang_is_cut_off_and_the_next_pass_goes_on(database: &Database) {
    let bench = bench_with(database, 3_500);
    bench.in_real_time();
    bench.exchange.script([Fault::None, Fault::Hang { ms: 60_000 }]);
    let started = Instant::now();
    assert_eq!(bench.run("KXA", &["--deadline", "2s"]), 0);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let failing = "select count(*) as x from ingestion_checkpoints where failures = 1 and walk_low is not null";
    assert_eq!(database.number(failing), 1, "remembered, with how far it came");
    assert_eq!(database.trades().len(), 1_000, "what came before is stored");
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.assert_complete(&["KXA"], "after the hang");
}

fn cursor_troubles_are_walked_around_by_time(database: &Database) {
    for kind in [Fault::RefusedCursor, Fault::IgnoredCursor] {
        for page in 1..4 {
            let market = format!("KX{page}{kind:?}");
            let bench = Bench::new(database, Rules::default());
            bench.exchange.add_all(seeded_trades(
                1,
                &market,
                3_500,
                UNTIL_US - 3_600 * SECOND_US,
                UNTIL_US,
            ));
            bench.exchange.script((0..page).map(|_| Fault::None).chain([kind]));
            assert_eq!(bench.run(&market, &[]), 0, "{market}");
            let stored = database.trades().into_iter().filter(|row| row.1 == market).count();
            assert_eq!(stored, 3_500, "{market}");
        }
    }
}

fn every_cursor_ignored_forever_still_ends_complete(database: &Database) {
    for kind in [Fault::IgnoredCursor, Fault::RefusedCursor] {
        let bench = bench_with(database, 4_500);
        bench.exchange.random_faults(1, 1_000, &[kind]);
        assert_eq!(bench.run("KXA", &[]), 0, "{kind:?}");
        bench.assert_complete(&["KXA"], "by time alone");
        database.execute("delete from ingestion_checkpoints");
    }
}

fn guarded_walks_are_warnings_and_heal(database: &Database) {
    for kind in [Fault::RepeatCursor, Fault::Unordered] {
        let bench = bench_with(database, 3_500);
        bench.exchange.script([Fault::None, kind]);
        assert_eq!(bench.run("KXA", &[]), 0, "{kind:?}: inside the SLA");
        assert_eq!(database.complete_until("KXA"), None, "{kind:?}: not believed");
        let error = database.texts("select last_error as x from ingestion_checkpoints");
        assert!(error[0].as_ref().unwrap().contains("the exchange"), "{kind:?}: {error:?}");
        assert_eq!(bench.run("KXA", &[]), 0, "{kind:?}");
        bench.assert_complete(&["KXA"], "healed by the next pass");
        database.execute("delete from ingestion_checkpoints");
    }
}

fn faults_at_random_lose_and_double_nothing(database: &Database) {
    let kinds = [
        Fault::Status(503),
        Fault::Reset,
        Fault::Truncated,
        Fault::Garbage,
        Fault::DuplicatedRows,
        Fault::IgnoredCursor,
        Fault::RefusedCursor,
        Fault::RepeatCursor,
        Fault::Unordered,
        Fault::EmptyPageWithCursor,
    ];
    let bench = Bench::new(database, Rules::default());
    let markets = ["KXA", "KXB", "KXC"];
    for (n, market) in markets.iter().enumerate() {
        bench.exchange.add_all(seeded_trades(
            1,
            market,
            4_000 + n,
            UNTIL_US - 3_600 * SECOND_US,
            UNTIL_US,
        ));
    }
    bench.exchange.random_faults(7, 250, &kinds);
    for _ in 0..4 {
        let exit = bench.run(&markets.join(","), &["--deadline", "4s"]);
        assert!(matches!(exit, 0 | 4), "{exit}");
    }
    bench.exchange.clear_faults();
    assert_eq!(bench.run(&markets.join(","), &[]), 0);
    bench.assert_complete(&markets, "after chaos");
}

fn a_rate_limit_is_found_and_kept(database: &Database) {
    let limit = RateLimit { per_second: 30, burst: 5 };
    let bench = Bench::new(database, Rules { keyless_limit: Some(limit), ..Rules::default() });
    bench.exchange.add_all(seeded_trades(1, "KXA", 30_000, UNTIL_US - 3_600 * SECOND_US, UNTIL_US));
    // A thousand a second are allowed by us, thirty by the exchange: the pass finds its pace.
    let mut passes = 0;
    while database.complete_until("KXA").is_none() {
        assert_eq!(bench.run("KXA", &["--deadline", "10s"]), 0);
        passes += 1;
        assert!(passes < 6);
    }
    bench.assert_complete(&["KXA"], "at the exchange's pace");
}

fn nonsense_that_persists_is_status_four(database: &Database) {
    for kind in [Fault::Garbage, Fault::NotTrades] {
        let bench = bench_with(database, 10);
        bench.exchange.random_faults(1, 1_000, &[kind]);
        assert_eq!(bench.run("KXA", &[]), 4, "{kind:?}");
        assert!(bench.requests() > 2, "it was tried again first");
    }
}

fn a_refusal_is_status_four(database: &Database) {
    for kind in [Fault::Status(404), Fault::Status(400), Fault::Redirect] {
        let bench = bench_with(database, 10);
        bench.exchange.random_faults(1, 1_000, &[kind]);
        assert_eq!(bench.run("KXA", &[]), 4, "{kind:?}");
        assert_eq!(bench.requests(), 1, "{kind:?}: asking again would not help");
    }
}

fn a_blocked_client_stops_asking(database: &Database) {
    for status in [401, 403] {
        let bench = bench_with(database, 10);
        bench.exchange.random_faults(1, 1_000, &[Fault::Status(status)]);
        assert_eq!(bench.run("KXA,KXB,KXC,KXD", &["--workers", "1"]), 4, "{status}");
        assert_eq!(bench.requests(), 1, "{status}: the other markets are not tried");
    }
}

fn an_exchange_that_is_down_breaches_only_past_the_sla(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    assert_eq!(bench.run("KXA", &["--settle", "0s"]), 0);
    bench.exchange.random_faults(1, 1_000, &[Fault::Status(503)]);
    let flags = ["--settle", "0s", "--deadline", "1s", "--sla"];
    assert_eq!(bench.run("KXA", &[&flags[..], &["1h"]].concat()), 0, "inside");
    bench.advance(1_200_000);
    assert_eq!(bench.run("KXA", &[&flags[..], &["1s"]].concat()), 3, "past it");
    bench.exchange.clear_faults();
    assert_eq!(bench.run("KXA", &["--settle", "0s", "--sla", "1h"]), 0, "and back");
    let failures = database.number("select failures as x from ingestion_checkpoints");
    assert_eq!(failures, 0, "forgotten once a window is complete");
}
