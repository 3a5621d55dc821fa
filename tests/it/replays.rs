//! Replay and prune: the raw events are enough to rebuild the trades.

use kalshi_simulator::{Rules, Shape, Trade, seeded_trades};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    what_was_deleted_comes_back_bit_for_bit,
    a_second_table_is_built_beside_the_first_and_compared,
    a_refused_event_that_is_understood_now_becomes_a_trade,
    the_exchange_is_not_asked,
    pruning_leaves_what_was_never_normalized,
    mistakes_are_told,
    what_works_on_everything_takes_no_selection,
}

const SECOND_US: i64 = 1_000_000;

/// Trades of every shape, stored.
fn bench_with_trades(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    for (seed, shape) in
        [(1, Shape::Current), (2, Shape::CurrentWithoutTakerSide), (3, Shape::Spring)]
    {
        let trades = seeded_trades(seed, "KXA", 900, until - 3_600 * SECOND_US, until);
        bench.exchange.add_all(trades.into_iter().map(|trade| Trade { shape, ..trade }));
    }
    assert_eq!(bench.run("KXA", &[]), 0);
    bench
}

/// Every column of every trade, as text.
fn everything(database: &Database, table: &str) -> Vec<Option<String>> {
    let columns = "trade_id || ' ' || market_ticker || ' ' || side || ' ' || price || ' ' || quantity || ' '
        || traded_at || ' ' || coalesce(cast(is_block_trade as text), '-') || ' ' || run_id || ' ' || ingested_at";
    database.texts(&format!("select {columns} as x from {table} order by 1"))
}

fn what_was_deleted_comes_back_bit_for_bit(database: &Database) {
    let bench = bench_with_trades(database);
    let before = everything(database, "prediction_market_trades");
    assert_eq!(before.len(), 2_700);
    for condition in ["trade_id < '8'", "1 = 1"] {
        database.execute(&format!("delete from prediction_market_trades where {condition}"));
        assert_eq!(bench.main("replay", &[]), 0);
        assert!(everything(database, "prediction_market_trades") == before, "after {condition}");
        database.assert_counted();
    }
    assert_eq!(bench.main("replay", &[]), 0);
    assert!(everything(database, "prediction_market_trades") == before, "nothing to do");
    assert_eq!(database.raw_counts(), (2_700, 0), "raw events are only read");
}

fn a_second_table_is_built_beside_the_first_and_compared(database: &Database) {
    let bench = bench_with_trades(database);
    let output = bench.process_of("replay", &["--into", "trades_new", "--compare"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("only in trades_new: 0\ndifferent: 0"), "{text}");
    let same = everything(database, "prediction_market_trades");
    assert!(everything(database, "trades_new") == same);
    // As if the new normalization read a side differently.
    database.execute(
        "update trades_new set side = case side when 'yes' then 'no' else 'yes' end where trade_id < '1'",
    );
    let count = database.number("select count(*) as x from trades_new where trade_id < '1'");
    let output = bench.process_of("replay", &["--into", "trades_new", "--compare"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("different: {count}\n")), "{text}");
    assert!(text.contains("side"), "what differs is named: {text}");
}

fn a_refused_event_that_is_understood_now_becomes_a_trade(database: &Database) {
    let bench = bench_with_trades(database);
    let event = bench.exchange.rows("KXA").remove(0);
    let trade: serde_json::Value = serde_json::from_str(&event).unwrap();
    let id = trade["trade_id"].as_str().unwrap();
    // As an older build would have left it.
    database.execute(&format!(
        "delete from prediction_market_trades where trade_id = '{id}';
         update raw_kalshi_trade_events set rejected = 'a shape nobody knows' where trade_id = '{id}'"
    ));
    bench.exchange.forget_requests();
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(bench.exchange.requests().len(), 0, "the exchange is not asked");
    assert_eq!(database.trades().len(), 2_700, "it is there");
    database.assert_counted();
}

fn the_exchange_is_not_asked(database: &Database) {
    let bench = bench_with_trades(database);
    database.execute("delete from prediction_market_trades");
    bench.exchange.forget_requests();
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(bench.exchange.requests().len(), 0);
    assert_eq!(database.trades().len(), 2_700);
}

fn pruning_leaves_what_was_never_normalized(database: &Database) {
    let bench = bench_with_trades(database);
    database.execute(
        "delete from prediction_market_trades where trade_id < '2';
         update raw_kalshi_trade_events set received_at = '2026-01-01T00:00:00.000000Z' where trade_id < 'a'",
    );
    let unnormalized = "select count(*) as x from raw_kalshi_trade_events where trade_id < '2'";
    let kept = database.number(unnormalized);
    let young =
        database.number("select count(*) as x from raw_kalshi_trade_events where trade_id >= 'a'");
    let output = bench.process_of("prune", &["--raw-older-than", "30d", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let goes = 2_700 - young - kept;
    assert!(said.starts_with(&format!("{goes} raw events received before ")), "{said}");
    assert!(said.contains(&format!("; {kept} were never normalized")), "{said}");
    assert_eq!(database.raw_counts(), (2_700, 0), "nothing is changed");
    let output = bench.process_of("prune", &["--raw-older-than", "30d"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("{kept} of ")), "{}", stderr(&output));
    let left = database.number("select count(*) as x from raw_kalshi_trade_events");
    assert_eq!(left, kept + young);
    assert_eq!(database.number(unnormalized), kept);
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(database.trades().len(), 2_700, "what was kept is enough");
    database.assert_counted();
}

fn mistakes_are_told(database: &Database) {
    let bench = bench_with_trades(database);
    for (command, flags, part) in [
        ("replay", &["--into", "Trades; drop"][..], "lower-case"),
        ("replay", &["--into", "ingestion_runs"], "ingestion_runs"),
        ("replay", &["--compare"], "--into"),
        ("prune", &["--raw-older-than", "1m"], "--raw-older-than"),
        ("prune", &[], "--raw-older-than"),
        ("backfill", &["--market", "A", "--from", "2026-02-01", "--to", "2026-01-01"], "--to"),
        ("backfill", &["--market", "A", "--from", "2019-02-01", "--to", "2026-01-01"], "2021"),
        ("backfill", &["--market", "A", "--from", "2026-02-01", "--to", "2096-01-01"], "future"),
        ("backfill", &["--from", "2026-02-01", "--to", "2026-03-01"], "nothing is selected"),
        ("completeness", &["--market", "A", "--from", "2026-02-01"], "--to"),
        ("completeness", &["--market", "A", "--min-score", "7"], "--min-score"),
    ] {
        let output = bench.process_of(command, flags);
        let said = stderr(&output);
        assert!([Some(2), Some(5)].contains(&output.status.code()), "{command} {flags:?}: {said}");
        assert!(said.contains(part), "{command} {flags:?}: {said}");
    }
    assert_eq!(database.trades().len(), 2_700);
}

fn what_works_on_everything_takes_no_selection(database: &Database) {
    let bench = bench_with_trades(database);
    for (command, flags) in [
        ("prune", &["--raw-older-than", "1h", "--market", "KXA"][..]),
        ("replay", &["--market", "KXB"]),
        ("replay", &["--series", "KXB", "--into", "trades_new"]),
        ("migrate", &["--all"]),
    ] {
        let output = bench.process_of(command, flags);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains(&format!("{command} takes no selection")), "{said}");
    }
    assert_eq!((database.raw_counts(), database.trades().len()), ((2_700, 0), 2_700));
    // Commands share one environment, of which each takes what it knows.
    for (command, flags) in
        [("prune", &["--raw-older-than", "3000d"][..]), ("replay", &[]), ("migrate", &[])]
    {
        let mut command = bench.command_of(command, flags);
        command.env("KALSHI_MARKETS", "KXA").env("KALSHI_BASE_URL", "no URL");
        let output = command.env("KALSHI_WORKERS", "none").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}
