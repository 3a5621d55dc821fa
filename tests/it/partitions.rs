//! The tables after `examples/postgres/partition.sql`: the same rows, and a program that does not
//! notice. PostgreSQL only. `create_hypertable` of timescale.sql has a stand-in here.

use kalshi_simulator::{Rules, seeded_trades};
use postgres::{Client, NoTls};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, assert_rows};

const SECOND_US: i64 = 1_000_000;
const SCRIPT: &str = include_str!("../../examples/postgres/partition.sql");
const TIMESCALE: &str = include_str!("../../examples/postgres/timescale.sql");
const MARKETS: [&str; 3] = ["KXA", "KXB", "KXC"];
const ALL: &str = "KXA,KXB,KXC";
const REFUSED: i64 = 5;
const TABLES: [&str; 2] = ["prediction_market_trades", "raw_kalshi_trade_events"];

/// Runs the script as psql would; what the server says against it.
fn partition(database: &Database) -> Result<(), String> {
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    client
        .batch_execute(SCRIPT)
        .map_err(|error| error.as_db_error().map_or(error.to_string(), ToString::to_string))
}

/// Three markets with 3,600 trades and five refused events, stored.
fn bench_with_trades(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    for (seed, market) in (1..).zip(MARKETS) {
        let trades = seeded_trades(seed, market, 1_200, until - 3_600 * SECOND_US, until);
        bench.exchange.add_all(trades);
    }
    add_refused(&bench, until);
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "before");
    bench
}

/// Events that are no trades, within the overlap of the next pass.
fn add_refused(bench: &Bench<'_>, at: i64) {
    for n in 0..REFUSED {
        let market = if n < 3 { "KXA" } else { "KXB" };
        let id = format!("odd-{at}-{n}");
        let json = format!("{{\"trade_id\":\"{id}\",\"ticker\":\"{market}\"}}");
        bench.exchange.add_event(market, at - n * SECOND_US, &id, json);
    }
}

/// Every column of every row, in order.
fn rows(database: &Database, table: &str) -> Vec<Option<String>> {
    database.texts(&format!("select t::text as x from {table} t order by 1"))
}

fn everything(database: &Database) -> Vec<Vec<Option<String>>> {
    TABLES.map(|table| rows(database, table)).to_vec()
}

/// Columns, checks, indexes, sequences and grants of both tables; what may differ is left out.
fn shape(database: &Database) -> Vec<Option<String>> {
    let tables = "'prediction_market_trades', 'raw_kalshi_trade_events'";
    database.texts(&format!(
        "select concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attcollation,
                attnotnull, attidentity) as x
            from pg_attribute where attrelid::regclass::text in ({tables}) and attnum > 0
         union all
         select concat_ws(' ', 'check', conrelid::regclass, conname, pg_get_constraintdef(oid))
            from pg_constraint where conrelid::regclass::text in ({tables}) and contype = 'c'
         union all
         select replace(concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisprimary), ' ONLY ', ' ')
            from pg_index where indrelid::regclass::text in ({tables})
         union all
         select concat_ws(' ', 'sequence', pg_get_serial_sequence('raw_kalshi_trade_events', 'event_id'))
         union all
         select concat_ws(' ', 'grant', table_name, grantee, privilege_type)
            from information_schema.role_table_grants where table_name in ({tables}, 'prediction_market_trades_yes')
         union all
         select concat_ws(' ', 'view', pg_get_viewdef('prediction_market_trades_yes'))
         order by 1"
    ))
}

#[test]
fn every_row_key_and_number_survives() {
    let database = Database::postgres();
    let _bench = bench_with_trades(&database);
    // Each by itself: a grant and an index in one transaction can deadlock with an autovacuum.
    for statement in [
        "grant select on prediction_market_trades to public",
        "grant select on prediction_market_trades_yes to public",
        "create index of_my_own on prediction_market_trades (ingested_at) where quantity > 1000",
        "create view of_my_own_too as select count(*) as trades from prediction_market_trades",
    ] {
        database.execute(statement);
    }
    let (before, shape_before) = (everything(&database), shape(&database));
    let last = database.number("select max(event_id) as x from raw_kalshi_trade_events");
    partition(&database).unwrap();
    assert!(everything(&database) == before, "every column of every row");
    let key = "(event_id";
    let is_raw_key =
        |text: &str| text.contains("raw_kalshi_trade_events_pkey") && text.contains(key);
    let (ours, theirs): (Vec<_>, Vec<_>) = (shape(&database), shape_before);
    let without_key = |shape: &[Option<String>]| -> Vec<String> {
        shape.iter().flatten().filter(|text| !is_raw_key(text)).cloned().collect()
    };
    assert_rows(&without_key(&ours), &without_key(&theirs), "columns, checks, indexes, grants");
    assert_eq!(ours.len(), theirs.len());
    for table in TABLES {
        let partitions =
            format!("select count(*) as x from pg_inherits where inhparent = '{table}'::regclass");
        assert_eq!(database.number(&partitions), 16, "{table}");
        assert_eq!(database.number(&format!("select count(*) as x from only {table}")), 0);
    }
    let filled = "select count(distinct tableoid) as x from prediction_market_trades";
    assert_eq!(database.number(filled), 16, "in all of them");
    let yes = "select count(*) as x from prediction_market_trades_yes where yes_price is not null";
    assert_eq!(database.number(yes), 3_600);
    assert_eq!(database.number("select trades as x from of_my_own_too"), 3_600);
    database.execute(
        "insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, payload)
         values (1, now(), 'KXA', '{}')",
    );
    let next = database.number("select max(event_id) as x from raw_kalshi_trade_events");
    assert!(next > last, "the numbers of events go on: {next} after {last}");
    let whole = "select count(*) as x from pg_class where relname like '%\\_whole'";
    assert_eq!(database.number(whole), 0, "nothing is left of the old tables");
}

#[test]
fn passes_go_on_and_store_nothing_twice() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    let ingested = |run: i64| {
        database.number(&format!(
            "select events_ingested as x from ingestion_runs where run_id = {run}"
        ))
    };
    partition(&database).unwrap();
    assert_eq!(bench.run(ALL, &[]), 0);
    assert_eq!(ingested(2), 0, "all of it is known, in the new tables too");
    assert_eq!(database.raw_counts(), (3_600, REFUSED), "a refused event is still kept once");
    bench.advance(60 * SECOND_US);
    for (seed, market) in (11..).zip(MARKETS) {
        let trades = seeded_trades(seed, market, 700, NOON_US, NOON_US + 50 * SECOND_US);
        bench.exchange.add_all(trades);
    }
    add_refused(&bench, NOON_US + 20 * SECOND_US);
    assert_eq!(bench.run(ALL, &[]), 0);
    assert_eq!(ingested(3), 2_100);
    bench.assert_complete(&MARKETS, "after a pass with new, known and refused events");
    assert_eq!(database.raw_counts(), (5_700, 2 * REFUSED));
    // All of it is read once more.
    database
        .execute("update ingestion_checkpoints set complete_from = null, complete_until = null");
    assert_eq!(bench.run(ALL, &[]), 0);
    assert_eq!(ingested(4), 0);
    bench.assert_complete(&MARKETS, "after reading all of it again");
    assert_eq!(database.raw_counts(), (5_700, 2 * REFUSED));
    let numbers = "select count(*) - count(distinct event_id) as x from raw_kalshi_trade_events";
    assert_eq!(database.number(numbers), 0, "no number twice");
    let output = bench.process_of("status", &["--output", "csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(status.matches("1900").count(), 3, "{status}");
    assert_eq!(bench.main("migrate", &[]), 0);
    let migrations = "select count(*) as x from kalshi_ingest_migrations";
    let before = database.number(migrations);
    assert_eq!(bench.main("migrate", &[]), 0);
    assert_eq!(database.number(migrations), before);
}

#[test]
fn a_fresh_database_can_be_partitioned_before_the_first_pass() {
    let database = Database::postgres();
    database.open();
    partition(&database).unwrap();
    let bench = bench_with_trades(&database);
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "from the start");
    assert_eq!(database.raw_counts(), (3_600, REFUSED));
    let first = database.number("select min(event_id) as x from raw_kalshi_trade_events");
    assert_eq!(first, 1);
}

#[test]
fn replay_and_prune_find_their_rows() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database).unwrap();
    let before = rows(&database, TABLES[0]);
    database.execute("delete from prediction_market_trades where trade_id < '9'");
    assert_eq!(bench.main("replay", &[]), 0);
    assert!(rows(&database, TABLES[0]) == before, "what was deleted is back");
    database.assert_counted();
    for round in ["made", "found"] {
        let output = bench.process_of("replay", &["--into", "trades_new", "--compare"]);
        assert_eq!(output.status.code(), Some(0), "{round}: {}", stderr(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("only in trades_new: 0\ndifferent: 0"), "{round}: {said}");
    }
    assert!(rows(&database, "trades_new") == before, "a whole table with the same rows");
    // A partition has the shape of a table of trades, but not every trade belongs into it.
    let output = bench.process_of("replay", &["--into", "prediction_market_trades_p00"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("partition constraint"), "{}", stderr(&output));
    assert!(rows(&database, TABLES[0]) == before);

    database.execute(
        "update raw_kalshi_trade_events set received_at = '2026-01-01T00:00:00Z' where trade_id < 'a';
         delete from prediction_market_trades where trade_id < '1'",
    );
    let count = |condition: &str| {
        database
            .number(&format!("select count(*) as x from raw_kalshi_trade_events where {condition}"))
    };
    let (unnormalized, young) = (count("trade_id < '1'"), count("trade_id >= 'a'"));
    assert_eq!(bench.main("prune", &["--raw-older-than", "30d"]), 0);
    assert_eq!(count("trade_id < '1'"), unnormalized, "what was never normalized stays");
    assert_eq!(count("1 = 1"), unnormalized + young);
    assert_eq!(bench.main("replay", &[]), 0);
    assert_rows(&database.trades(), &bench.truth(&MARKETS), "what was kept is enough");
}

#[test]
fn a_key_is_looked_for_in_one_partition() {
    let database = Database::postgres();
    let _bench = bench_with_trades(&database);
    partition(&database).unwrap();
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    for (query, partition) in [
        (
            "select * from prediction_market_trades where source = 'kalshi' and trade_id = 'a'",
            "_trades_p",
        ),
        ("select * from raw_kalshi_trade_events where market_ticker = 'KXA'", "_events_p"),
    ] {
        let plan = client.query(&format!("explain (costs off) {query}"), &[]).unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let scans = plan.iter().filter(|line| line.contains("Scan") && line.contains(" on "));
        let scanned: Vec<&String> = scans.filter(|line| line.contains(partition)).collect();
        assert_eq!(scanned.len(), 1, "{plan:#?}");
    }
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    let kinds = || {
        let kinds = "select concat_ws(' ', relname, relkind, oid) as x from pg_class where relnamespace = 'public'::regnamespace order by 1";
        (database.texts(kinds), everything(&database))
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
            "other objects depend on it",
        ),
        (
            "create unique index mine on raw_kalshi_trade_events (event_id)",
            "drop index mine",
            "unique constraint on partitioned table",
        ),
    ] {
        database.execute(obstacle);
        let before = kinds();
        let said = partition(&database).unwrap_err();
        assert!(said.contains(part), "{said}");
        assert!(kinds() == before, "{part}");
        database.execute(removed);
    }
    partition(&database).unwrap();
    let before = kinds();
    let said = partition(&database).unwrap_err();
    assert!(said.contains("partitioned already; nothing was changed"), "{said}");
    assert!(kinds() == before, "the second time");
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "after all that");
}

#[test]
fn the_copy_for_timescale_gets_each_new_trade_once() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database).unwrap();
    database.execute(
        "create function create_hypertable(regclass, name, chunk_time_interval interval,
            create_default_indexes boolean, migrate_data boolean default false) returns void
            language sql as ''",
    );
    // Up to what only the extension understands.
    let (first_half, _) = TIMESCALE.split_once("commit;").unwrap();
    let extension = "create extension if not exists timescaledb;";
    assert!(first_half.contains(extension));
    database.execute(&(first_half.replace(extension, "") + "commit;"));
    let copy = "prediction_market_trades_by_time";
    assert!(rows(&database, copy) == rows(&database, TABLES[0]), "what was there before");
    bench.advance(60 * SECOND_US);
    bench.exchange.add_all(seeded_trades(9, "KXA", 300, NOON_US, NOON_US + 50 * SECOND_US));
    assert_eq!(bench.run(ALL, &[]), 0);
    bench.assert_complete(&MARKETS, "beside the copy");
    database.execute("delete from prediction_market_trades where trade_id < '3'");
    assert_eq!(bench.main("replay", &[]), 0);
    bench.assert_complete(&MARKETS, "after a replay");
    assert!(
        rows(&database, copy) == rows(&database, TABLES[0]),
        "new ones, and those from a replay"
    );
}

#[test]
fn a_conflict_is_kept_once_in_partitions_too() {
    let database = Database::postgres();
    let bench = bench_with_trades(&database);
    partition(&database).unwrap();
    let newest = bench.exchange.trades("KXA").remove(0);
    bench.exchange.add(kalshi_simulator::Trade { count_e2: newest.count_e2 + 1, ..newest });
    for pass in 1..=2 {
        bench.advance(SECOND_US);
        assert_eq!(bench.run(ALL, &[]), 0);
        let kept = "select count(*) as x from raw_kalshi_trade_events where rejected like 'conflicts with%'";
        assert_eq!(database.number(kept), 1, "pass {pass}");
        assert_eq!(database.raw_counts(), (3_600, REFUSED + 1), "pass {pass}");
    }
}
