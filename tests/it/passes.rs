//! Whole passes against the simulated exchange: what it must show.

use kalshi_simulator::{
    Fault, Framing, ListEnd, MalformedCursor, MaxTs, Rules, Trade, seeded_trades,
};

use crate::support::bench::{Bench, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    every_trade_of_every_size_under_every_reading_of_the_api,
    new_and_late_trades_are_added_and_nothing_else,
    growth_between_pages_neither_repeats_nor_skips,
    since_bounds_the_first_walk_and_all_later_ones,
    trades_on_window_edges_are_stored_once,
    a_pass_out_of_time_is_continued_where_it_stopped,
    a_checkpoint_moved_back_by_hand_is_taken_up,
    those_that_fail_do_not_keep_the_others_waiting,
    a_skewed_clock_does_no_harm,
    an_answer_from_the_future_loses_nothing,
    an_exchange_without_a_date_is_read_by_our_clock,
    rows_of_other_markets_are_left_out,
    a_second_pass_at_once_reads_nothing,
    many_markets_share_workers_and_commits,
}

const HOUR_US: i64 = 3_600_000_000;
const SECOND_US: i64 = 1_000_000;

fn every_trade_of_every_size_under_every_reading_of_the_api(database: &Database) {
    let sizes = [0, 1, 999, 1_000, 1_001, 3_000];
    let mut markets = Vec::new();
    for (round, (max_ts, list_end, cursor_after_full_page, framing)) in [
        (MaxTs::Inclusive, ListEnd::EmptyString, false, Framing::ContentLength),
        (MaxTs::Exclusive, ListEnd::EmptyString, true, Framing::Chunked),
        (MaxTs::Exclusive, ListEnd::Null, false, Framing::Chunked),
        (MaxTs::Inclusive, ListEnd::Absent, true, Framing::ContentLength),
    ]
    .into_iter()
    .enumerate()
    {
        let gzip = round % 2 == 1;
        let rules =
            Rules { max_ts, list_end, cursor_after_full_page, framing, gzip, ..Rules::default() };
        let bench = Bench::new(database, rules);
        let these: Vec<String> = sizes.iter().map(|size| format!("KX{round}-{size}")).collect();
        for (size, market) in sizes.iter().zip(&these) {
            let until = NOON_US - 10 * SECOND_US;
            bench.exchange.add_all(seeded_trades(1, market, *size, until - HOUR_US, until));
        }
        let why = format!("{max_ts:?} {list_end:?} {cursor_after_full_page} {framing:?}");
        let before = database.trades().len();
        let selection = these.join(",");
        assert_eq!(bench.run(&selection, &[]), 0, "{why}");
        assert_eq!(database.trades().len() - before, 6_001, "{why}");
        assert_eq!(bench.run(&selection, &[]), 0, "{why}: again");
        assert_eq!(database.trades().len() - before, 6_001, "{why}: a second pass adds nothing");
        for market in &these {
            let truth = bench.truth(&[market]);
            let stored: Vec<_> =
                database.trades().into_iter().filter(|row| row.1 == *market).collect();
            crate::support::database::assert_rows(&stored, &truth, &why);
            // Of one that never traded its description says so.
            let until = truth.iter().map(|row| row.5).max().unwrap_or(NOON_US - 5 * SECOND_US);
            assert_eq!(database.complete_until(market), Some(until / SECOND_US), "{why}");
        }
        markets.extend(these);
    }
    assert_eq!(database.raw_counts().0, 4 * 6_001);
}

fn trade(market: &str, id: &str, created_us: i64) -> Trade {
    let mut trade = seeded_trades(9, market, 1, 0, 1_000_000).remove(0);
    id.clone_into(&mut trade.trade_id);
    trade.created_us = created_us;
    trade
}

fn new_and_late_trades_are_added_and_nothing_else(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(2, "KXA", 1_500, until - HOUR_US, until));
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.assert_complete(&["KXA"], "first");
    bench.advance(60 * SECOND_US);
    bench.exchange.add(trade("KXA", "late-90s", NOON_US - 90 * SECOND_US));
    bench.exchange.add(trade("KXA", "late-6s", NOON_US - 6 * SECOND_US));
    bench.exchange.add_all(seeded_trades(3, "KXA", 40, NOON_US, NOON_US + 50 * SECOND_US));
    bench.exchange.add(trade("KXA", "unsettled", NOON_US + 56 * SECOND_US));
    assert_eq!(bench.run("KXA", &[]), 0);
    let ingested =
        database.number("select events_ingested as x from ingestion_runs where run_id = 2");
    assert_eq!(ingested, 43, "exactly the new and the late ones");
    let settled = NOON_US / SECOND_US + 55;
    assert_eq!(database.complete_until("KXA"), Some(settled), "the youngest is not claimed yet");
    bench.advance(60 * SECOND_US);
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.assert_complete(&["KXA"], "third");
    let ingested =
        database.number("select events_ingested as x from ingestion_runs where run_id = 3");
    assert_eq!(ingested, 0, "and nothing twice");
    assert_eq!(database.complete_until("KXA"), Some(settled + 1), "now it is");
}

fn growth_between_pages_neither_repeats_nor_skips(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(4, "KXA", 5_500, until - HOUR_US, until));
    bench.exchange.before_each_page(|world, number| {
        world.advance(SECOND_US);
        let now = world.now_us();
        for n in 0..7 {
            world.add(trade("KXA", &format!("grown-{number}-{n}"), now - 3 * SECOND_US + n));
        }
    });
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.exchange.before_each_page(|_, _| {});
    bench.advance(20 * SECOND_US);
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.assert_complete(&["KXA"], "with everything that came in between");
}

fn since_bounds_the_first_walk_and_all_later_ones(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for (id, seconds_ago) in [("old", 91), ("edge", 90), ("new", 30)] {
        bench.exchange.add(trade("KXA", id, NOON_US - seconds_ago * SECOND_US));
    }
    let since = kalshi_ingest::domain::time::Timestamp::from_micros(NOON_US - 90 * SECOND_US);
    let flags = ["--since", &since.to_string()];
    let ids = || -> Vec<String> { database.trades().into_iter().map(|row| row.0).collect() };
    assert_eq!(bench.run("KXA", &flags), 0);
    assert_eq!(ids(), ["edge", "new"], "from the instant itself on");
    assert_eq!(bench.run("KXA", &flags), 0);
    assert_eq!(ids(), ["edge", "new"], "the overlap reaches below it but keeps nothing from there");
}

fn trades_on_window_edges_are_stored_once(database: &Database) {
    let bench = Bench::new(database, Rules { max_ts: MaxTs::Exclusive, ..Rules::default() });
    // Claims end at noon minus five seconds, then ten seconds later each.
    for pass in 0..5 {
        for n in if pass == 0 { -30..0 } else { pass * 10 - 10..pass * 10 } {
            for (tie, micros) in [("a", 0), ("b", 0), ("c", 1), ("d", 999_999)] {
                let id = format!("edge-{:02}-{tie}", n + 30);
                bench.exchange.add(trade("KXA", &id, NOON_US + n * SECOND_US + micros));
            }
        }
        assert_eq!(bench.run("KXA", &["--overlap", "0s"]), 0, "pass {pass}");
        bench.assert_complete(&["KXA"], &format!("pass {pass}: without any overlap"));
        let until = NOON_US / SECOND_US + pass * 10 - 5;
        assert_eq!(database.complete_until("KXA"), Some(until), "pass {pass}");
        bench.advance(10 * SECOND_US);
    }
}

fn a_pass_out_of_time_is_continued_where_it_stopped(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(5, "KXA", 12_000, until - HOUR_US, until));
    // Ten requests a second: a pass of half a second sees about half of the twelve pages.
    let slow = ["--requests-per-second", "10", "--deadline", "500ms"];
    let mut asked = 0;
    let mut passes = 0;
    while database.complete_until("KXA").is_none() {
        assert_eq!(bench.run("KXA", &slow), 0, "inside the SLA an unfinished walk is no failure");
        asked += bench.requests();
        passes += 1;
        let failures = database.number("select failures as x from ingestion_checkpoints");
        assert_eq!(failures, 0, "our own deadline is no trouble of the exchange's");
        assert!(passes < 20);
    }
    assert!(passes >= 2, "one pass was not enough");
    assert!(asked <= 14, "{asked} requests for 12 pages: none is read twice");
    bench.assert_complete(&["KXA"], "over several passes");
}

fn a_checkpoint_moved_back_by_hand_is_taken_up(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(5, "KXA", 300, until - HOUR_US, until));
    assert_eq!(bench.run("KXA", &[]), 0);
    database
        .execute("delete from prediction_market_trades where traded_at > '2026-07-25T16:50:00Z'");
    // With a fraction, as `now() - interval` leaves one.
    let back = "update ingestion_checkpoints set complete_until = '2026-07-25T16:49:59.123456Z'";
    database.execute(back);
    assert_eq!(bench.run("KXA", &[]), 0);
    crate::support::database::assert_rows(&database.trades(), &bench.truth(&["KXA"]), "healed");
    let newest = bench.truth(&["KXA"]).iter().map(|row| row.5).max().unwrap();
    assert_eq!(database.complete_until("KXA"), Some(newest / SECOND_US));
}

fn those_that_fail_do_not_keep_the_others_waiting(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add(trade("KXB", "one", NOON_US - 60 * SECOND_US));
    assert_eq!(bench.run("KXA,KXB,KXC", &[]), 0);
    database.execute("update ingestion_checkpoints set failures = 3 where market_ticker = 'KXA'");
    bench.exchange.forget_requests();
    bench.advance(SECOND_US);
    assert_eq!(bench.run("KXA,KXB,KXC", &["--workers", "1"]), 0);
    let order: Vec<String> = bench
        .exchange
        .requests()
        .iter()
        .filter_map(|asked| asked.param("ticker").map(ToOwned::to_owned))
        .collect();
    assert_eq!(order, ["KXB", "KXC", "KXA"]);
}

fn a_skewed_clock_does_no_harm(database: &Database) {
    for (market, skew_us) in [("KXAHEAD", 2 * HOUR_US), ("KXBEHIND", -2 * HOUR_US)] {
        let bench = Bench::new(database, Rules::default());
        bench.exchange.set_offset_us(skew_us);
        let now = bench.exchange.now_us();
        bench.exchange.add_all(seeded_trades(
            6,
            market,
            1_200,
            now - HOUR_US,
            now - 10 * SECOND_US,
        ));
        assert_eq!(bench.run(market, &[]), 0, "{market}: no false breach");
        let stored = database.trades().into_iter().filter(|row| row.1 == market).count();
        assert_eq!(stored, 1_200, "{market}");
        let until = database.complete_until(market).unwrap();
        let newest = bench.truth(&[market]).iter().map(|row| row.5).max().unwrap();
        assert_eq!(until, newest / SECOND_US, "{market}: what was shown");
    }
}

fn an_answer_from_the_future_loses_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let now = bench.exchange.now_us();
    bench.exchange.add_all(seeded_trades(6, "KXA", 1_200, now - HOUR_US, now - 10 * SECOND_US));
    bench.exchange.set_now(now + 24 * HOUR_US);
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.exchange.set_now(now);
    let newest = bench.truth(&["KXA"]).iter().map(|row| row.5).max().unwrap();
    assert_eq!(database.complete_until("KXA"), Some(newest / SECOND_US), "no date is claimed");
    for id in ["a", "b"] {
        bench.exchange.add(trade("KXA", id, bench.exchange.now_us() - 6 * SECOND_US));
        assert_eq!(bench.run("KXA", &[]), 0);
        bench.assert_complete(&["KXA"], "found all the same");
    }
    // Without any pass nobody looks, and the wrong claim does not hide that.
    bench.advance(1_100_000);
    bench.exchange.random_faults(1, 1_000, &[Fault::Status(503)]);
    let flags = ["--sla", "1s", "--settle", "0s", "--deadline", "1s"];
    assert_eq!(bench.run("KXA", &flags), 3);
}

fn an_exchange_without_a_date_is_read_by_our_clock(database: &Database) {
    let bench = Bench::new(database, Rules { date_header: false, ..Rules::default() });
    bench.run_by_the_machine();
    let now = bench.exchange.now_us();
    bench.exchange.add_all(seeded_trades(7, "KXA", 50, now - HOUR_US, now - 10 * SECOND_US));
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.assert_complete(&["KXA"], "by our own clock");
}

fn rows_of_other_markets_are_left_out(database: &Database) {
    let bench = Bench::new(
        database,
        Rules { malformed_cursor: MalformedCursor::Refused, ..Rules::default() },
    );
    bench.exchange.add(trade("KXA", "ours", NOON_US - 60 * SECOND_US));
    let foreign = trade("KXB", "theirs", NOON_US - 61 * SECOND_US);
    bench.exchange.add_event("KXA", foreign.created_us, "theirs", foreign.json());
    assert_eq!(bench.run("KXA", &[]), 0);
    let ids: Vec<String> = database.trades().into_iter().map(|row| row.0).collect();
    assert_eq!(ids, ["ours"]);
    assert_eq!(database.raw_counts(), (1, 0));
}

fn a_second_pass_at_once_reads_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let now = bench.exchange.now_us();
    bench.exchange.add(trade("KXA", "one", now - 60 * SECOND_US));
    let held = database.open().try_lock("run-0-of-1").unwrap().unwrap();
    assert_eq!(bench.run("KXA", &[]), 0, "a market selected just now is not stale");
    assert_eq!(bench.requests(), 0);
    bench.advance(1_100_000);
    assert_eq!(bench.run("KXA", &["--sla", "1s", "--settle", "0s"]), 3, "but the SLA is judged");
    assert_eq!(bench.requests(), 0);
    drop(held);
    assert!(database.trades().is_empty());
}

fn many_markets_share_workers_and_commits(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let markets: Vec<String> = (0..120).map(|n| format!("KXM-{n:03}")).collect();
    let until = NOON_US - 10 * SECOND_US;
    for (n, market) in markets.iter().enumerate() {
        bench.exchange.add_all(seeded_trades(8, market, n * 3, until - HOUR_US, until));
    }
    assert_eq!(bench.run(&markets.join(","), &["--workers", "16"]), 0);
    let names: Vec<&str> = markets.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "120 markets");
    let levels = database
        .number("select count(*) as x from ingestion_checkpoints where complete_until is not null");
    assert_eq!(levels, 120);
}
