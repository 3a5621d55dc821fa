//! The names and columns of the views, and other things with such a name.

use kalshi_ingest::domain::time::Timestamp;
use kalshi_simulator::Rules;

use super::{rows, store};
use crate::support::bench::Bench;
use crate::support::database::{Database, VIEWS, on_both_stores};

on_both_stores! {
    something_else_of_that_name_is_left_alone,
    a_view_that_was_dropped_is_made_by_migrate,
    a_step_makes_all_views_anew,
    labels_are_taken_from_the_descriptions_on_record,
}

const NOW: Timestamp = Timestamp::from_seconds(1_785_003_600);

/// The columns of a view, in their order.
fn columns(database: &Database, view: &str) -> Vec<String> {
    let sql = if database.url.starts_with("sqlite:") {
        format!("select name as x from pragma_table_info('{view}') order by cid")
    } else {
        format!(
            "select attname as x from pg_attribute where attrelid = '{view}'::regclass and attnum > 0 order by attnum"
        )
    };
    database.texts(&sql).into_iter().flatten().collect()
}

#[test]
fn both_stores_have_the_same_views_with_the_same_columns() {
    let databases = [Database::sqlite(), Database::postgres()];
    for database in &databases {
        drop(database.open());
    }
    for view in VIEWS {
        let [ours, theirs] = [0, 1].map(|at| columns(&databases[at], view));
        assert!(ours.len() > 8, "{view}: {ours:?}");
        assert_eq!(ours, theirs, "{view}");
    }
    let first = [
        "ticker",
        "side",
        "yes_price",
        "no_price",
        "quantity",
        "notional_usd",
        "traded_at",
        "is_block",
        "series",
        "event",
        "title",
        "yes_label",
        "result",
        "settlement",
    ];
    assert_eq!(columns(&databases[0], "trades")[..first.len()], first);
}

/// Every column of every view in PostgreSQL has the type that its cast names, with its precision.
#[test]
fn no_column_of_a_view_is_of_an_open_type() {
    let database = Database::postgres();
    let open = "select c.relname || '.' || a.attname as x
        from pg_attribute a
        join pg_class c on c.oid = a.attrelid and c.relkind = 'v'
        where c.relnamespace = 'public'::regnamespace and a.attnum > 0 and c.relname <> 'prediction_market_trades_yes'
            and a.atttypid = 'numeric'::regtype and a.atttypmod = -1";
    assert_eq!(database.texts(open), []);
    let silent = "select c.relname as x from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'r')
            and obj_description(c.oid, 'pg_class') is null";
    assert_eq!(database.texts(silent), [], "tables and views without a remark");
}

/// What is there before the first pass of this build.
fn in_the_way(database: &Database) {
    database.execute(
        "create table trades (mine integer);
         insert into trades values (7);
         create view candles_1h as select 8 as mine;
         create table indexed (mine integer);
         create index markets on indexed (mine)",
    );
}

fn something_else_of_that_name_is_left_alone(database: &Database) {
    if !database.url.starts_with("sqlite:") {
        database.clear();
    }
    in_the_way(database);
    let mut opened = database.open();
    store(database, &[("t", "M", "yes", 400_000, 100, "2026-11-22T10:00:00.000000Z", None)]);
    assert_eq!(rows(database, "select mine from trades"), ["7"]);
    assert_eq!(rows(database, "select mine from candles_1h"), ["8"]);
    assert_eq!(rows(database, "select open from candles_1m"), ["40"], "the others are there");
    opened.make_views().unwrap();
    assert_eq!(rows(database, "select mine from trades"), ["7"], "it is still there");
    database.execute("alter table trades rename to trades_of_mine; drop index markets");
    opened.make_views().unwrap();
    assert_eq!(rows(database, "select yes_price from trades"), ["40"]);
    assert_eq!(rows(database, "select count(*) from markets"), ["0"]);
    assert_eq!(rows(database, "select mine from trades_of_mine"), ["7"]);
    assert_eq!(rows(database, "select mine from candles_1h"), ["8"]);
}

fn a_view_that_was_dropped_is_made_by_migrate(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    assert_eq!(bench.main("migrate", &[]), 0);
    database.execute("drop view trades; drop view candles_1m");
    assert_eq!(bench.main("migrate", &[]), 0);
    for view in VIEWS {
        assert_eq!(rows(database, &format!("select count(*) from {view}")), ["0"], "{view}");
    }
}

fn a_step_makes_all_views_anew(database: &Database) {
    drop(database.open());
    let before: Vec<_> = VIEWS.map(|view| columns(database, view)).into();
    let body = "-- kalshi-ingest: of an earlier build
        select market_ticker as ticker, 'old' as side from prediction_market_trades";
    if database.url.starts_with("sqlite:") {
        database.execute(&format!("drop view trades; create view trades as\n{body}"));
    } else {
        database.execute(&format!(
            "drop view trades; create view trades as {body};
             alter view trades owner to current_user;
             comment on view trades is 'kalshi-ingest: of an earlier build'"
        ));
    }
    store(database, &[("t", "M", "yes", 400_000, 100, "2026-11-22T10:00:00.000000Z", None)]);
    let last =
        database.texts("select max(name) as x from kalshi_ingest_migrations").remove(0).unwrap();
    assert_eq!(last, "014_market_changes", "this test undoes the newest step");
    for view in VIEWS.iter().filter(|view| **view != "trades") {
        database.execute(&format!("drop view {view}"));
    }
    database.execute(
        "drop table market_changes; alter table prediction_markets drop column terms;
         delete from kalshi_ingest_migrations where name = '014_market_changes'",
    );
    let mut store = database.open();
    assert!(store.migrate(NOW).unwrap().is_empty(), "opening has migrated");
    assert_eq!(VIEWS.map(|view| columns(database, view)).to_vec(), before);
    assert_eq!(rows(database, "select side from trades"), ["yes"]);
}

fn labels_are_taken_from_the_descriptions_on_record(database: &Database) {
    drop(database.open());
    database.undo_steps_from_008();
    let row = |ticker: &str, payload: &str| {
        let at = "'2026-07-25T12:00:00.000000Z'";
        database.execute(&format!(
            "insert into prediction_markets (source, market_ticker, event_ticker, status, payload, first_seen_at,
                 updated_at, observed_at, checked_at)
             values ('kalshi', '{ticker}', 'E', 'active', '{payload}', {at}, {at}, {at}, {at})"
        ));
    };
    row("A", r#"{"yes_sub_title":"50° to 51°","b":1}"#);
    row("B", r#"{"yes_sub_title":""}"#);
    row("C", r#"{"yes_sub_title":7}"#);
    row("D", r#"{"b":"yes_sub_title"}"#);
    row("E", r#"{"yes_sub_title":"x","b":"\u0000"}"#);
    row("F", r#"{"yes_sub_title":"x","b":"\uD83D"}"#);
    row("G", r#"{"yes_sub_title":"caf\u00e9"}"#);
    row("H", "[]");
    drop(database.open());
    let labels = "select ticker, yes_label from markets order by ticker";
    let expected =
        ["A|50° to 51°", "B|null", "C|null", "D|null", "E|null", "F|null", "G|café", "H|null"];
    assert_eq!(rows(database, labels), expected);
}
