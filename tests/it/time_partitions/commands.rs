//! The commands on a table of trades that is partitioned by time.

use kalshi_simulator::{Trade, seeded_trades};
use postgres::{Client, NoTls};

use super::{
    ALL, FILE, MARKETS, SECOND_US, TRADES, bench_with_trades, count, counted, old, partition,
    pass_after, psql, rows,
};
use crate::support::bench::{DAY_US, NOON_US, stderr};
use crate::support::database::{Database, assert_rows};

#[test]
fn passes_go_on_across_the_cut_and_store_nothing_twice() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database);
    assert_eq!(bench.run(ALL, &[]), 0);
    assert_eq!(database.raw_counts(), (2_400, 0), "all of it is known");
    pass_after(&bench, 11, 300);
    bench.assert_complete(&MARKETS, "in a month of its own");
    assert_eq!(count(&database, &old(&database)), 2_400);
    // All of it is read once more.
    database
        .execute("update ingestion_checkpoints set complete_from = null, complete_until = null");
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "after reading all of it again");
    assert_eq!((database.raw_counts(), counted(&database)), ((3_000, 0), 3_000));
    let output = bench.process_of("status", &["--output", "csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(status.matches("1500").count(), 2, "{status}");
    assert_eq!(bench.main("completeness", &["--market", ALL]), 0);
}

#[test]
fn big_commits_are_copied_into_the_months() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database);
    let until = NOON_US - 3_700 * SECOND_US;
    let trades = seeded_trades(21, "KXC", 25_000, until - 60 * DAY_US, until);
    bench.exchange.add_all(trades);
    for pass in 1..=2 {
        database.execute(
            "update ingestion_checkpoints set complete_from = null, complete_until = null",
        );
        bench.list_markets("KXC");
        let output = bench.process_of("run", &["--market", "KXC"]);
        assert_eq!(output.status.code(), Some(0), "pass {pass}: {}", stderr(&output));
        assert_rows(
            &database.trades(),
            &bench.truth(&["KXA", "KXB", "KXC"]),
            "copied, and then found again",
        );
        assert_eq!(counted(&database), 27_400, "pass {pass}");
    }
}

#[test]
fn replay_compare_and_prune_find_their_rows() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database);
    pass_after(&bench, 71, 300);
    let before = rows(&database);
    database.execute("delete from prediction_market_trades where trade_id < '9'");
    assert_eq!(bench.main("replay", &[]), 0);
    assert!(rows(&database) == before, "the deleted rows are back");
    assert_eq!(counted(&database), 3_000);
    for round in ["made", "found"] {
        let output = bench.process_of("replay", &["--into", "trades_new", "--compare"]);
        assert_eq!(output.status.code(), Some(0), "{round}: {}", stderr(&output));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("only in trades_new: 0\ndifferent: 0"), "{round}: {told}");
    }
    database.execute("update trades_new set side = case side when 'yes' then 'no' else 'yes' end where trade_id < '1'");
    let changed = count(&database, "trades_new where trade_id < '1'");
    let output = bench.process_of("replay", &["--into", "trades_new", "--compare"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains(&format!("different: {changed}\n")), "{told}");
    assert!(told.contains("side yes here, no there"), "{told}");

    database.execute("delete from prediction_market_trades where trade_id < '1'");
    let kept = count(&database, "raw_kalshi_trade_events where trade_id < '1'");
    bench.advance(40 * DAY_US);
    let output = bench.process_of("prune", &["--raw-older-than", "30d"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("{kept} of 3000 raw events")), "{}", stderr(&output));
    assert_eq!(count(&database, "raw_kalshi_trade_events"), kept);
    assert_eq!(bench.main("replay", &[]), 0);
    assert!(rows(&database) == before, "the kept events are enough");
}

#[test]
fn a_month_is_dropped_and_counted_off() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database);
    pass_after(&bench, 81, 300);
    assert_eq!(counted(&database), 3_000);
    let first = old(&database);
    let recipe = FILE.lines().map(|line| line.trim_start_matches("--").trim());
    let recipe: Vec<&str> =
        recipe.skip_while(|line| *line != "begin;").take_while(|line| !line.is_empty()).collect();
    let recipe = recipe.join("\n").replace("prediction_market_trades_2027_01", &first);
    assert!(recipe.contains(&format!("drop table {first};")), "{recipe}");
    assert!(psql(&database, &recipe).status.success());
    assert_eq!(count(&database, TRADES), 600);
    assert_eq!(bench.main("migrate", &["--recount"]), 0);
    assert_eq!(counted(&database), 600);
    assert_eq!(bench.run(ALL, &[]), 0);
    assert_eq!(count(&database, TRADES), 600, "a pass does not read the old months again");
}

/// The promise of the key, and the one that it cannot keep.
#[test]
fn another_time_is_another_trade_and_other_conflicts_are_noticed() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database);
    let conflicts =
        || count(&database, "raw_kalshi_trade_events where rejected like 'conflicts with%'");
    let newest = bench.exchange.trades("KXA").remove(0);
    bench.exchange.add(Trade { count_e2: newest.count_e2 + 1, ..newest.clone() });
    bench.advance(SECOND_US);
    assert_eq!(bench.run(ALL, &[]), 0);
    assert_eq!((count(&database, TRADES), conflicts()), (2_400, 1), "another quantity");
    let newest = bench.exchange.trades("KXB").remove(0);
    let id = newest.trade_id.clone();
    // Both times in one answer: the second one contradicts the first.
    bench.exchange.add(Trade { created_us: newest.created_us + 1, ..newest });
    for pass in 1..=2 {
        bench.advance(SECOND_US);
        assert_eq!(bench.run(ALL, &[]), 0);
        let stored = count(&database, &format!("{TRADES} where trade_id = '{id}'"));
        let raw = count(&database, &format!("raw_kalshi_trade_events where trade_id = '{id}'"));
        assert!((1..=2).contains(&stored), "pass {pass}: {stored}");
        assert_eq!(raw, 2, "pass {pass}: each version is kept once");
    }
}

#[test]
fn a_trade_is_looked_for_in_the_partition_of_its_time() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database);
    pass_after(&bench, 91, 300);
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let statements = include_str!("../../../sql/postgres/trades.sql");
    let sql = statements.split("-- name: ").find(|part| part.starts_with("match_trades")).unwrap();
    let sql =
        sql.split_once('\n').unwrap().1.replace("-- by time: ", "").replace("{target}", TRADES);
    client
        .batch_execute(&format!("set plan_cache_mode = force_custom_plan; prepare m as {sql}"))
        .unwrap();
    let values = "'kalshi', array['a'], array['M'], array[true], array[1], array[1], array['2026-07-02']::timestamptz[]";
    let plan =
        format!("explain (analyze, costs off, timing off, summary off) execute m ({values})");
    let plan = client.query(&plan, &[]).unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let scans = plan.iter().filter(|line| line.contains("Scan") && line.contains(TRADES));
    let used = scans.filter(|line| !line.contains("never executed")).count();
    assert_eq!(used, 1, "{plan:#?}");
}
