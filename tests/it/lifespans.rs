//! The life of a series: markets open, close, settle and vanish while passes go by.

use std::collections::BTreeSet;

use kalshi_simulator::{Market, Rules, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_series_lives_through_twenty_passes,
    what_the_exchange_does_not_answer_is_taken_from_the_last_time,
    a_series_nobody_could_resolve_is_stale_in_the_end,
    unknown_names_are_told_and_the_others_go_on,
    a_market_that_comes_back_is_read_again,
    an_archived_market_is_read_once_and_left_alone,
    combos_are_read_only_when_they_are_named,
    shards_read_everything_once_between_them,
    five_thousand_markets_are_resolved_in_six_requests,
}

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;

/// `count` trades of a market in the seconds before `until_us`.
fn trade(bench: &Bench<'_>, market: &str, seed: u64, count: usize, until_us: i64) {
    let from = until_us - 40 * SECOND_US;
    bench.exchange.add_all(seeded_trades(seed, market, count, from, until_us));
}

fn pages_of(bench: &Bench<'_>, market: &str) -> usize {
    let of_market = |asked: &&kalshi_simulator::Asked| {
        asked.path.ends_with("/trades") && asked.param("ticker") == Some(market)
    };
    bench.exchange.requests().iter().filter(of_market).count()
}

fn retired(database: &Database) -> BTreeSet<String> {
    let query = "select market_ticker as x from ingestion_checkpoints where retired_at is not null";
    database.texts(query).into_iter().flatten().collect()
}

/// Market n of the series opens at minute n, trades for six, is determined a minute after its close and
/// finalized three minutes later. Every fifth vanishes at its close instead.
fn a_series_lives_through_twenty_passes(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let exchange = &bench.exchange;
    exchange.add_series("KXMIN", "A market a minute");
    let name = |n: i64| format!("KXMIN-26JUL25-T{n}");
    let vanishes = |n: i64| n % 5 == 3;
    let markets = 0..12_i64;
    for n in markets.clone() {
        let open_us = NOON_US + n * MINUTE_US;
        let market = Market::new(&name(n), "KXMIN-26JUL25", open_us, open_us + 6 * MINUTE_US);
        exchange.add_market(Market { is_provisional: vanishes(n), ..market });
    }
    let mut retired_before: BTreeSet<String> = BTreeSet::new();
    for pass in 0..30_i64 {
        let now = NOON_US + pass * MINUTE_US;
        bench.set_now(now);
        for n in markets.clone() {
            let closes = NOON_US + (n + 6) * MINUTE_US;
            let seed = u64::try_from(100 * pass + n).unwrap();
            if (n + 1..=n + 6).contains(&pass) {
                trade(&bench, &name(n), seed, 40, now.min(closes));
            }
            match (pass - n, vanishes(n)) {
                (6, true) => exchange.remove_market(&name(n)),
                (7, false) => exchange.change_market(&name(n), |market| {
                    market.status = Some(kalshi_simulator::Status::Determined);
                    market.result = "yes".into();
                }),
                (10, false) => exchange.settle_market(&name(n), "yes", 10_000),
                _ => {}
            }
        }
        exchange.forget_requests();
        assert_eq!(
            bench.pass(&["--series", "KXMIN", "--settle", "1s"]),
            0,
            "no breach in pass {pass}"
        );
        for market in &retired_before {
            assert_eq!(pages_of(&bench, market), 0, "pass {pass} polls {market}, which is retired");
        }
        let now_retired = retired(database);
        assert!(retired_before.is_subset(&now_retired), "pass {pass}: one came back");
        retired_before = now_retired;
    }
    let all: Vec<String> = markets.clone().map(name).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    bench.assert_complete(&all, "all trades of all of them");
    assert_eq!(retired_before.len(), 12, "each is retired: {retired_before:?}");
    assert_eq!(database.number("select count(*) as x from selection_members"), 0);
    // initialized is never seen, since the list is of open markets.
    let changes = |ticker: &str| {
        let query = format!(
            "select status as x from market_status_changes where market_ticker = '{ticker}' order by observed_at"
        );
        database.texts(&query).into_iter().flatten().collect::<Vec<_>>()
    };
    assert_eq!(changes(&name(0)), ["active", "closed", "determined", "finalized"]);
    assert_eq!(changes(&name(3)), ["active", "vanished"]);
}

fn what_the_exchange_does_not_answer_is_taken_from_the_last_time(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for market in ["KXS-A-1", "KXS-A-2"] {
        let until = NOON_US + DAY_US;
        bench.exchange.add_market(Market::new(market, "KXS-A", NOON_US - DAY_US, until));
        trade(&bench, market, 1, 20, NOON_US - 10 * SECOND_US);
    }
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    bench.advance(MINUTE_US);
    trade(&bench, "KXS-A-2", 2, 30, NOON_US + 50 * SECOND_US);
    for fault in [
        kalshi_simulator::Fault::Status(503),
        kalshi_simulator::Fault::Garbage,
        kalshi_simulator::Fault::Status(404),
    ] {
        bench.exchange.fail_always("/markets", Some(fault));
        let exit = bench.pass(&["--series", "KXS"]);
        let expected = if fault == kalshi_simulator::Fault::Status(503) { 0 } else { 4 };
        assert_eq!(
            exit, expected,
            "{fault:?}: within the SLA an exchange that is down is no failure"
        );
        bench.assert_complete(&["KXS-A-1", "KXS-A-2"], "the known markets are read");
    }
    bench.exchange.fail_always("/markets", None);
    let market = Market::new("KXS-B-1", "KXS-B", NOON_US, NOON_US + DAY_US);
    bench.exchange.add_market(market);
    trade(&bench, "KXS-B-1", 3, 5, NOON_US + 55 * SECOND_US);
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    bench.assert_complete(&["KXS-A-1", "KXS-A-2", "KXS-B-1"], "the new one is found");
}

fn a_series_nobody_could_resolve_is_stale_in_the_end(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(Market::new("KXS-A-1", "KXS-A", NOON_US - DAY_US, NOON_US + DAY_US));
    bench.exchange.fail_always("/markets", Some(kalshi_simulator::Fault::Status(503)));
    let flags = ["--series", "KXS", "--sla", "5m", "--deadline", "4s"];
    assert_eq!(bench.pass(&flags), 0, "selected just now");
    database
        .execute("update selection_watches set first_selected_at = '2026-01-01T00:00:00.000000Z'");
    assert_eq!(bench.pass(&flags), 3, "nobody knows which markets it has");
    bench.exchange.fail_always("/markets", None);
    assert_eq!(bench.pass(&flags), 0);
}

fn unknown_names_are_told_and_the_others_go_on(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for market in ["KXA-1-1", "KXB-1-1", "KXC-1-1"] {
        bench.exchange.add_market(Market::new(
            market,
            &market[..5],
            NOON_US - DAY_US,
            NOON_US + DAY_US,
        ));
        trade(&bench, market, 1, 9, NOON_US - 10 * SECOND_US);
    }
    let flags = ["--market", "KXA-1-1", "--event", "KXB-1", "--series", "KXC"];
    let typos = ["--market", "KXA-1-2", "--event", "KXB-2", "--series", "KXD"];
    let output =
        bench.process_of("run", &[&flags[..], &typos[..], &["--sync-markets", "0s"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let lines = crate::support::bench::stderr(&output);
    for name in ["market KXA-1-2", "event KXB-2", "series KXD"] {
        let told = lines.lines().filter(|line| line.contains(name)).count();
        assert_eq!(told, 1, "{name} is told once: {lines}");
    }
    bench.assert_complete(&["KXA-1-1", "KXB-1-1", "KXC-1-1"], "the others go on");
    let typo = "select count(*) as x from ingestion_checkpoints where market_ticker = 'KXA-1-2'";
    assert_eq!(database.number(typo), 0, "a typo leaves no trace");
    assert_eq!(bench.pass(&flags), 0, "put right");
}

fn a_market_that_comes_back_is_read_again(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let market = Market::new("KXS-A-1", "KXS-A", NOON_US - DAY_US, NOON_US - MINUTE_US);
    bench.exchange.add_market(market);
    bench.exchange.add_market(Market::new("KXS-A-2", "KXS-A", NOON_US - DAY_US, NOON_US + DAY_US));
    trade(&bench, "KXS-A-1", 1, 20, NOON_US - 2 * MINUTE_US);
    bench.exchange.settle_market("KXS-A-1", "no", 0);
    let flags = ["--series", "KXS", "--market", "KXS-A-1"];
    for _ in 0..4 {
        bench.advance(MINUTE_US);
        assert_eq!(bench.pass(&flags), 0);
    }
    assert_eq!(retired(database), BTreeSet::from(["KXS-A-1".to_owned()]));
    // The exchange takes the settlement back and lets it trade on.
    let now = bench.exchange.now_us();
    bench.exchange.change_market("KXS-A-1", |market| {
        market.status = None;
        market.close_us = now + DAY_US;
        market.settled_us = None;
        market.result = String::new();
    });
    bench.advance(MINUTE_US);
    trade(&bench, "KXS-A-1", 2, 20, now + 50 * SECOND_US);
    assert_eq!(bench.pass(&flags), 0);
    assert_eq!(retired(database), BTreeSet::new());
    bench.assert_complete(&["KXS-A-1"], "what it traded since is there");
}

fn an_archived_market_is_read_once_and_left_alone(database: &Database) {
    let cutoff = NOON_US - 60 * DAY_US;
    let rules = Rules { markets_cutoff_s: cutoff / SECOND_US, ..Rules::default() };
    let bench = Bench::new(database, rules);
    let closes = cutoff - DAY_US;
    bench.exchange.add_market(Market::new("KXOLD-1", "KXOLD", closes - DAY_US, closes));
    bench.set_now(closes);
    bench.exchange.settle_market("KXOLD-1", "yes", 10_000);
    bench.set_now(NOON_US);
    for _ in 0..2 {
        assert_eq!(bench.pass(&["--market", "KXOLD-1"]), 0, "known to the archive");
        bench.advance(MINUTE_US);
    }
    assert_eq!(retired(database), BTreeSet::from(["KXOLD-1".to_owned()]));
    bench.exchange.forget_requests();
    bench.advance(MINUTE_US);
    assert_eq!(bench.pass(&["--market", "KXOLD-1"]), 0);
    assert_eq!(bench.requests(), 0, "its trades are not asked for any more");
}

fn combos_are_read_only_when_they_are_named(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let plain = Market::new("KXS-A-1", "KXS-A", NOON_US - DAY_US, NOON_US + DAY_US);
    let combo = Market::new("KXMVES-A-1", "KXMVES-A", NOON_US - DAY_US, NOON_US + DAY_US);
    bench.exchange.add_market(plain);
    bench.exchange.add_market(Market { is_combo: true, ..combo });
    for market in ["KXS-A-1", "KXMVES-A-1"] {
        trade(&bench, market, 1, 9, NOON_US - 10 * SECOND_US);
    }
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    let lists: Vec<_> = bench.exchange.requests();
    assert_eq!(lists[0].param("mve_filter"), Some("exclude"), "combos would flood the list");
    bench.assert_complete(&["KXS-A-1"], "the plain series");
    assert_eq!(bench.pass(&["--series", "KXS,KXMVES"]), 0);
    bench.assert_complete(&["KXS-A-1", "KXMVES-A-1"], "the combo series when it is named");
}

fn shards_read_everything_once_between_them(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let markets: Vec<String> = (0..40).map(|n| format!("KXS-A-{n}")).collect();
    for (market, seed) in markets.iter().zip(1..) {
        bench.exchange.add_market(Market::new(market, "KXS-A", NOON_US - DAY_US, NOON_US + DAY_US));
        trade(&bench, market, seed, 7, NOON_US - 10 * SECOND_US);
    }
    let passes: Vec<_> = (0..3)
        .map(|index| {
            let mut command = bench.command_of("run", &["--series", "KXS", "--shard", "/3", "-q"]);
            command.env("JOB_COMPLETION_INDEX", index.to_string()).spawn().unwrap()
        })
        .collect();
    for mut pass in passes {
        assert_eq!(pass.wait().unwrap().code(), Some(0), "shards do not lock each other out");
    }
    let markets: Vec<&str> = markets.iter().map(String::as_str).collect();
    bench.assert_complete(&markets, "between them they read everything");
    for market in markets {
        assert_eq!(pages_of(&bench, market), 1, "{market} is one shard's");
    }
}

fn five_thousand_markets_are_resolved_in_six_requests(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for n in 0..5_000 {
        let market = format!("KXS-A{}-{n}", n / 50);
        let event = format!("KXS-A{}", n / 50);
        bench.exchange.add_market(Market::new(&market, &event, NOON_US - DAY_US, NOON_US + DAY_US));
    }
    // The first pass has to read each market alone; only some are, and the next takes the rest.
    let deadline = ["--deadline", "3s", "--requests-per-second", "100", "--workers", "2"];
    let flags = [&["--series", "KXS"][..], &deadline].concat();
    for (pass, why) in [(1, "never seen"), (2, "known")] {
        bench.exchange.forget_requests();
        assert_eq!(bench.pass(&flags), 0);
        let is_trades = |asked: &&kalshi_simulator::Asked| asked.path.ends_with("/trades");
        let asked = bench.exchange.requests();
        let others = asked.len() - asked.iter().filter(is_trades).count();
        assert!(others <= 6, "pass {pass}, {why}: {others} requests");
    }
    assert_eq!(database.number("select count(*) as x from selection_members"), 5_000);
    assert_eq!(database.number("select count(*) as x from prediction_markets"), 5_000);
    assert_eq!(database.number("select count(*) as x from ingestion_checkpoints"), 5_000);
}
