//! The tables after `examples/postgres/citus.sql` and `citus_by_market.sql`, with stand-ins for the functions of Citus:
//! the keys and the statements are those of the real one, on a single machine. PostgreSQL only.

use kalshi_simulator::{Rules, Trade, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, assert_rows};

const BY_TRADE: &str = include_str!("../../examples/postgres/citus.sql");
const BY_MARKET: &str = include_str!("../../examples/postgres/citus_by_market.sql");
/// The trigger by which the program knows a table that Citus distributes.
const STAND_INS: &str = "
    create function citus_truncate_trigger() returns trigger language plpgsql as 'begin return null; end';
    create function create_distributed_table(distributed regclass, by text, colocate_with text default 'default')
        returns void language plpgsql as $$
        begin
            execute format('create trigger truncate_trigger after truncate on %s execute function citus_truncate_trigger()',
                distributed);
        end $$;
    create function truncate_local_data_after_distributing_table(regclass) returns void language sql as ''";
const SECOND_US: i64 = 1_000_000;
const MARKETS: [&str; 3] = ["KXA", "KXB", "KXC"];
const ALL: &str = "KXA,KXB,KXC";
const REFUSED: i64 = 5;

/// Three markets with 18,000 trades and five refused events, stored before the tables are distributed.
fn distributed<'a>(database: &'a Database, file: &str) -> Bench<'a> {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    for (seed, market) in (1..).zip(MARKETS) {
        let trades = seeded_trades(seed, market, 6_000, until - 3_600 * SECOND_US, until);
        bench.exchange.add_all(trades);
    }
    for n in 0..REFUSED {
        let id = format!("odd-{n}");
        let json = format!("{{\"trade_id\":\"{id}\",\"ticker\":\"KXA\"}}");
        bench.exchange.add_event("KXA", until - n * SECOND_US, &id, json);
    }
    assert_eq!(bench.run(ALL, &[]), 0);
    database.execute(STAND_INS);
    database.execute(file);
    bench
}

fn count(database: &Database, from: &str) -> i64 {
    database.number(&format!("select count(*) as x from {from}"))
}

#[track_caller]
fn answer(bench: &Bench<'_>, name: &str, flags: &[&str]) -> String {
    let output = bench.process_of(name, flags);
    assert_eq!(output.status.code(), Some(0), "{name} {flags:?}: {}", stderr(&output));
    String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
}

#[test]
fn every_command_works_on_trades_by_id() {
    let database = Database::postgres();
    every_command_works(&database, &distributed(&database, BY_TRADE));
}

#[test]
fn every_command_works_on_trades_and_events_by_market() {
    let database = Database::postgres();
    let bench = distributed(&database, BY_MARKET);
    let key = "select pg_get_constraintdef(oid) as x from pg_constraint
        where conrelid = 'prediction_market_trades'::regclass and contype = 'p'";
    let key = database.texts(key);
    assert_eq!(key, [Some("PRIMARY KEY (source, market_ticker, trade_id)".to_owned())]);
    every_command_works(&database, &bench);
}

fn every_command_works(database: &Database, bench: &Bench<'_>) {
    let counted = || database.number("select sum(trades)::bigint as x from trade_counts");
    // All of it is read once more, in big commits.
    database
        .execute("update ingestion_checkpoints set complete_from = null, complete_until = null");
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "nothing is stored twice");
    bench.advance(60 * SECOND_US);
    for (seed, market) in (11..).zip(MARKETS) {
        let trades = seeded_trades(seed, market, 700, NOON_US, NOON_US + 50 * SECOND_US);
        bench.exchange.add_all(trades);
    }
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "new ones");
    let before = database.trades();
    let newest = bench.exchange.trades("KXA").remove(0);
    bench.exchange.add(Trade { count_e2: newest.count_e2 + 1, ..newest });
    assert_eq!(bench.run(ALL, &[]), 0);
    assert_eq!(database.raw_counts(), (20_100, REFUSED + 1), "a conflict is noticed");
    assert_eq!(counted(), 20_100);
    let status = answer(bench, "status", &["--output", "csv"]);
    assert_eq!(status.matches(",6700,").count(), 3, "{status}");
    answer(bench, "completeness", &["--market", ALL]);

    database.execute("delete from prediction_market_trades where trade_id < '8'");
    answer(bench, "migrate", &["--recount"]);
    assert_eq!(counted(), count(database, "prediction_market_trades"));
    let told = answer(bench, "replay", &[]);
    let back = 20_100 - before.iter().filter(|trade| &*trade.0 >= "8").count();
    assert!(told.contains(&format!("events_ingested={back} ")), "{told}");
    assert_rows(&database.trades(), &before, "the deleted rows are back");
    assert_eq!(counted(), 20_100);
    let told = answer(bench, "replay", &["--into", "trades_new", "--compare"]);
    assert!(told.contains("only in trades_new: 0\ndifferent: 0"), "{told}");
    database.execute(
        "update trades_new set side = case side when 'yes' then 'no' else 'yes' end where trade_id < '01'",
    );
    let changed = count(database, "trades_new where trade_id < '01'");
    let told = answer(bench, "replay", &["--into", "trades_new", "--compare"]);
    assert!(told.contains(&format!("only in trades_new: 0\ndifferent: {changed}\n")), "{told}");

    database.execute("delete from prediction_market_trades where trade_id < '1'");
    let kept = count(database, "raw_kalshi_trade_events where trade_id < '1' and rejected is null");
    let all_kept = kept + REFUSED + 1;
    bench.advance(40 * DAY_US);
    let told = answer(bench, "prune", &["--raw-older-than", "30d", "--dry-run"]);
    assert!(told.contains(&format!("; {all_kept} were never normalized")), "{told}");
    let told = answer(bench, "prune", &["--raw-older-than", "30d"]);
    assert!(told.contains(&format!("{all_kept} of 20106 raw events")), "{told}");
    assert_eq!(database.raw_counts(), (kept, REFUSED + 1));
    answer(bench, "replay", &[]);
    assert_rows(&database.trades(), &before, "the kept events are enough");
}

/// The price of the layout by market.
#[test]
fn a_trade_of_a_renamed_market_is_stored_a_second_time() {
    let database = Database::postgres();
    let bench = distributed(&database, BY_MARKET);
    let trade = bench.exchange.trades("KXA").remove(0);
    let id = trade.trade_id.clone();
    bench.exchange.add(Trade { ticker: "KXD".to_owned(), ..trade });
    assert_eq!(bench.run("KXD", &[]), 0);
    let stored = format!("prediction_market_trades where trade_id = '{id}'");
    assert_eq!(count(&database, &stored), 2);
}
