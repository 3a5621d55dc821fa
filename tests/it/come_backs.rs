//! An exchange that wants to be left alone: passes leave at once, later ones honour what was said, ask
//! once in ten minutes all the same, and are judged by what is stored.

use std::time::{Duration, Instant};

use kalshi_ingest::clock::Clock as _;
use kalshi_simulator::{Fault, RetryAfter, Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_pass_over_thirty_markets_leaves_at_once,
    later_passes_ask_once_in_ten_minutes_until_they_are_answered,
    a_wish_is_believed_for_an_hour_at_most,
    a_wish_that_makes_no_sense_is_none,
    whoever_asks_leaves,
    a_probe_is_one_request_whatever_becomes_of_it,
    a_wait_that_fits_is_waited_for,
    another_shard_and_another_host_are_not_concerned,
}

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR: RetryAfter = RetryAfter::Seconds(3_600);
const BUSY: Fault = Fault::TooMany { retry_after: Some(HOUR) };

/// Thirty markets of one series, each with trades, and their names.
fn bench(database: &Database) -> (Bench<'_>, String) {
    let bench = Bench::new(database, Rules::default());
    let markets: Vec<String> = (0..30).map(|n| format!("KXL-1-M{n}")).collect();
    for (seed, market) in (1..).zip(&markets) {
        let (from, until) = (NOON_US - 30 * MINUTE_US, NOON_US - MINUTE_US);
        bench.exchange.add_all(seeded_trades(seed, market, 20, from, until));
    }
    let markets = markets.join(",");
    bench.list_markets(&markets);
    (bench, markets)
}

/// How many requests the exchange got since the last look.
fn asked(bench: &Bench<'_>) -> usize {
    let count = bench.exchange.requests().len();
    bench.exchange.forget_requests();
    count
}

/// Seconds from our clock's noon until the exchange may be asked, as is on record.
fn come_back(database: &Database) -> Option<i64> {
    let texts = database.texts("select come_back_at as x from exchange_records");
    let text = texts.into_iter().next()??.replace(' ', "T").replace("+00", "Z");
    let at = kalshi_ingest::domain::time::Timestamp::parse_rfc3339(&text).unwrap();
    Some(at.second() - NOON_US / SECOND_US)
}

fn a_pass_over_thirty_markets_leaves_at_once(database: &Database) {
    let (bench, markets) = bench(database);
    for fault in [
        BUSY,
        Fault::LeaveAlone { status: 503, retry_after: HOUR },
        Fault::LeaveAlone { status: 500, retry_after: RetryAfter::HttpDate(3_600) },
    ] {
        // First nothing is known yet, then all is known but the trades.
        for pattern in ["*", "/markets/trades"] {
            database.execute("delete from exchange_records");
            bench.exchange.clear_faults();
            bench.exchange.fail_always(pattern, Some(fault));
            bench.exchange.forget_requests();
            let started = Instant::now();
            let output = bench.process(&markets, &[]);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(0), "{fault:?}: {said}");
            assert!(started.elapsed() < Duration::from_secs(10), "{fault:?}: {said}");
            assert!(asked(&bench) < 20, "{fault:?}");
            assert_eq!(said.matches("leaving the exchange alone until").count(), 1, "{said}");
            assert!(!said.contains("bug"), "{said}");
            let until = come_back(database).unwrap();
            assert!((3_590..3_620).contains(&until), "{fault:?}: {until}");
        }
    }
    let quiet = bench.process(&markets, &["-q"]);
    assert_eq!((quiet.status.code(), stderr(&quiet)), (Some(0), String::new()));
    let errors = database.texts("select error as x from ingestion_runs order by run_id desc");
    assert!(errors[0].as_ref().unwrap().contains("wants to be left alone"), "{errors:?}");
}

fn later_passes_ask_once_in_ten_minutes_until_they_are_answered(database: &Database) {
    let (bench, markets) = bench(database);
    assert_eq!(bench.run(&markets, &[]), 0);
    bench.advance(MINUTE_US);
    bench.exchange.fail_always("*", Some(BUSY));
    assert_eq!(bench.run(&markets, &[]), 0);
    asked(&bench);
    for (minute, exit, requests) in
        [(1, 0, 0), (1, 0, 0), (4, 3, 0), (3, 3, 0), (1, 3, 1), (1, 3, 0), (8, 3, 0), (1, 3, 1)]
    {
        bench.advance(minute * MINUTE_US);
        assert_eq!(bench.run(&markets, &[]), exit, "{minute} minutes later");
        assert_eq!(asked(&bench), requests, "{minute} minutes later");
    }
    bench.exchange.clear_faults();
    bench.exchange.fail_always("*", None);
    bench.advance(9 * MINUTE_US);
    assert_eq!(bench.run(&markets, &["--sla", "2h"]), 0);
    assert_eq!(asked(&bench), 0, "not yet");
    bench.advance(2 * MINUTE_US);
    assert_eq!(bench.run(&markets, &[]), 0);
    assert!(asked(&bench) > 1, "answered, so it goes on at once");
    assert_eq!(come_back(database), None, "and it is forgotten");
}

fn a_wish_is_believed_for_an_hour_at_most(database: &Database) {
    let (bench, markets) = bench(database);
    for wish in [
        RetryAfter::Seconds(86_400 * 365 * 9),
        RetryAfter::Words("99999999999999999999999999"),
        RetryAfter::HttpDate(86_400 * 365),
    ] {
        database.execute("delete from exchange_records");
        bench.exchange.fail_always("*", Some(Fault::TooMany { retry_after: Some(wish) }));
        assert_eq!(bench.run(&markets, &[]), 0);
        let until = come_back(database).unwrap();
        assert!((3_590..3_620).contains(&until), "{wish:?}: {until}");
    }
    bench.exchange.fail_always("*", None);
    bench.advance(61 * MINUTE_US);
    assert_eq!(bench.run(&markets, &[]), 0, "the hour is over");
    assert_eq!(come_back(database), None);
    // Noted by a clock that was years ahead.
    let (at, host) = ("'2099-01-01T00:00:00.000000Z'", "come_back_at");
    database.execute(&format!("update exchange_records set {host} = {at}, probed_at = {at}"));
    assert_eq!(bench.run(&markets, &[]), 0);
    assert_eq!(come_back(database), None);
}

fn a_wish_that_makes_no_sense_is_none(database: &Database) {
    let (bench, markets) = bench(database);
    for words in ["-5", "soon", "", "0", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let fault = Fault::TooMany { retry_after: Some(RetryAfter::Words(words)) };
        bench.exchange.script([fault]);
        assert_eq!(bench.run(&markets, &[]), 0, "{words}");
        assert_eq!(come_back(database), None, "{words}");
    }
}

fn whoever_asks_leaves(database: &Database) {
    let (bench, _) = bench(database);
    let series = &["--series", "KXL"][..];
    assert_eq!(bench.pass(series), 0);
    let window = ["--from", "2026-07-25T00:00:00Z", "--to", "2026-07-25T17:00:00Z"];
    let window = &[series, &window].concat()[..];
    for (command, flags, exit) in [
        ("run", &[series, &["--sync-markets", "0s"]].concat()[..], 0),
        ("markets", series, 4),
        ("orderbooks", series, 4),
        ("orderbooks", &["--all"], 4),
        ("backfill", window, 6),
        ("backfill", &[window, &["--dry-run"]].concat(), 6),
        ("completeness", series, 6),
        ("completeness", window, 6),
        ("completeness", &[series, &["--heal"]].concat(), 6),
    ] {
        database.execute("delete from exchange_records");
        for is_first in [true, false] {
            bench.exchange.fail_always("*", is_first.then_some(BUSY));
            bench.exchange.forget_requests();
            let started = Instant::now();
            let output = bench.process_of(command, flags);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(exit), "{command} {flags:?}: {said}");
            assert!(started.elapsed() < Duration::from_secs(8), "{command}: {said}");
            assert!(said.contains("alone until 20"), "{command}: {said}");
            // A dry run changes nothing, so the next one has to find out again.
            if is_first {
                assert!((1..10).contains(&asked(&bench)), "{command} {flags:?}");
            } else if !flags.contains(&"--dry-run") {
                assert_eq!(asked(&bench), 0, "{command} {flags:?}");
            }
            if flags.contains(&"--dry-run") {
                break;
            }
        }
    }
}

fn a_probe_is_one_request_whatever_becomes_of_it(database: &Database) {
    let (bench, markets) = bench(database);
    assert_eq!(bench.run(&markets, &[]), 0);
    for (fault, is_answer) in [
        (Fault::Status(500), false),
        (Fault::Reset, false),
        (Fault::Garbage, false),
        (Fault::TooMany { retry_after: None }, false),
        (Fault::TooMany { retry_after: Some(RetryAfter::Seconds(1)) }, false),
        (Fault::Status(404), true),
        (Fault::Status(403), true),
    ] {
        bench.exchange.fail_always("*", Some(BUSY));
        bench.run(&markets, &["--sla", "1d"]);
        assert!(come_back(database).is_some(), "{fault:?}");
        bench.advance(10 * MINUTE_US);
        bench.exchange.fail_always("*", Some(fault));
        asked(&bench);
        let exit = bench.run(&markets, &["--sla", "1d"]);
        let count = asked(&bench);
        if is_answer {
            assert_eq!((exit, come_back(database)), (4, None), "{fault:?}");
        } else {
            assert_eq!((exit, count), (0, 1), "{fault:?}");
            assert!(come_back(database).is_some(), "{fault:?}");
        }
        bench.exchange.fail_always("*", None);
        bench.advance(61 * MINUTE_US);
        assert_eq!(bench.run(&markets, &["--sla", "1d"]), 0, "{fault:?}");
        assert_eq!(come_back(database), None, "{fault:?}");
    }
}

fn a_wait_that_fits_is_waited_for(database: &Database) {
    let (bench, markets) = bench(database);
    bench.exchange.script([Fault::LeaveAlone { status: 503, retry_after: RetryAfter::Seconds(1) }]);
    let started = bench.clock.elapsed();
    assert_eq!(bench.run(&markets, &[]), 0);
    assert!(bench.clock.elapsed() >= started + Duration::from_secs(1));
    bench.assert_complete(&markets.split(',').collect::<Vec<_>>(), "waited and read");
    assert_eq!(come_back(database), None);
    // The same wait does not fit into a pass that is shorter.
    bench.advance(MINUTE_US);
    bench.exchange.script([Fault::LeaveAlone { status: 503, retry_after: RetryAfter::Seconds(9) }]);
    let started = bench.clock.elapsed();
    assert_eq!(bench.run(&markets, &["--deadline", "5s"]), 0);
    assert!(bench.clock.elapsed() < started + Duration::from_secs(9), "it is not begun");
    assert!(come_back(database).is_some());
}

fn another_shard_and_another_host_are_not_concerned(database: &Database) {
    let (bench, markets) = bench(database);
    bench.exchange.fail_always("*", Some(BUSY));
    assert_eq!(bench.run(&markets, &[]), 0);
    bench.exchange.fail_always("*", None);
    asked(&bench);
    assert_eq!(bench.run(&markets, &["--shard", "0/2"]), 0);
    assert!(asked(&bench) > 0, "another shard");
    let other = bench.server.base_url().replace("127.0.0.1", "localhost");
    assert_eq!(bench.run(&markets, &["--base-url", &other]), 0);
    assert!(asked(&bench) > 0, "another host");
    assert_eq!(bench.run(&markets, &[]), 0);
    assert_eq!(asked(&bench), 0, "the one that said so");
}
