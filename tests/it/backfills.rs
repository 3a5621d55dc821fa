//! Backfills across both tiers: exact whatever happens, and nothing finished is read twice.

mod edges;
mod witnesses;

use std::process::Stdio;
use std::time::Duration;

use kalshi_ingest::retry::Jitter;
use kalshi_simulator::{Asked, Fault, Market, Rules, Trade, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, assert_rows, on_both_stores};

on_both_stores! {
    pooled:
    a_window_across_the_cutoff_is_exact,
    ninety_days_survive_kills_and_a_moving_cutoff,
    the_tape_is_filled_by_the_hour_whatever_kills_it,
    what_the_archive_grows_over_is_read_again,
    an_archived_gap_of_the_tape_is_read_for_everybody,
    a_look_at_the_cutoff_confirms_nothing_read_after_it,
    a_finished_slice_is_read_again_only_by_force,
    above_the_newest_trade_everything_is_stored_and_nothing_finished,
    a_deadline_keeps_what_was_read,
    many_short_markets_are_filled_from_the_tape,
    a_dry_run_says_what_it_would_do_and_does_nothing,
    an_unknown_market_is_told_and_the_others_are_filled,
    an_exchange_that_fails_leaves_it_incomplete,
    it_runs_beside_the_passes,
}

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
/// Midnight, sixty days before the day of noon.
const CUTOFF_S: i64 = NOON_US / DAY_US * 86_400 - 60 * 86_400;

/// `2026-07-25`, so many days before noon's.
fn day(before: i64) -> String {
    instant(NOON_US / DAY_US * DAY_US - before * DAY_US)
}

fn instant(us: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string()
}

/// An exchange whose archive ends sixty days ago, with markets that traded for so many days.
fn bench_with<'a>(database: &'a Database, markets: &[&str], trades: usize, days: i64) -> Bench<'a> {
    let rules = Rules { cutoff_s: CUTOFF_S, ..Rules::default() };
    let bench = Bench::new(database, rules);
    for (market, seed) in markets.iter().zip(1..) {
        let from = NOON_US - days * DAY_US;
        bench.exchange.add_market(Market::new(market, market, from, NOON_US + DAY_US));
        bench.exchange.add_all(seeded_trades(seed, market, trades, from, NOON_US - HOUR_US));
    }
    bench
}

/// The exchange trades on above the windows of these tests: what lies in them is settled.
fn trade_on(bench: &Bench<'_>) {
    bench.exchange.add_market(Market::new("KXON", "KXON", NOON_US - DAY_US, NOON_US + DAY_US));
    let minute = HOUR_US / 60;
    bench.exchange.add_all(seeded_trades(99, "KXON", 1, NOON_US - 2 * minute, NOON_US - minute));
}

fn backfill(bench: &Bench<'_>, flags: &[&str]) -> u8 {
    bench.main("backfill", flags)
}

fn pages(bench: &Bench<'_>) -> usize {
    // Not those for the newest trade alone.
    let is_page =
        |asked: &&Asked| asked.path.ends_with("/trades") && asked.param("limit") == Some("1000");
    let count = bench.exchange.requests().iter().filter(is_page).count();
    bench.exchange.forget_requests();
    count
}

/// What is stored is exactly the exchange's trades of these markets in `[from, until)`.
#[track_caller]
fn assert_window(bench: &Bench<'_>, markets: &[&str], from_us: i64, until_us: i64, why: &str) {
    let mut truth = bench.truth(markets);
    truth.retain(|row| (from_us..until_us).contains(&row.5));
    assert_rows(&bench.database.trades(), &truth, why);
}

fn a_window_across_the_cutoff_is_exact(database: &Database) {
    let bench = bench_with(database, &["KXA", "KXB"], 5_000, 90);
    let (from, until) = (day(80), day(10));
    let flags = ["--market", "KXA,KXB", "--from", &from, "--to", &until];
    assert_eq!(backfill(&bench, &flags), 0);
    let midnight = NOON_US / DAY_US * DAY_US;
    let (from_us, until_us) = (midnight - 80 * DAY_US, midnight - 10 * DAY_US);
    assert_window(&bench, &["KXA", "KXB"], from_us, until_us, "both tiers");
    let tiers = |path: &str| {
        bench.exchange.requests().iter().filter(|asked| asked.path.ends_with(path)).count()
    };
    assert!(tiers("/historical/trades") > 2 && tiers("/markets/trades") > 2, "both were asked");
    let checkpoints = "select count(*) as x from ingestion_checkpoints";
    assert_eq!(database.number(checkpoints), 0, "what the passes go by is left alone");
    let ingested =
        "select sum(events_ingested) as x from ingestion_windows where status = 'complete'";
    assert_eq!(database.number(ingested), i64::try_from(database.trades().len()).unwrap());
}

/// Runs a backfill slowly and kills it a moment after some page; whether it was still at work.
fn killed(bench: &Bench<'_>, flags: &[&str], random: &mut Jitter) -> bool {
    // Two requests at once and then three a second: a page or two, and far from the end.
    let slow = [flags, &["--requests-per-second", "4"]].concat();
    let mut command = bench.command_of("backfill", &slow);
    let before = bench.exchange.requests().len();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_page = |asked: &Asked| asked.path.ends_with("/trades");
    while !bench.exchange.requests()[before..].iter().any(is_page) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(400).mul_f64(random.next_fraction()));
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

fn ninety_days_survive_kills_and_a_moving_cutoff(database: &Database) {
    let markets = ["KXA", "KXB"];
    let bench = bench_with(database, &markets, 15_000, 90);
    trade_on(&bench);
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--market", "KXA,KXB", "--from", &day(91), "--to", &until, "-q", "--workers", "2"];
    let mut random = Jitter::seeded(3);
    let (mut kills, mut asked) = (0, 0);
    for _ in 0..8 {
        kills += usize::from(killed(&bench, &flags, &mut random));
        asked += pages(&bench);
        if kills % 3 == 0 {
            // The archive moves on by a day, somewhere among the slices.
            bench.exchange.change(|world| world.rules.cutoff_s += 86_400);
        }
    }
    assert!(kills >= 6, "only {kills} were killed at work");
    assert_eq!(backfill(&bench, &flags), 0);
    asked += pages(&bench);
    bench.assert_complete(&markets, "after all kills");
    // Each kill costs what was fetched and not stored: a batch, the channel, one a reader. The strips that
    // the cutoff passed over come on top.
    let once = 2 * 15_000 / 1_000 + 2 * 4;
    assert!(asked <= once + kills * (10 + 8 + 1 + 2) + 20, "{asked} pages, {kills} kills");
    assert_eq!(backfill(&bench, &flags), 0);
    assert_eq!(pages(&bench), 0, "finished slices are not read again");
}

fn the_tape_is_filled_by_the_hour_whatever_kills_it(database: &Database) {
    let bench = bench_with(database, &[], 0, 90);
    let markets: Vec<String> = (0..200).map(|n| format!("KXT-{n}")).collect();
    let (from, until) = (NOON_US - 20 * HOUR_US, NOON_US - HOUR_US);
    let any = seeded_trades(5, "any", 60_000, from, until);
    bench.exchange.add_all(
        any.into_iter()
            .zip((0..200).cycle())
            .map(|(trade, n): (Trade, usize)| Trade { ticker: markets[n].clone(), ..trade }),
    );
    // The archive ends in the middle of it.
    bench.exchange.change(|world| world.rules.cutoff_s = (NOON_US - 10 * HOUR_US) / SECOND_US);
    let flags = ["--all", "--from", &instant(from), "--to", &instant(until), "-q"];
    let mut random = Jitter::seeded(4);
    let kills = (0..6).filter(|_| killed(&bench, &flags, &mut random)).count();
    assert!(kills >= 4, "only {kills} were killed at work");
    assert_eq!(backfill(&bench, &flags), 0);
    let names: Vec<&str> = markets.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "the whole tape");
    let slices = "select count(*) as x from ingestion_windows where status = 'complete' and market_ticker = '*'";
    assert_eq!(
        database.number(slices),
        21,
        "twenty hours are touched, and one is cut at the cutoff"
    );
}

fn what_the_archive_grows_over_is_read_again(database: &Database) {
    let bench = bench_with(database, &["KXA"], 6_000, 90);
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--market", "KXA", "--from", &day(89), "--to", &until, "--workers", "1"];
    // The cutoff steps over three days while the live tier is being read.
    let mut is_moved = false;
    bench.exchange.before_each_page(move |world, number| {
        if number == 4 && !is_moved {
            is_moved = true;
            world.rules.cutoff_s += 3 * 86_400;
        }
    });
    let output = bench.process_of("backfill", &flags);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let from = NOON_US / DAY_US * DAY_US - 89 * DAY_US;
    assert_window(&bench, &["KXA"], from, NOON_US - HOUR_US, "nothing fell between the tiers");
    assert!(stderr(&output).contains("the archive has grown"), "{}", stderr(&output));
}

fn an_archived_gap_of_the_tape_is_read_for_everybody(database: &Database) {
    let bench = bench_with(database, &[], 0, 90);
    let from = NOON_US - 6 * HOUR_US;
    let names: Vec<String> = (0..50).map(|n| format!("KXS-A-{n}")).collect();
    for name in &names {
        bench.exchange.add_market(Market::new(name, "KXS-A", from, NOON_US + HOUR_US));
    }
    let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
    all.push("KXOTHER-1");
    for (market, seed) in all.iter().zip(1..) {
        bench.exchange.add_all(seeded_trades(seed, market, 30, from, NOON_US - HOUR_US));
    }
    database.execute(
        "insert into ingestion_runs (command, started_at, tape_trades, tape_seconds)
         values ('run', '2026-01-01T00:00:00.000000Z', 100, 1000.0)",
    );
    let (begin, until) = (instant(from), instant(NOON_US - HOUR_US));
    let everything = ["--all", "--from", &begin, "--to", &until, "--deadline", "2s"];
    let series = ["--series", "KXS", "--from", &begin, "--to", &until];
    // Read, and then nobody says where the archive ends: nothing is complete yet.
    let silence = [Fault::None, Fault::None].into_iter().chain([Fault::Status(503); 20]);
    bench.exchange.script_for("/historical/cutoff", silence);
    assert_eq!(backfill(&bench, &everything), 6);
    bench.exchange.clear_faults();
    database.execute("delete from prediction_market_trades");
    // The archive grows over all of it; another selection comes by first.
    bench.exchange.change(|world| world.rules.cutoff_s = NOON_US / SECOND_US);
    assert_eq!(backfill(&bench, &series), 0);
    assert_eq!(backfill(&bench, &everything[..5]), 0);
    let mut truth = bench.truth(&all);
    truth.retain(|row| row.5 < NOON_US - HOUR_US);
    assert_rows(&bench.database.trades(), &truth, "the strip is everybody's");
}

fn a_look_at_the_cutoff_confirms_nothing_read_after_it(database: &Database) {
    let bench = bench_with(database, &["KXA"], 900, 30);
    let (from, until) = (NOON_US - 31 * DAY_US, NOON_US - HOUR_US);
    let (begin, end) = (instant(from), instant(until));
    let flags = ["--market", "KXA", "--from", &begin, "--to", &end];
    // This run has looked, and asks which markets there are; meanwhile another one has read all of it from
    // the live tier, where it was not to be had any more: the archive had grown over it.
    let (asks, asked) = std::sync::mpsc::channel();
    bench.exchange.on_request(move |asked| {
        if asked.path.ends_with("/markets") {
            let _ = asks.send(());
        }
    });
    let slow = Fault::SlowBody { bytes_per_step: 100, pause_ms: 100 };
    bench.exchange.script_for("/markets", [slow]);
    let exit = std::thread::scope(|scope| {
        let (bench, begin) = (&bench, &begin);
        scope.spawn(move || {
            asked.recv().unwrap();
            bench.exchange.change(|world| world.rules.cutoff_s = until / SECOND_US);
            // Cut as any run cuts it: at multiples of thirty days.
            let month = 30 * DAY_US;
            let edge = from.div_euclid(month) * month + month;
            for (from, until) in [(from, edge), (edge, until)] {
                database.execute(&format!(
                    "insert into ingestion_windows
                     (source, market_ticker, tier, window_from, window_until, status, created_at, updated_at, version)
                     values ('kalshi', 'KXA', 'live', '{}', '{}', 'read', '{begin}', '{begin}', 1)",
                    instant(from),
                    instant(until),
                ));
            }
        });
        backfill(bench, &flags)
    });
    assert_eq!(exit, 0);
    bench.assert_complete(&["KXA"], "what was read in vain is read from the archive");
}

fn a_finished_slice_is_read_again_only_by_force(database: &Database) {
    let bench = bench_with(database, &["KXA"], 3_000, 40);
    trade_on(&bench);
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--market", "KXA", "--from", &day(41), "--to", &until];
    assert_eq!(backfill(&bench, &flags), 0);
    let first = pages(&bench);
    assert!(first >= 3, "{first} pages");
    let inner = ["--market", "KXA", "--from", &day(30), "--to", &day(20)];
    for flags in [&flags[..], &inner] {
        assert_eq!(backfill(&bench, flags), 0);
        assert_eq!(pages(&bench), 0, "finished");
    }
    database.execute("delete from prediction_market_trades");
    assert_eq!(backfill(&bench, &[&flags[..], &["--force"]].concat()), 0);
    assert_eq!(pages(&bench), first, "all of it again");
    assert_eq!(database.trades().len(), 3_000);
    // Also what another window has finished.
    database.execute("delete from prediction_market_trades");
    assert_eq!(backfill(&bench, &[&inner[..], &["--force"]].concat()), 0);
    let midnight = NOON_US / DAY_US * DAY_US;
    assert_window(&bench, &["KXA"], midnight - 30 * DAY_US, midnight - 20 * DAY_US, "inside of it");
}

/// An exchange that stands still says nothing of what comes after its newest trade.
fn above_the_newest_trade_everything_is_stored_and_nothing_finished(database: &Database) {
    let bench = bench_with(database, &["KXA"], 3_000, 40);
    let until = instant(NOON_US - HOUR_US + 10 * HOUR_US / 60);
    let flags = ["--market", "KXA", "--from", &day(41), "--to", &until];
    assert_eq!(backfill(&bench, &flags), 0);
    bench.assert_complete(&["KXA"], "all that is shown");
    let newest = bench.truth(&["KXA"]).iter().map(|row| row.5).max().unwrap();
    // Nor what lies just below it.
    let below = instant((newest - 60 * SECOND_US) / SECOND_US * SECOND_US);
    assert_eq!(backfill(&bench, &[&flags[..5], &[&below]].concat()), 0);
    let settled = instant(newest - 119 * SECOND_US);
    let above =
        format!("select count(*) as x from ingestion_windows where window_until > '{settled}'");
    assert_eq!(database.number(&above), 0, "late trades may still join the newest");
    pages(&bench);
    // What was not shown yet is found by the next one, which reads the second that is settled by now and what lies
    // above it.
    let late = newest + SECOND_US;
    bench.exchange.add_all(seeded_trades(77, "KXA", 1, late, late + SECOND_US));
    assert_eq!(backfill(&bench, &flags), 0);
    bench.assert_complete(&["KXA"], "what was late");
    let asked = pages(&bench);
    assert!(asked <= 4, "{asked} pages");
}

fn a_deadline_keeps_what_was_read(database: &Database) {
    let bench = bench_with(database, &["KXA"], 30_000, 20);
    trade_on(&bench);
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--market", "KXA", "--from", &day(21), "--to", &until];
    // A request may take as long as is left of the deadline, and on a busy machine one takes a second.
    let slow = ["--deadline", "14s", "--requests-per-second", "1"];
    let mut exits = Vec::new();
    for _ in 0..20 {
        let before = database.trades().len();
        exits.push(backfill(&bench, &[&flags[..], &slow].concat()));
        // The last one may have nothing to do but to look where the archive ends.
        let is_further = database.trades().len() > before || exits.last() == Some(&0);
        assert!(is_further, "each run gets further: {exits:?}");
        if exits.last() == Some(&0) {
            break;
        }
    }
    assert!(exits.len() > 2 && exits[0] == 6 && exits.last() == Some(&0), "{exits:?}");
    bench.assert_complete(&["KXA"], "in the end");
    let asked = pages(&bench);
    assert!(asked <= 31 + exits.len(), "{asked} pages in {} runs", exits.len());
}

fn many_short_markets_are_filled_from_the_tape(database: &Database) {
    let bench = bench_with(database, &[], 0, 90);
    trade_on(&bench);
    let from = NOON_US - 6 * HOUR_US;
    let names: Vec<String> = (0..400).map(|n| format!("KXS-A-{n}")).collect();
    for name in &names {
        bench.exchange.add_market(Market::new(name, "KXS-A", from, NOON_US + HOUR_US));
    }
    for (market, seed) in names.iter().chain([&"KXOTHER-1".to_owned()]).zip(1..) {
        bench.exchange.add_all(seeded_trades(seed, market, 10, from, NOON_US - HOUR_US));
    }
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--series", "KXS", "--from", &instant(from), "--to", &until];
    // The tape is known to be quiet.
    database.execute(
        "insert into ingestion_runs (command, started_at, tape_trades, tape_seconds)
         values ('run', '2026-01-01T00:00:00.000000Z', 100, 100.0)",
    );
    assert_eq!(backfill(&bench, &flags), 0);
    let asked = pages(&bench);
    assert!(asked < 30, "{asked} pages of the tape instead of 400 markets");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "the series and nothing else");
    assert_eq!(backfill(&bench, &flags), 0);
    assert_eq!(pages(&bench), 0, "the group is known again");
}

fn a_dry_run_says_what_it_would_do_and_does_nothing(database: &Database) {
    let bench = bench_with(database, &["KXA"], 3_000, 90);
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--market", "KXA", "--from", &day(89), "--to", &until, "--dry-run"];
    let output = bench.process_of("backfill", &flags);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["archive", "live", "KXA", "requests", " a second"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(pages(&bench), 0, "no trade is asked for");
    for table in ["ingestion_windows", "ingestion_runs", "prediction_markets"] {
        assert_eq!(database.number(&format!("select count(*) as x from {table}")), 0, "{table}");
    }
}

fn an_unknown_market_is_told_and_the_others_are_filled(database: &Database) {
    let bench = bench_with(database, &["KXA"], 100, 10);
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--market", "KXA,KXNEVER", "--from", &day(11), "--to", &until];
    let output = bench.process_of("backfill", &flags);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("market KXNEVER"), "{}", stderr(&output));
    bench.assert_complete(&["KXA"], "the others go on");
}

fn an_exchange_that_fails_leaves_it_incomplete(database: &Database) {
    let bench = bench_with(database, &["KXA"], 3_000, 90);
    let until = instant(NOON_US - HOUR_US);
    let flags =
        ["--market", "KXA", "--from", &day(89), "--to", &until, "--deadline", "2s", "--force"];
    for (path, fault, expected) in [
        ("/historical/cutoff", Fault::Status(503), 6),
        ("/historical/trades", Fault::Status(503), 6),
        ("/historical/trades", Fault::Status(400), 4),
        ("/historical/trades", Fault::Status(403), 4),
        ("/markets/trades", Fault::Garbage, 4),
    ] {
        bench.exchange.fail_always(path, Some(fault));
        assert_eq!(backfill(&bench, &flags), expected, "{path} {fault:?}");
        bench.exchange.fail_always(path, None);
    }
    assert_eq!(backfill(&bench, &flags), 0);
    let from = NOON_US / DAY_US * DAY_US - 89 * DAY_US;
    assert_window(&bench, &["KXA"], from, NOON_US - HOUR_US, "in the end");
}

fn it_runs_beside_the_passes(database: &Database) {
    let bench = bench_with(database, &["KXA", "KXB"], 8_000, 30);
    let until = instant(NOON_US - HOUR_US);
    let flags = ["--market", "KXA,KXB", "--from", &day(31), "--to", &until, "-q"];
    let mut child = bench.command_of("backfill", &flags).spawn().unwrap();
    let mut passes = 0;
    loop {
        assert_eq!(bench.run("KXA,KXB", &[]), 0, "the passes keep their SLA");
        passes += 1;
        if child.try_wait().unwrap().is_some() {
            break;
        }
        assert!(passes < 200, "the backfill does not end");
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    bench.assert_complete(&["KXA", "KXB"], "each once");
    let is_trades = |asked: &&Asked| asked.path.ends_with("/trades");
    assert!(bench.exchange.requests().iter().filter(is_trades).count() >= 16, "both were at work");
}
