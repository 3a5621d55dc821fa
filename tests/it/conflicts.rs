//! A trade that comes again with other values: the first version stays, the other is kept once.

use std::thread;

use kalshi_simulator::{Rules, Trade, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_second_version_is_kept_once_and_told_once,
    every_field_that_can_differ_is_named,
    two_versions_on_one_page_are_a_conflict,
    two_versions_in_two_markets_are_a_conflict,
    the_tape_and_a_backfill_compare_as_well,
    a_block_flag_that_comes_late_is_no_conflict,
    a_version_is_kept_once_however_it_is_written,
    passes_at_once_keep_it_once,
    pruning_keeps_it_and_replay_makes_no_trade_of_it,
}

const SECOND_US: i64 = 1_000_000;
const KEPT: &str = "select rejected as x from raw_kalshi_trade_events where rejected like 'conflicts with the stored trade: %' order by 1";

fn trade(id: &str, market: &str) -> Trade {
    let from = NOON_US - 60 * SECOND_US;
    let mut trade = seeded_trades(1, market, 1, from, from + SECOND_US).remove(0);
    id.clone_into(&mut trade.trade_id);
    trade.created_us = from;
    trade.yes_price_e6 = 380_000;
    trade.count_e2 = 100;
    trade.taker_yes = true;
    trade
}

/// Serves this as one more event of its market, beside all others.
fn serve(bench: &Bench<'_>, place: &str, trade: &Trade) {
    bench.exchange.add_event(&trade.ticker, trade.created_us, place, trade.json());
}

fn kept(database: &Database) -> Vec<String> {
    database.texts(KEPT).into_iter().flatten().collect()
}

/// The counter over all passes.
fn counted(database: &Database) -> i64 {
    database.number(
        "select coalesce(max(total), 0) as x from ingestion_totals where metric = 'events_conflicting'",
    )
}

fn a_second_version_is_kept_once_and_told_once(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = trade("t1", "KXA");
    bench.exchange.add(first.clone());
    assert_eq!(bench.run("KXA", &[]), 0);
    let second = Trade { yes_price_e6: 390_000, ..first.clone() };
    bench.exchange.add(second);
    for (pass, is_told) in [(1, true), (2, false), (3, false)] {
        bench.advance(10 * SECOND_US);
        let output = bench.process("KXA", &["-q"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let told = "1 events contradict a stored trade and are kept in raw_kalshi_trade_events only; \
                    the first: KXA: trade t1 conflicts with the stored trade: price 38.0000 stored, 39.0000 here";
        assert_eq!(stderr(&output).contains(told), is_told, "pass {pass}: {}", stderr(&output));
        assert_eq!(stderr(&output).is_empty(), !is_told, "pass {pass}");
        assert_eq!(counted(database), 1, "pass {pass}");
        assert_eq!(database.raw_counts(), (1, 1), "pass {pass}");
    }
    assert_eq!(database.trades()[0].3, 380_000, "the first version stays");
    let run = "select events_conflicting || ' ' || events_duplicate || ' ' || error as x from ingestion_runs where run_id = 2";
    let run = database.texts(run).remove(0).unwrap();
    assert!(run.starts_with("1 0 1 events contradict"), "{run}");
    let metrics = bench.process_of("status", &["--output", "prometheus"]);
    let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
    assert!(metrics.contains("\nkalshi_ingest_events_conflicting_total 1\n"), "{metrics}");
}

fn every_field_that_can_differ_is_named(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = |id: &str| trade(id, "KXA");
    let later = first("time").created_us + 1;
    let versions = [
        (
            Trade { taker_yes: false, yes_price_e6: 620_000, ..first("side") },
            "side yes stored, no here",
        ),
        (Trade { yes_price_e6: 380_001, ..first("price") }, "price 38.0000 stored, 38.0001 here"),
        (Trade { count_e2: 101, ..first("count") }, "quantity 1.00 stored, 1.01 here"),
        (
            Trade { created_us: later, ..first("time") },
            "time 2026-07-25T17:19:00.000000Z stored, 2026-07-25T17:19:00.000001Z here",
        ),
        (
            Trade { taker_yes: false, count_e2: 7, ..first("more") },
            "side yes stored, no here; price 38.0000 stored, 62.0000 here; quantity 1.00 stored, 0.07 here",
        ),
    ];
    for (version, _) in &versions {
        bench.exchange.add(first(&version.trade_id));
    }
    assert_eq!(bench.run("KXA", &[]), 0);
    for (version, _) in &versions {
        serve(&bench, &format!("{}~", version.trade_id), version);
    }
    let before = database.trades();
    bench.advance(10 * SECOND_US);
    assert_eq!(bench.run("KXA", &[]), 0);
    let mut expected: Vec<String> = versions
        .iter()
        .map(|(_, words)| format!("conflicts with the stored trade: {words}"))
        .collect();
    expected.sort();
    let mut kept = kept(database);
    kept.sort();
    assert_eq!(kept, expected);
    assert_eq!(database.trades(), before);
    assert_eq!(counted(database), 5);
}

fn two_versions_on_one_page_are_a_conflict(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = trade("t1", "KXA");
    // The one that comes first on the page counts: the newest.
    bench.exchange.add(first.clone());
    serve(
        &bench,
        "t1-b",
        &Trade { count_e2: 7, created_us: first.created_us - 1, ..first.clone() },
    );
    serve(
        &bench,
        "t1-c",
        &Trade { count_e2: 8, created_us: first.created_us - 2, ..first.clone() },
    );
    serve(&bench, "t1-d", &first);
    for pass in 1..=2 {
        assert_eq!(bench.run("KXA", &[]), 0);
        assert_eq!(database.raw_counts(), (1, 2), "pass {pass}");
        assert_eq!(counted(database), 2, "pass {pass}");
        bench.advance(10 * SECOND_US);
    }
    let (trades, kept) = (database.trades(), kept(database));
    assert_eq!((trades.len(), trades[0].4), (1, 100));
    assert!(kept[0].contains("quantity 1.00 stored, 0.07 here; time "), "{kept:?}");
    assert!(kept[1].contains("quantity 1.00 stored, 0.08 here; time "), "{kept:?}");
    // The second question about the end of the list shows all four again.
    let counts = "select events_ingested || ' ' || events_duplicate || ' ' || events_conflicting as x from ingestion_runs where run_id = 1";
    assert_eq!(database.texts(counts), [Some("1 5 2".to_owned())]);
}

fn two_versions_in_two_markets_are_a_conflict(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add(trade("t1", "KXA"));
    assert_eq!(bench.run("KXA", &[]), 0);
    serve(&bench, "t1-b", &trade("t1", "KXB"));
    assert_eq!(bench.run("KXA,KXB", &[]), 0);
    assert_eq!(kept(database), ["conflicts with the stored trade: market KXA stored, KXB here"]);
    let market = "select market_ticker || trade_id as x from raw_kalshi_trade_events where rejected is not null";
    assert_eq!(database.texts(market), [Some("KXBt1".to_owned())]);
    assert_eq!(database.trades().len(), 1);
}

fn the_tape_and_a_backfill_compare_as_well(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = trade("t1", "KXA");
    bench.exchange.add(first.clone());
    assert_eq!(bench.pass(&["--all"]), 0);
    bench.exchange.add(Trade { count_e2: 7, ..first.clone() });
    bench.advance(10 * SECOND_US);
    assert_eq!(bench.pass(&["--all"]), 0);
    assert_eq!(
        kept(database),
        ["conflicts with the stored trade: quantity 1.00 stored, 0.07 here"]
    );
    bench.exchange.add(Trade { count_e2: 8, ..first });
    bench.list_markets("KXA");
    bench.set_now(NOON_US + DAY_US);
    let window =
        ["--market", "KXA", "--from", "2026-07-25T17:00:00Z", "--to", "2026-07-25T18:00:00Z"];
    assert_eq!(bench.main("backfill", &window), 0);
    assert_eq!(kept(database).len(), 2);
    assert_eq!(counted(database), 2);
    assert_eq!(database.trades()[0].4, 100);
}

fn a_block_flag_that_comes_late_is_no_conflict(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = Trade { shape: kalshi_simulator::Shape::Spring, ..trade("t1", "KXA") };
    bench.exchange.add(first.clone());
    assert_eq!(bench.run("KXA", &[]), 0);
    for is_block_trade in [true, false] {
        let shape = kalshi_simulator::Shape::Current;
        bench.exchange.add(Trade { shape, is_block_trade, ..first.clone() });
        bench.advance(10 * SECOND_US);
        assert_eq!(bench.run("KXA", &[]), 0);
    }
    assert_eq!(database.raw_counts(), (1, 0));
    assert_eq!(counted(database), 0);
}

fn a_version_is_kept_once_however_it_is_written(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = trade("t1", "KXA");
    bench.exchange.add(first.clone());
    assert_eq!(bench.run("KXA", &[]), 0);
    let second = Trade { count_e2: 7, ..first };
    for json in
        [second.json(), second.json().replace(',', ", "), second.json().replace('}', ",\"x\":1}")]
    {
        bench.exchange.add_event("KXA", second.created_us, "t1", json);
        bench.advance(10 * SECOND_US);
        assert_eq!(bench.run("KXA", &[]), 0);
        assert_eq!(database.raw_counts(), (1, 1));
    }
    assert_eq!(counted(database), 1);
}

fn passes_at_once_keep_it_once(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let from = NOON_US - 60 * SECOND_US;
    let trades = seeded_trades(2, "KXA", 300, from, from + 30 * SECOND_US);
    bench.exchange.add_all(trades.clone());
    assert_eq!(bench.run("KXA", &[]), 0);
    bench
        .exchange
        .add_all(trades.into_iter().map(|trade| Trade { count_e2: trade.count_e2 + 1, ..trade }));
    bench.advance(10 * SECOND_US);
    // Of other shards, so that no lock keeps them apart.
    let shards = ["0/1", "0/2", "1/2", "0/3", "1/3", "2/3"];
    thread::scope(|scope| {
        for shard in shards {
            let bench = &bench;
            scope.spawn(move || bench.process("KXA", &["--shard", shard, "--overlap", "1h"]));
        }
    });
    assert_eq!(database.raw_counts(), (300, 300));
    assert_eq!(counted(database), 300);
}

fn pruning_keeps_it_and_replay_makes_no_trade_of_it(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let first = trade("t1", "KXA");
    bench.exchange.add(first.clone());
    bench.exchange.add(trade("t2", "KXA"));
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.exchange.add(Trade { count_e2: 7, ..first });
    bench.advance(10 * SECOND_US);
    assert_eq!(bench.run("KXA", &[]), 0);
    let before = database.trades();

    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(database.trades(), before);
    let output = bench.process_of("replay", &["--into", "trades_new", "--compare"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("only in trades_new: 0\ndifferent: 0"), "{text}");

    bench.advance(100 * DAY_US);
    let output = bench.process_of("prune", &["--raw-older-than", "30d"]);
    assert!(stderr(&output).contains("1 of 3 raw events"), "{}", stderr(&output));
    assert_eq!(database.raw_counts(), (0, 1));
    database.execute("delete from prediction_market_trades");
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(bench.main("replay", &["--into", "trades_newer"]), 0);
    assert_eq!(database.trades().len(), 0, "its first version was pruned");
    database.assert_counted();
    assert_eq!(database.number("select count(*) as x from trades_newer"), 0);
    assert_eq!(database.raw_counts(), (0, 1));
}
