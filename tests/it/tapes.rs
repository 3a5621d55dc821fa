//! The tape: everything from one walk, and many markets from it for the price of a few.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::retry::Jitter;
use kalshi_simulator::{Asked, Fault, Market, Rules, Trade, seeded_trades};

use crate::kills::kill_at_work;
use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, on_both_stores};
use crate::support::round_trips;

on_both_stores! {
    pooled:
    a_thousand_level_markets_take_a_dozen_requests,
    kills_and_a_late_joiner_cost_nothing,
    the_whole_exchange_is_one_checkpoint,
    after_an_outage_the_oldest_slice_is_complete_first,
    a_market_beside_the_tape_has_its_whole_history,
    one_unreadable_event_on_the_tape_is_kept_once,
    a_tape_that_makes_no_sense_is_replaced_market_by_market,
}

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;

/// An exchange with these many open markets of one series.
fn bench_with_markets(database: &Database, count: usize) -> (Bench<'_>, Vec<String>) {
    let bench = Bench::new(database, Rules::default());
    let markets: Vec<String> = (0..count).map(|n| format!("KXT-A{}-{n}", n / 40)).collect();
    for (n, market) in markets.iter().enumerate() {
        let event = format!("KXT-A{}", n / 40);
        bench.exchange.add_market(Market::new(market, &event, NOON_US - DAY_US, NOON_US + DAY_US));
    }
    (bench, markets)
}

/// `count` trades of these markets in turn, spread over the span before `until_us`.
fn trades(seed: u64, markets: &[String], count: usize, from_us: i64, until_us: i64) -> Vec<Trade> {
    let any = seeded_trades(seed, "any", count, from_us, until_us);
    let market = |n: usize| markets[(n * 7 + n / 3) % markets.len()].clone();
    any.into_iter().enumerate().map(|(n, trade)| Trade { ticker: market(n), ..trade }).collect()
}

fn names(markets: &[String]) -> Vec<&str> {
    markets.iter().map(String::as_str).collect()
}

/// No trade that is claimed is missing, whatever became of the passes so far.
#[track_caller]
fn assert_claims_hold(bench: &Bench<'_>, why: &str) {
    let stored = bench.database.trade_ids();
    let reports = bench
        .database
        .open()
        .report(kalshi_ingest::store::Reported::All, Timestamp::from_seconds(0))
        .unwrap();
    let of = |market: &str| match market {
        "*" => bench.exchange.all_trades(),
        market => bench.exchange.trades(market),
    };
    for row in reports.into_iter().map(|report| report.checkpoint) {
        let Some(until) = row.complete_until else { continue };
        for trade in of(row.scope.as_str()) {
            let at = Timestamp::from_micros(trade.created_us);
            let is_claimed = row.complete_from.is_none_or(|from| from <= at) && at < until;
            assert!(
                !is_claimed || stored.contains(&trade.trade_id),
                "{why}: {} claims {until} without {at}",
                row.scope
            );
        }
    }
}

fn a_thousand_level_markets_take_a_dozen_requests(database: &Database) {
    let (bench, markets) = bench_with_markets(database, 1_500);
    let (ours, _) = markets.split_at(1_000);
    let selected = ours.join(",");
    let busy = |seed, from_us, until_us| {
        bench.exchange.add_all(trades(seed, &markets, 3_000, from_us, until_us));
    };
    busy(1, NOON_US - 2 * MINUTE_US, NOON_US - 10 * SECOND_US);
    assert_eq!(bench.run(&selected, &[]), 0);
    let alone = bench.requests();
    assert_eq!(alone, 1_001, "each is new and read alone; and the newest trade of all");
    bench.assert_complete(&names(ours), "the first pass");
    let mut asked = Vec::new();
    for minute in 1..=3_i64 {
        let now = NOON_US + minute * MINUTE_US;
        bench.set_now(now);
        busy(10 + minute.cast_unsigned(), now - MINUTE_US - 10 * SECOND_US, now - 10 * SECOND_US);
        bench.exchange.forget_requests();
        // The tape goes on while it is read.
        let mut random = Jitter::seeded(minute.cast_unsigned());
        let market = markets[500].clone();
        bench.exchange.before_each_page(move |world, number| {
            let at = now - 1 + i64::try_from(number).unwrap() % 1_000;
            let id = format!("head-{number}-{}", random.next_fraction());
            world.add(Trade {
                created_us: at,
                trade_id: id,
                ..seeded_trades(1, &market, 1, 0, 1)[0].clone()
            });
        });
        assert_eq!(bench.run(&selected, &[]), 0);
        asked.push(bench.exchange.requests().len());
        assert_claims_hold(&bench, "after a pass");
    }
    assert!(asked.iter().all(|requests| *requests <= 12), "{asked:?} instead of {alone}");
    bench.exchange.before_each_page(|_, _| {});
    bench.advance(MINUTE_US);
    assert_eq!(bench.run(&selected, &[]), 0);
    bench.assert_complete(&names(ours), "and nothing of the five hundred others");
}

#[test]
fn a_thousand_markets_take_hardly_more_round_trips_than_one() {
    let database = Database::postgres();
    let (bench, markets) = bench_with_markets(&database, 1_000);
    // Below two thousand in the last pass, which reads all of them: from there on a commit asks once more.
    bench.exchange.add_all(trades(1, &markets, 450, NOON_US - MINUTE_US, NOON_US - 10 * SECOND_US));
    let count = Arc::new(AtomicUsize::new(0));
    let url = round_trips::counted(&database.url, &count);
    let pass = |markets: &[String], seed| {
        bench.advance(MINUTE_US);
        let now = bench.exchange.now_us();
        let from = now - 50 * SECOND_US;
        bench.exchange.add_all(trades(seed, markets, 450, from, now - 10 * SECOND_US));
        count.store(0, Ordering::SeqCst);
        assert_eq!(bench.run(&markets.join(","), &["--database-url", &url]), 0);
        count.load(Ordering::SeqCst)
    };
    pass(&markets, 2);
    let one = pass(&markets[..1], 3);
    let thousand = pass(&markets, 4);
    assert!(thousand <= one + 3, "{thousand} round trips for a thousand, {one} for one");
}

fn kills_and_a_late_joiner_cost_nothing(database: &Database) {
    let (bench, markets) = bench_with_markets(database, 120);
    let (first, joiners) = markets.split_at(99);
    let mut selected = first.to_vec();
    bench.exchange.add_all(trades(
        1,
        &markets,
        5_000,
        NOON_US - 10 * MINUTE_US,
        NOON_US - 10 * SECOND_US,
    ));
    assert_eq!(bench.run(&selected.join(","), &[]), 0);
    let mut random = Jitter::seeded(7);
    let (mut kills, mut tape_pages) = (0, 0);
    for round in 0..60_u64 {
        let now = bench.exchange.now_us() + MINUTE_US;
        bench.set_now(now);
        // Above everything that the pass before can have claimed.
        let until = now - 4 * SECOND_US;
        bench.exchange.add_all(trades(100 + round, &markets, 12_000, until - MINUTE_US, until));
        if round == 5 {
            selected.push(joiners[0].clone());
        }
        let mut child = bench
            .command(&selected.join(","), &["-q", "--overlap", "10s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let is_killed = kill_at_work(&bench, &mut child, &mut random, 12.0);
        kills += usize::from(is_killed);
        assert_claims_hold(&bench, "after a kill");
        let is_tape =
            |asked: &&Asked| asked.path.ends_with("/trades") && asked.param("ticker").is_none();
        tape_pages += bench.exchange.requests().iter().filter(is_tape).count();
        bench.exchange.forget_requests();
        if kills >= 10 {
            break;
        }
    }
    assert!(kills >= 10, "only {kills} were killed at work");
    assert!(tape_pages > kills, "the tape was read: {tape_pages} pages");
    bench.advance(MINUTE_US);
    let exit = bench.run(&selected.join(","), &[]);
    assert_eq!(exit, 0);
    bench.assert_complete(&names(&selected), "after all kills");
}

fn the_whole_exchange_is_one_checkpoint(database: &Database) {
    let (bench, markets) = bench_with_markets(database, 300);
    let old = trades(1, &markets, 500, NOON_US - 90 * MINUTE_US, NOON_US - 61 * MINUTE_US);
    bench.exchange.add_all(old.clone());
    bench.exchange.add_all(trades(
        2,
        &markets,
        4_000,
        NOON_US - 59 * MINUTE_US,
        NOON_US - 10 * SECOND_US,
    ));
    assert_eq!(bench.pass(&["--all"]), 0);
    let everything = names(&markets);
    let mut truth = bench.truth(&everything);
    truth.retain(|row| old.iter().all(|trade| trade.trade_id != row.0));
    crate::support::database::assert_rows(&database.trades(), &truth, "since an hour ago");
    assert_eq!(database.number("select count(*) as x from ingestion_checkpoints"), 1);
    bench.exchange.forget_requests();
    bench.advance(MINUTE_US);
    bench.exchange.add_all(trades(3, &markets, 900, NOON_US, NOON_US + 50 * SECOND_US));
    assert_eq!(bench.pass(&["--all"]), 0);
    assert!(bench.exchange.requests().len() <= 2, "what is new and the overlap");
    assert_claims_hold(&bench, "the second pass");
    let output = bench.process_of("status", &["--all", "--check"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.lines().any(|line| line.starts_with("* ") && line.contains("4,900")), "{table}");
}

fn after_an_outage_the_oldest_slice_is_complete_first(database: &Database) {
    let (bench, markets) = bench_with_markets(database, 50);
    bench.exchange.add_all(trades(1, &markets, 100, NOON_US - MINUTE_US, NOON_US - 10 * SECOND_US));
    assert_eq!(bench.pass(&["--all"]), 0);
    // Two hours without a pass.
    let now = NOON_US + 120 * MINUTE_US;
    bench.set_now(now);
    bench.exchange.add_all(trades(
        2,
        &markets,
        60_000,
        NOON_US - 10 * SECOND_US,
        now - 10 * SECOND_US,
    ));
    let mut complete = database.complete_until("*").unwrap();
    let mut exits = Vec::new();
    for pass in 0..20 {
        bench.exchange.forget_requests();
        // Some twenty pages a pass: three to four slices of ten minutes.
        let slow = ["--deadline", "1s", "--requests-per-second", "20", "--workers", "1"];
        let exit = bench.pass(&[&["--all"], &slow[..]].concat());
        exits.push(exit);
        let until = database.complete_until("*").unwrap();
        assert!(until > complete, "pass {pass} leaves a slice complete");
        complete = until;
        assert_claims_hold(&bench, &format!("pass {pass}"));
        let bounds: Vec<i64> = bench
            .exchange
            .requests()
            .iter()
            .filter_map(|asked| asked.param("max_ts")?.parse().ok())
            .collect();
        assert!(bounds.is_sorted(), "oldest first, pass {pass}: {bounds:?}");
        if exit == 0 {
            break;
        }
    }
    assert!(exits.len() > 2 && exits[0] == 3, "several passes, stale until the end: {exits:?}");
    assert_eq!(exits.last(), Some(&0));
    bench.assert_complete(&names(&markets), "caught up");
}

fn a_market_beside_the_tape_has_its_whole_history(database: &Database) {
    let (bench, markets) = bench_with_markets(database, 20);
    let from = NOON_US - DAY_US / 2;
    bench.exchange.add_all(trades(1, &markets, 3_000, from, NOON_US - 10 * SECOND_US));
    let flags = ["--all", "--market", &markets[3]];
    assert_eq!(bench.pass(&flags), 0);
    for minute in 0..2 {
        let from = NOON_US + minute * MINUTE_US;
        bench.exchange.forget_requests();
        bench.advance(MINUTE_US);
        let seed = 2 + minute.unsigned_abs();
        bench.exchange.add_all(trades(seed, &markets, 300, from, from + 50 * SECOND_US));
        assert_eq!(bench.pass(&flags), 0);
    }
    assert_eq!(bench.requests(), 1, "once it is level with the tape it rides on it");
    assert_claims_hold(&bench, "both");
    let ours = bench.truth(&[&markets[3]]);
    let mut stored = database.trades();
    stored.retain(|row| row.1 == markets[3]);
    crate::support::database::assert_rows(&stored, &ours, "from its first trade on");
}

fn one_unreadable_event_on_the_tape_is_kept_once(database: &Database) {
    let (bench, markets) = bench_with_markets(database, 20);
    bench.exchange.add_all(trades(1, &markets, 50, NOON_US - MINUTE_US, NOON_US - 10 * SECOND_US));
    let at = NOON_US - 30 * SECOND_US;
    let strange = format!("{{\"ticker\":\"{}\",\"trade_id\":\"odd\",\"count_fp\":7}}", markets[1]);
    bench.exchange.add_event(&markets[1], at, "odd", strange);
    for pass in 0..3 {
        assert_eq!(bench.pass(&["--all"]), 0, "pass {pass}");
        bench.advance(10 * SECOND_US);
    }
    assert_eq!(database.raw_counts(), (50, 1));
    let query = "select market_ticker as x from raw_kalshi_trade_events where rejected is not null";
    assert_eq!(database.texts(query), [Some(markets[1].clone())], "under its own market");
}

fn a_tape_that_makes_no_sense_is_replaced_market_by_market(database: &Database) {
    let (bench, markets) = bench_with_markets(database, 40);
    bench.exchange.add_all(trades(1, &markets, 80, NOON_US - MINUTE_US, NOON_US - 10 * SECOND_US));
    assert_eq!(bench.run(&markets.join(","), &[]), 0);
    for (faults, expected) in [
        ([Fault::None, Fault::Unordered], 0),
        ([Fault::None, Fault::RepeatCursor], 0),
        // The exchange refused: a person has to look, though nothing is missing.
        ([Fault::Status(400), Fault::None], 4),
    ] {
        bench.advance(MINUTE_US);
        let now = bench.exchange.now_us();
        let (from, until) = (now - 50 * SECOND_US, now - 10 * SECOND_US);
        bench.exchange.add_all(trades(u64::try_from(now).unwrap(), &markets, 1_200, from, until));
        bench.requests();
        bench.exchange.script(faults);
        assert_eq!(bench.run(&markets.join(","), &["--overlap", "5s"]), expected, "{faults:?}");
        let asked = bench.requests();
        assert!((40..=45).contains(&asked), "{faults:?}: {asked} pages");
        bench.assert_complete(&names(&markets), &format!("{faults:?}"));
    }
}
