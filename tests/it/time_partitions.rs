//! The table of trades after `examples/postgres/partition_by_time.sql`: the upgrade at work, interrupted and repeated,
//! and the program on the monthly partitions. PostgreSQL only.

mod commands;

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade as stored;
use kalshi_ingest::failure::Kind;
use kalshi_ingest::store::{ReplayCursor, Replayed};
use kalshi_simulator::{Rules, seeded_trades};
use postgres::{Client, NoTls};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::Database;
use crate::support::postgres::binaries;

const FILE: &str = include_str!("../../examples/postgres/partition_by_time.sql");
/// The day on which the script runs: four months after the trades, so that they lie before its cut.
const TODAY: &str = "timestamptz '2026-11-27 12:00:00Z'";
const SECOND_US: i64 = 1_000_000;
const MARKETS: [&str; 2] = ["KXA", "KXB"];
const ALL: &str = "KXA,KXB";
const TRADES: &str = "prediction_market_trades";

/// The script, run on a day that does not depend on the machine.
fn script() -> String {
    assert!(FILE.matches("now()").count() > 3);
    FILE.replace("now()", TODAY)
}

/// Runs a script with psql.
fn psql(database: &Database, script: &str) -> Output {
    let beside = binaries().map(|bin| bin.join("psql")).filter(|path| path.exists());
    let mut child = Command::new(beside.unwrap_or_else(|| "psql".into()))
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", "-", &database.url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn partition(database: &Database) {
    let output = psql(database, &script());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

/// The script up to the end of a step, as if psql had been killed there.
fn up_to(step: u32) -> String {
    let next = format!("-- Step {}.", step + 1);
    let script = script();
    let (done, _) = script.split_once(&next).unwrap();
    format!("{done}\\endif\n")
}

/// Two markets with 2,400 trades, stored.
fn bench_with_trades(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    for (seed, market) in (1..).zip(MARKETS) {
        let trades = seeded_trades(seed, market, 1_200, until - 3_600 * SECOND_US, until);
        bench.exchange.add_all(trades);
    }
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "before");
    bench
}

/// Lets a pass store new trades of so many days and some minutes later.
fn pass_after(bench: &Bench<'_>, seed: u64, days: i64) {
    bench.advance(days * DAY_US + 700 * SECOND_US);
    let now = bench.exchange.now_us();
    for (seed, market) in (seed..).zip(MARKETS) {
        bench.exchange.add_all(seeded_trades(
            seed,
            market,
            300,
            now - 600 * SECOND_US,
            now - SECOND_US,
        ));
    }
    assert_eq!(bench.run(ALL, &[]), 0);
}

/// Every column of every trade, in order.
fn rows(database: &Database) -> Vec<Option<String>> {
    database.texts(&format!("select t::text as x from {TRADES} t order by 1"))
}

fn count(database: &Database, table: &str) -> i64 {
    database.number(&format!("select count(*) as x from {table}"))
}

/// The name of the partition with the trades of before the upgrade.
fn old(database: &Database) -> String {
    let named = format!(
        "select inhrelid::regclass::text as x from pg_inherits
         where inhparent = '{TRADES}'::regclass and inhrelid::regclass::text like '%\\_before\\_%'"
    );
    database.texts(&named).remove(0).unwrap()
}

/// The sums of the counts that the program keeps.
fn counted(database: &Database) -> i64 {
    database.number("select sum(trades)::bigint as x from trade_counts")
}

#[test]
fn the_old_table_becomes_the_first_partition_and_nothing_is_lost() {
    let database = Database::postgres();
    let _bench = bench_with_trades(&database);
    for statement in [
        "grant select on prediction_market_trades to public",
        "create index of_my_own on prediction_market_trades (ingested_at) where quantity > 1000",
        "create view of_my_own_too as select count(*) as trades from prediction_market_trades",
        "comment on table prediction_market_trades is 'all trades'",
    ] {
        database.execute(statement);
    }
    let before = rows(&database);
    let file =
        "select pg_relation_filenode(c.oid)::text as x from pg_class c where c.relname = '{}'";
    let was = database.texts(&file.replace("{}", TRADES));
    partition(&database);
    assert!(rows(&database) == before, "every column of every row");
    let first = old(&database);
    assert_eq!(database.texts(&file.replace("{}", &first)), was, "no row is copied");
    assert_eq!(count(&database, &first), 2_400);
    assert_eq!(database.number("select trades as x from of_my_own_too"), 2_400);
    assert_eq!(count(&database, "prediction_market_trades_yes"), 2_400);
    let told = database.texts(&format!(
        "select conname || ' ' || pg_get_constraintdef(oid) as x from pg_constraint
             where conrelid = '{TRADES}'::regclass and contype = 'p'
         union all
         select indexrelid::regclass::text || ' ' || (indisvalid)::text from pg_index where indrelid = '{TRADES}'::regclass
         union all
         select 'public ' || has_table_privilege('public', '{TRADES}', 'select')::text
         union all
         select obj_description('{TRADES}'::regclass)
         order by 1"
    ));
    let told: Vec<&str> = told.iter().flatten().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "all trades",
            "of_my_own true",
            "prediction_market_trades_market_time true",
            "prediction_market_trades_pkey PRIMARY KEY (source, trade_id, traded_at)",
            "prediction_market_trades_pkey true",
            "prediction_market_trades_time true",
            "public true",
        ]
    );
    let checks = format!(
        "select count(*) as x from pg_constraint where conrelid in ('{TRADES}'::regclass, '{first}'::regclass)
         and contype = 'c' and conname like '%before%'"
    );
    assert_eq!(database.number(&checks), 0, "the cut is a bound of the partition now");
    let years =
        format!("select count(*) as x from pg_inherits where inhparent = '{TRADES}'::regclass");
    assert!(database.number(&years) > 36, "three years of months");
}

#[test]
fn an_empty_table_becomes_months_of_the_past() {
    let database = Database::postgres();
    database.open();
    partition(&database);
    let none =
        format!("select count(*) as x from pg_class where relname like '{TRADES}\\_before\\_%'");
    assert_eq!(database.number(&none), 0);
    let bench = bench_with_trades(&database);
    assert_eq!(count(&database, "prediction_market_trades_2026_07"), 2_400);
    assert_eq!(count(&database, "prediction_market_trades_other"), 0);
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "from the start");
}

#[test]
fn an_interrupted_upgrade_goes_on_where_it_was() {
    for step in 1..=3 {
        let database = Database::postgres();
        let bench = bench_with_trades(&database);
        let before = rows(&database);
        let output = psql(&database, &up_to(step));
        assert!(output.status.success(), "step {step}: {}", stderr(&output));
        let kind = format!("select relkind::text as x from pg_class where relname = '{TRADES}'");
        assert_eq!(database.texts(&kind), [Some("r".to_owned())], "step {step}");
        match step {
            // As a build of the index leaves it that was killed.
            2 => database.execute(
                "update pg_index set indisvalid = false
                 where indexrelid = 'prediction_market_trades_by_time_key'::regclass",
            ),
            // As if that had been months ago: a cut that would refuse the trades of tomorrow.
            3 => database.execute(
                "alter table prediction_market_trades rename constraint prediction_market_trades_before_2027_01
                 to prediction_market_trades_before_2020_01",
            ),
            _ => {}
        }
        pass_after(&bench, 31, 0);
        bench.assert_complete(&MARKETS, "between two attempts");
        partition(&database);
        assert!(rows(&database).len() == before.len() + 600, "step {step}");
        pass_after(&bench, 41, 300);
        bench.assert_complete(&MARKETS, "after the second attempt");
    }
}

#[test]
fn a_second_time_adds_the_months_that_are_missing() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database);
    let months = format!(
        "select string_agg(inhrelid::regclass::text, ' ' order by inhrelid::regclass::text) as x
         from pg_inherits where inhparent = '{TRADES}'::regclass"
    );
    let all = database.texts(&months);
    partition(&database);
    assert_eq!(database.texts(&months), all, "none is missing");
    // As if nobody had run it for years: trades of a month that is not there go to the default partition.
    let later = format!(
        "select inhrelid::regclass::text as x from pg_inherits where inhparent = '{TRADES}'::regclass
         and inhrelid::regclass::text ~ '_2\\d{{3}}_\\d{{2}}$' and inhrelid::regclass::text !~ 'before' order by 1"
    );
    for month in database.texts(&later).iter().flatten().skip(1) {
        database.execute(&format!("drop table {month}"));
    }
    pass_after(&bench, 51, 300);
    bench.assert_complete(&MARKETS, "without a month");
    assert_eq!(count(&database, "prediction_market_trades_other"), 600);
    let before = rows(&database);
    partition(&database);
    assert_eq!(database.texts(&months), all);
    assert_eq!(count(&database, "prediction_market_trades_other"), 0, "they are in their month");
    assert!(rows(&database) == before);
}

#[test]
fn a_writer_at_work_loses_nothing_to_the_upgrade() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    let is_over = AtomicBool::new(false);
    let exits = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut exits = Vec::new();
            for seed in 61.. {
                bench.advance(20 * SECOND_US);
                let now = bench.exchange.now_us();
                let trades = seeded_trades(seed, "KXA", 50, now - 15 * SECOND_US, now - SECOND_US);
                bench.exchange.add_all(trades);
                exits.push(bench.run(ALL, &[]));
                if is_over.load(Ordering::SeqCst) {
                    return exits;
                }
            }
            exits
        });
        partition(&database);
        is_over.store(true, Ordering::SeqCst);
        writer.join().unwrap()
    });
    assert!(exits.iter().all(|exit| [0, 5].contains(exit)), "{exits:?}");
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "after the upgrade");
    let trades = count(&database, TRADES);
    assert_eq!((database.raw_counts(), counted(&database)), ((trades, 0), trades));
}

/// A trade as a replay stores it.
fn replayed(id: &str) -> Replayed {
    let at = Timestamp::from_micros(NOON_US);
    let trade = stored::Trade {
        trade_id: id.into(),
        market: Ticker::new("KXA").unwrap(),
        side: stored::Side::No,
        price: stored::Price::from_e4_cents(380_001).unwrap(),
        quantity: stored::Quantity::from_e2(1_261).unwrap(),
        traded_at: at,
        is_block_trade: None,
    };
    Replayed { run_id: 1, received_at: at, trade }
}

#[test]
fn a_store_at_work_takes_over_the_new_key() {
    let database = Database::postgres();
    let _bench = bench_with_trades(&database);
    let mut store = database.open();
    let cursor =
        ReplayCursor { target: TRADES.to_owned(), from: None, until: None, after_event: 0 };
    let mut put =
        |id: &str| store.replay(&cursor, &[replayed(id)], Timestamp::from_micros(NOON_US));
    assert_eq!(put("first").unwrap(), 1);
    partition(&database);
    // The key that this store knows is gone. That counts as a broken connection, after which a pass starts anew.
    let failure = put("second").unwrap_err();
    assert_eq!(failure.kind, Kind::StoreInterrupted, "{failure}");
    store.reconnect().unwrap();
    let mut put =
        |id: &str| store.replay(&cursor, &[replayed(id)], Timestamp::from_micros(NOON_US));
    assert_eq!((put("first").unwrap(), put("second").unwrap()), (0, 1));
}

#[test]
fn obstacles_are_told_and_nothing_is_changed() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    let kinds = || {
        let kinds = "select concat_ws(' ', relname, relkind, oid) as x from pg_class
            where relnamespace = 'public'::regnamespace order by 1";
        (database.texts(kinds), rows(&database))
    };
    for (obstacle, removed, part) in [
        (
            "create function nothing() returns trigger language plpgsql as 'begin return null; end';
             create trigger mine after insert on prediction_market_trades execute function nothing()",
            "drop trigger mine on prediction_market_trades",
            "would be lost: trigger mine",
        ),
        (
            "create materialized view mine as select trade_id from prediction_market_trades",
            "drop materialized view mine",
            "would be lost: materialized view mine",
        ),
        (
            "create unique index mine on prediction_market_trades (trade_id)",
            "drop index mine",
            "would be lost: unique index mine",
        ),
    ] {
        database.execute(obstacle);
        let before = kinds();
        let output = psql(&database, &script());
        assert_eq!(output.status.code(), Some(3));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
        assert!(kinds() == before, "{part}");
        database.execute(removed);
    }
    // A reader holds its lock for long: the swap gives up and can be repeated.
    assert!(psql(&database, &up_to(3)).status.success());
    let before = kinds();
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let mut reader = client.transaction().unwrap();
    reader.execute("select count(*) from prediction_market_trades", &[]).unwrap();
    let output = psql(&database, &script().replace("'5s'", "'100ms'"));
    assert!(stderr(&output).contains("lock timeout"), "{}", stderr(&output));
    assert!(kinds() == before);
    reader.rollback().unwrap();
    partition(&database);
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "after all that");
}
