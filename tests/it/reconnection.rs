//! A database that breaks off again and again: the work goes on from the last commit, costs what was
//! broken off and no more, and is judged by how it ended.

use kalshi_simulator::{Market, Rules, Status, Trade, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::Database;

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

fn instant(us: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string()
}

/// Has these writes to the table fail, counted from 1, as a transaction does that lost to another.
fn break_off(database: &Database, table: &str, hits: &str) {
    database.execute(&format!(
        "create sequence hits;
         create function trouble() returns trigger language plpgsql as $$ begin
             if nextval('hits') in ({hits}) then
                 raise exception 'could not serialize access' using errcode = '40001';
             end if;
             return null;
         end $$;
         create trigger trouble after insert or update on {table}
             for each statement execute function trouble()"
    ));
}

/// A day of the tape, stored, and how many pages it took.
fn filled_day(bench: &Bench<'_>) -> ([String; 4], usize) {
    let from = NOON_US - 2 * DAY_US;
    bench.exchange.add_market(Market::new("KXA-1-B", "KXA-1", from, NOON_US + DAY_US));
    bench.exchange.add_all(seeded_trades(1, "KXA-1-B", 200_000, from, NOON_US - HOUR_US));
    let window = ["--from", &instant(from), "--to", &instant(from + DAY_US)].map(str::to_owned);
    assert_eq!(bench.main("backfill", &flags(&window, &[])), 0);
    let pages = bench.requests();
    (window, pages)
}

fn flags<'a>(window: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let window = window.iter().map(String::as_str);
    window.chain(["--all"]).chain(more.iter().copied()).collect()
}

#[test]
fn what_is_read_again_by_force_is_read_again_once() {
    let database = Database::postgres();
    let bench = Bench::new(&database, Rules::default());
    let (window, pages) = filled_day(&bench);
    break_off(&database, "ingestion_windows", "3, 5");
    assert_eq!(bench.main("backfill", &flags(&window, &["--force"])), 0);
    let again = bench.requests();
    // A break costs the batch in hand, the pages that wait and one for each worker.
    assert!(again <= pages + 2 * 70, "{again} pages instead of {pages}");
    let read =
        database.number("select count(*) as x from ingestion_windows where status <> 'complete'");
    assert_eq!(read, 0);
    let broken =
        database.number("select retries as x from ingestion_runs order by run_id desc limit 1");
    assert_eq!(broken, 2, "the trigger did its work");
}

#[test]
fn events_that_could_not_be_read_are_told_of_although_the_pass_was_broken_off() {
    let database = Database::postgres();
    let bench = Bench::new(&database, Rules::default());
    let (from, until) = (NOON_US - 3 * HOUR_US, NOON_US - HOUR_US);
    bench.list_markets("KXA");
    bench.exchange.add_all(seeded_trades(1, "KXA", 25_000, from, until));
    // The newest, so that it is in the first batch.
    let mut odd: Trade = seeded_trades(2, "KXA", 1, until, until + 1).remove(0);
    odd.count_e2 = 0;
    bench.exchange.add(odd);
    break_off(&database, "prediction_market_trades", "2");
    let output = bench.process("KXA", &["-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.lines().count() == 1 && said.contains("could not be read as trades"), "{said}");
    let kept = "select count(*) as x from ingestion_runs where events_rejected = 1 and error like '%could not be read%'";
    assert_eq!(database.number(kept), 1);
    assert_eq!(database.number("select count(*) as x from prediction_market_trades"), 25_000);
}

#[test]
fn two_attempts_are_one_pass_to_a_market_that_retires() {
    for hit in 1..=8 {
        let database = Database::postgres();
        let bench = Bench::new(&database, Rules::default());
        let (open, close) = (NOON_US - 3 * DAY_US, NOON_US - 2 * DAY_US);
        let mut market = Market::new("KXA-1-B", "KXA-1", open, close);
        market.status = Some(Status::Finalized);
        market.settled_us = Some(close);
        bench.exchange.add_market(market);
        bench.exchange.add_all(seeded_trades(1, "KXA-1-B", 50, open, close));
        let flags = ["--market", "KXA-1-B", "--sync-markets", "1s"];
        break_off(&database, "prediction_markets", &hit.to_string());
        assert_eq!(bench.pass(&flags), 0, "hit {hit}");
        let retired =
            "select count(*) as x from ingestion_checkpoints where retired_at is not null";
        assert_eq!(database.number(retired), 0, "hit {hit}: one pass could be misled by one date");
        for _ in 0..2 {
            bench.advance(60_000_000);
            assert_eq!(bench.pass(&flags), 0);
        }
        assert_eq!(database.number(retired), 1, "hit {hit}: two agree");
        bench.assert_complete(&["KXA-1-B"], "retired with all its trades");
    }
}

#[test]
fn the_end_of_a_run_is_told_to_a_database_that_comes_back() {
    let database = Database::postgres();
    let bench = Bench::new(&database, Rules::default());
    // Begun, told of its trades, and then twice not ended.
    bench.exchange.add_all(seeded_trades(
        1,
        "KXA",
        10,
        NOON_US - HOUR_US,
        NOON_US - 60 * SECOND_US,
    ));
    break_off(&database, "ingestion_totals", "1, 2");
    let output = bench.process("KXA", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        database.number("select count(*) as x from ingestion_runs where finished_at is null"),
        0
    );
    let requests = "select total as x from ingestion_totals where metric = 'requests'";
    assert_eq!(
        database.number(requests),
        database.number("select requests as x from ingestion_runs")
    );
}

#[test]
fn a_pass_that_goes_on_holds_its_lock_again() {
    let database = Database::postgres();
    let bench = Bench::new(&database, Rules::default());
    bench.exchange.add_all(seeded_trades(
        1,
        "KXA",
        25_000,
        NOON_US - 3 * HOUR_US,
        NOON_US - HOUR_US,
    ));
    // Ends the connection that holds the lock together with the transaction, and notes who holds one later.
    database.execute(
        "create sequence hits;
         create table held (held bigint);
         create function trouble() returns trigger language plpgsql as $$ begin
             if nextval('hits') = 2 then
                 perform pg_terminate_backend(pid) from pg_stat_activity
                     where datname = current_database() and application_name = 'kalshi-ingest' and pid <> pg_backend_pid();
                 raise exception 'gone' using errcode = '57P01';
             end if;
             insert into held select count(*) from pg_locks
                 where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database());
             return null;
         end $$;
         create trigger trouble after insert on prediction_market_trades for each statement execute function trouble()",
    );
    let output = bench.process("KXA", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    bench.assert_complete(&["KXA"], "after the lock was lost");
    assert!(
        database.number("select min(held) as x from held") >= 1,
        "somebody holds the lock all along"
    );
}
