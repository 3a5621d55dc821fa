//! No single answer makes a claim: wrong dates, old answers, cut lists, holes and pauses.

use kalshi_ingest::clock::Clock as _;
use kalshi_simulator::{ExchangeStatus, Fault, Rules, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    two_servers_whose_dates_disagree_lose_nothing,
    a_date_hours_ahead_makes_no_hole_in_the_tape,
    an_exchange_that_stands_still_becomes_stale,
    a_feed_that_falls_silent_is_a_breach_and_a_pause_is_none,
    a_demo_exchange_with_a_trade_an_hour_is_fresh,
    a_silence_that_cannot_be_checked_is_judged_by_what_was_learnt,
    an_answer_from_a_cache_claims_what_it_holds,
    a_clock_of_ours_that_is_wrong_is_told,
    an_answer_without_trades_proves_nothing,
    a_list_that_is_cut_short_is_read_on,
    an_old_answer_after_a_new_one_claims_nothing,
    a_false_claim_is_lowered_and_on_record,
    what_only_the_archive_has_is_not_claimed,
    a_backfill_ends_where_the_exchange_stands_still,
}

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;

const MARKET: &[&str] = &["--market", "KXA"];
const TAPE: &[&str] = &["--all"];

fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    bench.list_markets("KXA,KXB");
    bench
}

/// Our own clock.
fn now_us(bench: &Bench<'_>) -> i64 {
    bench.clock.now().micros()
}

/// Trades of both markets in the minute before now.
fn trade(bench: &Bench<'_>, seed: u64, count: usize) {
    let now = bench.exchange.now_us();
    for market in ["KXA", "KXB"] {
        let (from, until) = (now - MINUTE_US, now - SECOND_US);
        bench.exchange.add_all(seeded_trades(seed, market, count, from, until));
    }
}

/// A minute passes, with trades, and a pass comes.
fn minute(bench: &Bench<'_>, flags: &[&str], seed: u64) -> u8 {
    bench.advance(MINUTE_US);
    trade(bench, seed, 20);
    bench.pass(flags)
}

#[track_caller]
fn assert_all_stored(bench: &Bench<'_>, flags: &[&str], why: &str) {
    if flags == TAPE {
        bench.assert_complete(&["KXA", "KXB"], why);
    } else {
        bench.assert_complete(&["KXA"], why);
    }
}

fn two_servers_whose_dates_disagree_lose_nothing(database: &Database) {
    for (name, flags) in [("a market", MARKET), ("the tape", TAPE)] {
        let database = Database::like(database);
        let bench = bench(&database);
        assert_eq!(minute(&bench, flags, 1), 0, "{name}");
        // The second one's clock is seven minutes ahead; they answer in turns.
        bench.exchange.before_each_page(|world, number| {
            let ahead = if number % 2 == 0 { 7 * MINUTE_US } else { -7 * MINUTE_US };
            world.advance(ahead);
        });
        let mut last = 0;
        for seed in 2..30 {
            bench.clock.turn(MINUTE_US);
            let now = now_us(&bench);
            for market in ["KXA", "KXB"] {
                let trades = seeded_trades(seed, market, 20, now - MINUTE_US, now - SECOND_US);
                bench.exchange.add_all(trades);
            }
            bench.exchange.set_now(now);
            last = bench.pass(flags);
        }
        bench.exchange.before_each_page(|_, _| {});
        bench.exchange.set_now(now_us(&bench));
        assert_eq!(minute(&bench, flags, 40), 0, "{name}: after {last}");
        assert_all_stored(&bench, flags, name);
    }
}

fn a_date_hours_ahead_makes_no_hole_in_the_tape(database: &Database) {
    let bench = bench(database);
    assert_eq!(minute(&bench, TAPE, 1), 0);
    let now = bench.exchange.now_us();
    bench.exchange.set_now(now + 3 * HOUR_US);
    bench.pass(TAPE);
    bench.exchange.set_now(now);
    for seed in 2..70 {
        bench.advance(MINUTE_US);
        trade(&bench, seed, 20);
    }
    // Cut between two slices.
    bench.exchange.before_each_page(|world, number| {
        if number % 3 == 0 {
            world.advance(SECOND_US);
        }
    });
    bench.exchange.script([Fault::None, Fault::None, Fault::None]);
    bench.exchange.random_faults(1, 500, &[Fault::Status(503)]);
    bench.pass(TAPE);
    bench.exchange.clear_faults();
    assert_eq!(minute(&bench, TAPE, 80), 0);
    bench.assert_complete(&["KXA", "KXB"], "slice by slice");
}

/// Everything is frozen, the date included; the line, the verdict and the status agree.
fn an_exchange_that_stands_still_becomes_stale(database: &Database) {
    for flags in [MARKET, TAPE] {
        let database = Database::like(database);
        let bench = bench(&database);
        for seed in 1..6 {
            assert_eq!(minute(&bench, flags, seed), 0);
        }
        let mut exits = Vec::new();
        for _ in 0..9 {
            bench.clock.turn(MINUTE_US);
            exits.push(bench.pass(flags));
            assert_eq!(
                bench.main("status", &[flags, &["--check"]].concat()),
                exits[exits.len() - 1]
            );
        }
        assert_eq!((exits[0], exits[8]), (0, 3), "{exits:?}");
        let output = bench.process_of("run", flags);
        let lag = stderr(&output);
        let lag = lag.split("ingestion_lag_seconds=").nth(1).unwrap().split(' ').next().unwrap();
        assert!(lag.parse::<f64>().unwrap() > 300.0, "{lag}");
        bench.exchange.set_now(now_us(&bench));
        assert_eq!(minute(&bench, flags, 50), 0, "and it is fresh again at once");
    }
}

/// The clock goes on, and the trades do not.
fn a_feed_that_falls_silent_is_a_breach_and_a_pause_is_none(database: &Database) {
    for (trading_active, expected) in [(true, 3), (false, 0)] {
        let database = Database::like(database);
        let bench = bench(&database);
        for seed in 1..20 {
            assert_eq!(minute(&bench, MARKET, seed), 0);
        }
        bench.exchange.change(|world| {
            let status = ExchangeStatus { trading_active, ..world.rules.exchange_status.clone() };
            world.rules.exchange_status = status;
        });
        let mut last = 0;
        for _ in 0..15 {
            bench.advance(MINUTE_US);
            last = bench.pass(MARKET);
            assert_eq!(bench.main("status", &[MARKET, &["--check"]].concat()), last);
        }
        assert_eq!(last, expected, "trading is active: {trading_active}");
    }
}

/// The one request that tells whether the tape moves fails, and all others are answered.
fn a_silence_that_cannot_be_checked_is_judged_by_what_was_learnt(database: &Database) {
    let bench = bench(database);
    for seed in 1..20 {
        assert_eq!(minute(&bench, MARKET, seed), 0);
    }
    bench.exchange.fail_always("/markets/trades?limit=100", Some(Fault::Status(503)));
    bench.advance(MINUTE_US);
    assert_eq!(bench.pass(MARKET), 0, "a quiet minute");
    let mut last = 0;
    for _ in 0..15 {
        bench.advance(MINUTE_US);
        last = bench.pass(MARKET);
    }
    assert_eq!(last, 3, "a busy exchange does not fall silent");
    bench.exchange.fail_always("/markets/trades?limit=100", None);
    assert_eq!(minute(&bench, MARKET, 30), 0, "and goes on");
}

fn a_demo_exchange_with_a_trade_an_hour_is_fresh(database: &Database) {
    let bench = bench(database);
    for pass in 0..200 {
        bench.advance(MINUTE_US);
        if pass % 60 == 0 {
            trade(&bench, pass, 1);
        }
        assert_eq!(bench.pass(&["--market", "KXA,KXB"]), 0, "minute {pass}");
    }
    bench.assert_complete(&["KXA", "KXB"], "a trade an hour");
}

fn an_answer_from_a_cache_claims_what_it_holds(database: &Database) {
    for flags in [MARKET, TAPE] {
        let database = Database::like(database);
        let bench = bench(&database);
        assert_eq!(minute(&bench, flags, 1), 0);
        // The answers are eleven minutes old, with a fresh date, and lack what came since.
        bench.exchange.change(|world| world.rules.age_s = Some(660));
        for _ in 0..11 {
            bench.advance(MINUTE_US);
        }
        bench.pass(flags);
        bench.exchange.change(|world| world.rules.age_s = None);
        let now = bench.exchange.now_us();
        for market in ["KXA", "KXB"] {
            let missed = seeded_trades(2, market, 500, now - 11 * MINUTE_US, now - SECOND_US);
            bench.exchange.add_all(missed);
        }
        assert_eq!(minute(&bench, flags, 3), 0);
        assert_all_stored(&bench, flags, "the eleven minutes");
    }
}

fn a_clock_of_ours_that_is_wrong_is_told(database: &Database) {
    for ahead_us in [10 * MINUTE_US, -10 * MINUTE_US] {
        let database = Database::like(database);
        let bench = bench(&database);
        bench.clock.turn(ahead_us);
        for seed in 1..4 {
            bench.advance(MINUTE_US);
            trade(&bench, seed, 20);
            // Also where only failures are told: a person has to set it right.
            let quiet: &[&str] = if seed == 2 { &["-q"] } else { &[] };
            let output = bench.process_of("run", &[MARKET, quiet].concat());
            let lines = stderr(&output);
            assert_eq!(output.status.code(), Some(0), "{lines}");
            let word = if ahead_us > 0 { "ahead of" } else { "behind" };
            let told = lines.split_once("this machine's clock is ").map(|(_, told)| told);
            let span = told.and_then(|told| told.split_once(&format!(" {word} the exchange's")));
            // Ours goes on while the exchange's stands still: a slow pass makes a few seconds.
            let is_right = |span: &str| span.starts_with("9m 5") || span.starts_with("10m");
            assert!(span.is_some_and(|(span, _)| is_right(span)), "{lines}");
        }
        let status = bench.process_of("status", &[MARKET, &["--check"]].concat());
        assert_eq!(status.status.code(), Some(0), "and status judges by the same clock");
        bench.assert_complete(&["KXA"], "as ever");
    }
}

/// As any page of the first walk, of the next and of the tape.
fn an_answer_without_trades_proves_nothing(database: &Database) {
    for flags in [MARKET, TAPE] {
        for at in 0..5 {
            let database = Database::like(database);
            let bench = bench(&database);
            bench.advance(MINUTE_US);
            trade(&bench, 1, 3_000);
            let script = |at: usize| {
                (0..=at).map(move |n| if n == at { Fault::EmptyList } else { Fault::None })
            };
            bench.exchange.script_for("*/markets/trades", script(at));
            bench.pass(flags);
            bench.advance(MINUTE_US);
            trade(&bench, 2, 3_000);
            bench.exchange.script_for("*/markets/trades", script(at));
            bench.pass(flags);
            assert_eq!(minute(&bench, flags, 3), 0);
            assert_eq!(minute(&bench, flags, 4), 0);
            assert_all_stored(&bench, flags, &format!("empty as page {at}"));
        }
    }
}

fn a_list_that_is_cut_short_is_read_on(database: &Database) {
    for flags in [MARKET, TAPE] {
        for count in [1, 2, 5] {
            let database = Database::like(database);
            let bench = bench(&database);
            bench.advance(MINUTE_US);
            trade(&bench, 1, 4_500);
            let empty = std::iter::repeat_n(Fault::EmptyPageWithCursor, count);
            bench.exchange.script_for("*/markets/trades", [Fault::None].into_iter().chain(empty));
            bench.pass(flags);
            assert_eq!(minute(&bench, flags, 2), 0);
            assert_eq!(minute(&bench, flags, 3), 0);
            assert_all_stored(&bench, flags, &format!("{count} empty pages with cursors"));
        }
    }
}

/// A replica that lags: it shows less than was shown before.
fn an_old_answer_after_a_new_one_claims_nothing(database: &Database) {
    let bench = bench(database);
    for seed in 1..4 {
        assert_eq!(minute(&bench, MARKET, seed), 0);
    }
    let claimed = database.complete_until("KXA");
    let lagging = Bench::new(database, Rules::default());
    lagging.list_markets("KXA,KXB");
    let trades = bench.exchange.trades("KXA");
    let cut = NOON_US + 2 * MINUTE_US;
    lagging.exchange.add_all(trades.iter().filter(|trade| trade.created_us < cut).cloned());
    lagging.set_now(NOON_US + 5 * MINUTE_US);
    lagging.pass(MARKET);
    assert_eq!(database.complete_until("KXA"), claimed, "neither more nor less");
    bench.set_now(NOON_US + 6 * MINUTE_US);
    for market in ["KXA", "KXB"] {
        let (from, until) = (NOON_US + 3 * MINUTE_US, NOON_US + 6 * MINUTE_US - SECOND_US);
        bench.exchange.add_all(seeded_trades(9, market, 60, from, until));
    }
    assert_eq!(bench.pass(MARKET), 0);
    bench.assert_complete(&["KXA"], "what the replica did not have");
}

/// As a version before this one left it: claimed by a date alone.
fn a_false_claim_is_lowered_and_on_record(database: &Database) {
    let bench = bench(database);
    assert_eq!(minute(&bench, MARKET, 1), 0);
    let far = "update ingestion_checkpoints set complete_until = '2026-07-26T03:00:00.000000Z'";
    database.execute(far);
    bench.advance(MINUTE_US);
    trade(&bench, 2, 50);
    let output = bench.process_of("run", MARKET);
    assert!(stderr(&output).contains("KXA"), "it is told: {}", stderr(&output));
    bench.assert_complete(&["KXA"], "what the claim hid");
    let corrections = "select count(*) as x from claim_corrections where market_ticker = 'KXA'";
    assert_eq!(database.number(corrections), 1);
    let newest = bench.truth(&["KXA"]).iter().map(|row| row.5).max().unwrap();
    assert!(database.complete_until("KXA") <= Some(newest / SECOND_US), "lowered");
    assert_eq!(minute(&bench, MARKET, 3), 0);
    assert_eq!(database.number(corrections), 1, "once");
}

/// The live tier has forgotten what lies between two passes, or below `--since`.
fn what_only_the_archive_has_is_not_claimed(database: &Database) {
    let cutoff_us = NOON_US + 40 * DAY_US;
    let complete_from =
        "select complete_from as x from ingestion_checkpoints where market_ticker = 'KXA'";
    for since in [None, Some("2026-06-01")] {
        let database = Database::like(database);
        let bench = bench(&database);
        if since.is_none() {
            assert_eq!(minute(&bench, MARKET, 1), 0);
        }
        let day_us = 20 * DAY_US;
        bench.exchange.add_all(seeded_trades(2, "KXA", 300, NOON_US + MINUTE_US, NOON_US + day_us));
        bench.advance(100 * DAY_US);
        bench.exchange.change(|world| {
            world.rules.cutoff_s = cutoff_us / SECOND_US;
            world.rules.markets_cutoff_s = cutoff_us / SECOND_US;
        });
        let now = bench.exchange.now_us();
        bench.exchange.add_all(seeded_trades(3, "KXA", 300, now - DAY_US, now - MINUTE_US));
        let flags = since.map_or(vec![], |since| vec!["--since", since]);
        let output = bench.process_of("run", &[MARKET, &flags].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let from = database.texts(complete_from).remove(0);
        assert!(from.is_some_and(|from| from.starts_with("2026-09-03")), "{since:?}: the cutoff");
        assert!(stderr(&output).contains("backfill"), "{since:?}: {}", stderr(&output));
        let window = ["--from", "2026-07-25", "--to", "2026-10-01"];
        assert_eq!(bench.main("backfill", &[MARKET, &window].concat()), 0);
        bench.assert_complete(&["KXA"], "with what `backfill` read");
    }
}

/// A window up to now: what comes after the newest trade is not there yet.
fn a_backfill_ends_where_the_exchange_stands_still(database: &Database) {
    let bench = bench(database);
    for seed in 1..20 {
        assert_eq!(minute(&bench, TAPE, seed), 0);
    }
    bench.advance(30 * MINUTE_US);
    let until = kalshi_ingest::domain::time::Timestamp::from_micros(bench.exchange.now_us());
    let until = until.before(std::time::Duration::from_secs(300)).floor().to_string();
    let window = ["--from", "2026-07-25T16:00:00Z", "--to", &until];
    let flags = [&["--market", "KXB"], &window[..]].concat();
    assert_eq!(bench.main("backfill", &flags), 6, "nobody shows what came since");
    let now = bench.exchange.now_us();
    let missed = seeded_trades(90, "KXB", 100, now - 29 * MINUTE_US, now - SECOND_US);
    bench.exchange.add_all(missed);
    bench.advance(MINUTE_US);
    assert_eq!(bench.main("backfill", &flags), 0);
    let stored = database
        .number("select count(*) as x from prediction_market_trades where market_ticker = 'KXB'");
    let until = bench.exchange.now_us() - 6 * MINUTE_US;
    let truth = bench.exchange.trades("KXB").iter().filter(|t| t.created_us < until).count();
    assert_eq!(usize::try_from(stored).unwrap(), truth, "and it is filled then");
}
