//! Tables of trades beside the usual one.

use kalshi_ingest::failure::Kind;
use kalshi_ingest::store::{Difference, Store, TRADES_TABLE};

use super::{at, beginning, count, dump, event, is_sqlite, raw, receive, replayed};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_second_table_is_empty_and_then_left_alone,
    a_second_table_has_the_same_keys_and_checks,
    a_second_table_has_the_same_indexes,
    odd_names_are_refused,
    a_name_of_something_else_is_refused,
    a_second_table_is_filled_and_is_the_same,
    every_difference_is_counted_and_explained,
    examples_are_of_every_kind_and_not_too_many,
    a_trade_of_another_source_is_another_trade,
    only_tables_of_trades_are_compared,
    ten_thousand_differences_are_counted,
}

/// Whether the table holds against this.
fn holds(database: &Database, sql: &str) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| database.execute(sql))).is_err()
}

fn a_second_table_is_empty_and_then_left_alone(database: &Database) {
    let mut store = database.open();
    let events = vec![event("A", "t1", 8)];
    receive(store.as_mut(), events.clone(), vec![], 60);
    store.make_trades_table("trades_2").unwrap();
    assert_eq!(dump(database, "trades_2"), []);
    let trades = replayed(&raw(store.as_mut()), &events);
    store.replay(&beginning("trades_2"), &trades, at(900)).unwrap();
    store.make_trades_table("trades_2").unwrap();
    store.make_trades_table("trades_3").unwrap();
    assert_eq!(dump(database, "trades_2"), dump(database, TRADES_TABLE));
    assert_eq!(dump(database, "trades_3"), []);
}

fn a_second_table_has_the_same_keys_and_checks(database: &Database) {
    let mut store = database.open();
    in_both(store.as_mut(), 1);
    let (price, quantity) =
        if is_sqlite(database) { ("price_e4", "quantity_e2") } else { ("price", "quantity") };
    let columns = format!(
        "source, trade_id, market_ticker, side, {price}, {quantity}, traded_at, run_id, ingested_at"
    );
    for change in [
        format!("insert into TABLE ({columns}) select {columns} from TABLE"),
        "update TABLE set side = 'maybe'".to_owned(),
        "update TABLE set market_ticker = null".to_owned(),
        "update TABLE set traded_at = null".to_owned(),
        format!("update TABLE set {price} = -1"),
        format!("update TABLE set {price} = 1000001"),
        format!("update TABLE set {quantity} = 0"),
    ] {
        for table in [TRADES_TABLE, "other"] {
            let change = change.replace("TABLE", table);
            assert!(holds(database, &change), "done: {change}");
        }
    }
}

fn a_second_table_has_the_same_indexes(database: &Database) {
    let mut store = database.open();
    database.execute("create unique index by_run on prediction_market_trades (run_id, trade_id)");
    store.make_trades_table("other").unwrap();
    let indexes = |table: &str| {
        let query = if is_sqlite(database) {
            format!(
                "select sql as x from sqlite_schema where tbl_name = '{table}' and type = 'index'"
            )
        } else {
            format!("select indexdef as x from pg_indexes where tablename = '{table}'")
        };
        let kind_and_columns = |sql: String| {
            let (head, columns) = sql.split_once('(').unwrap();
            let (is_unique, is_brin) =
                (head.to_lowercase().contains("create unique"), head.contains("using brin"));
            format!("{is_unique} {is_brin} {columns}")
        };
        let mut indexes: Vec<String> =
            database.texts(&query).into_iter().flatten().map(kind_and_columns).collect();
        indexes.sort();
        indexes
    };
    assert!(indexes("other").len() > 1);
    assert_eq!(indexes("other"), indexes(TRADES_TABLE));
}

fn odd_names_are_refused(database: &Database) {
    let mut store = database.open();
    let too_long = "a".repeat(51);
    for name in [
        "",
        "1st",
        "_x",
        "Trades",
        "a b",
        "a-b",
        "a.b",
        "public.x",
        "a\"b",
        "a;drop table x",
        "ä",
        "a\0",
        too_long.as_str(),
    ] {
        for failure in [
            store.make_trades_table(name).unwrap_err(),
            store.compare_trades(name, 1).unwrap_err(),
            store.replay(&beginning(name), &[], at(900)).unwrap_err(),
        ] {
            assert_eq!(failure.kind, Kind::Config, "{name:?}: {failure}");
        }
    }
    for name in ["a", "select", "table", "order", &"a".repeat(50)] {
        store.make_trades_table(name).unwrap();
        assert_eq!(store.replay(&beginning(name), &[], at(900)).unwrap(), 0);
        assert_eq!(store.compare_trades(name, 5).unwrap(), Difference::default(), "{name}");
    }
}

fn a_name_of_something_else_is_refused(database: &Database) {
    let mut store = database.open();
    let column = if is_sqlite(database) { "integer" } else { "bigint" };
    database.execute(&format!(
        "create table numbers (source {column}, trade_id {column});
         create view copy as select * from prediction_market_trades;
         create index aside on numbers (source);
         create table bare as select * from prediction_market_trades;",
    ));
    store.make_trades_table("longer").unwrap();
    database.execute(&format!("alter table longer add column x {column}"));
    // One that has the columns, but would take a trade twice.
    let usual = "select sql as x from sqlite_schema where name = 'prediction_market_trades'";
    let keyed = if is_sqlite(database) {
        let sql = database.texts(usual).remove(0).unwrap();
        sql.replace(TRADES_TABLE, "keyed").replace("trade_id)", "trade_id, run_id)")
    } else {
        "create table keyed (like prediction_market_trades, primary key (source, trade_id, run_id))"
            .to_owned()
    };
    database.execute(&keyed);
    let catalogue = if is_sqlite(database) { "sqlite_schema" } else { "pg_class" };
    for name in [
        "numbers",
        "copy",
        "aside",
        "bare",
        "longer",
        "keyed",
        "raw_kalshi_trade_events",
        "prediction_market_trades_yes",
        "ingestion_windows",
        catalogue,
    ] {
        let made = store.make_trades_table(name).unwrap_err();
        let compared = store.compare_trades(name, 5).unwrap_err();
        for failure in [made, compared] {
            let is_refused = matches!(failure.kind, Kind::Config | Kind::StoreRefused);
            assert!(is_refused, "{name}: {failure}");
        }
    }
    let words = store.make_trades_table("numbers").unwrap_err().to_string();
    assert!(words.contains("numbers") && words.contains("another name"), "{words}");
    store.make_trades_table(TRADES_TABLE).unwrap();
}

fn a_second_table_is_filled_and_is_the_same(database: &Database) {
    let mut store = database.open();
    let mut events = vec![event("A", "t1", 8), event("B", "t2", 9), event("B", "t3", 9)];
    events[2].trade.is_block_trade = Some(false);
    receive(store.as_mut(), events.clone(), vec![], 60);
    store.make_trades_table("again").unwrap();
    let trades = replayed(&raw(store.as_mut()), &events);
    assert_eq!(store.replay(&beginning("again"), &trades, at(900)).unwrap(), 3);
    assert_eq!(dump(database, "again"), dump(database, TRADES_TABLE));
    assert_eq!(store.compare_trades("again", 9).unwrap(), Difference::default());
    assert_eq!(store.compare_trades(TRADES_TABLE, 9).unwrap(), Difference::default());
    // Who wrote a trade and when is not the trade.
    database.execute(&format!("update again set run_id = 99, ingested_at = '{}'", at(5)));
    assert_eq!(store.compare_trades("again", 9).unwrap(), Difference::default());
}

/// Stores the trades t1, t2, … in the usual table and in one called `other`.
fn in_both(store: &mut dyn Store, count: i64) {
    let events: Vec<_> = (1..=count).map(|n| event("A", &format!("t{n}"), n)).collect();
    receive(store, events.clone(), vec![], 60);
    store.make_trades_table("other").unwrap();
    let trades = replayed(&raw(store), &events);
    store.replay(&beginning("other"), &trades, at(900)).unwrap();
}

fn every_difference_is_counted_and_explained(database: &Database) {
    let mut store = database.open();
    in_both(store.as_mut(), 9);
    let (price, quantity) = if is_sqlite(database) {
        ("price_e4 = 400000", "quantity_e2 = 100")
    } else {
        ("price = 40", "quantity = 1")
    };
    database.execute(&format!(
        "delete from other where trade_id = 't1';
         delete from prediction_market_trades where trade_id = 't2';
         update other set market_ticker = 'B' where trade_id = 't3';
         update other set side = 'yes' where trade_id = 't4';
         update other set {price} where trade_id = 't5';
         update other set {quantity} where trade_id = 't6';
         update other set traded_at = '1970-01-01T00:00:07.000001Z' where trade_id = 't7';
         update other set is_block_trade = {no} where trade_id = 't8';
         update prediction_market_trades set is_block_trade = {no}, side = 'yes' where trade_id = 't9';
         update other set is_block_trade = {yes} where trade_id = 't9'",
        no = if is_sqlite(database) { "0" } else { "false" },
        yes = if is_sqlite(database) { "1" } else { "true" },
    ));
    let mut difference = store.compare_trades("other", 100).unwrap();
    difference.examples.sort();
    let expected = [
        ("t1", "only in prediction_market_trades"),
        ("t2", "only in other"),
        ("t3", "market A here, B there"),
        ("t4", "side no here, yes there"),
        ("t5", "price 38.0001 here, 40.0000 there"),
        ("t6", "quantity 12.61 here, 1.00 there"),
        ("t7", "time 1970-01-01T00:00:07.000000Z here, 1970-01-01T00:00:07.000001Z there"),
        ("t8", "block trade unknown here, false there"),
        ("t9", "side yes here, no there; block trade false here, true there"),
    ];
    let expected = expected.map(|(id, words)| (id.to_owned(), words.to_owned()));
    let Difference { only_here, only_there, changed, examples } = difference;
    assert_eq!((only_here, only_there, changed), (1, 1, 7));
    assert_eq!(examples, expected);
}

fn examples_are_of_every_kind_and_not_too_many(database: &Database) {
    let mut store = database.open();
    in_both(store.as_mut(), 40);
    database.execute(
        "delete from other where trade_id < 't2';
         delete from prediction_market_trades where trade_id in ('t20', 't21', 't22');
         update other set side = 'yes' where trade_id = 't3'",
    );
    let shown = |store: &mut dyn Store, count| {
        let difference = store.compare_trades("other", count).unwrap();
        let counts = (difference.only_here, difference.only_there, difference.changed);
        assert_eq!(counts, (11, 3, 1), "whatever is shown");
        difference.examples.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(shown(store.as_mut(), 0), [""; 0]);
    let mut four = shown(store.as_mut(), 4);
    four.sort();
    assert_eq!(four, ["t1", "t10", "t20", "t3"]);
    assert_eq!(shown(store.as_mut(), 6).len(), 6);
    assert_eq!(shown(store.as_mut(), 100).len(), 15);
}

fn a_trade_of_another_source_is_another_trade(database: &Database) {
    let mut store = database.open();
    in_both(store.as_mut(), 2);
    database.execute("update other set source = 'another' where trade_id = 't2'");
    let difference = store.compare_trades("other", 9).unwrap();
    assert_eq!((difference.only_here, difference.only_there, difference.changed), (1, 1, 0));
}

fn only_tables_of_trades_are_compared(database: &Database) {
    let mut store = database.open();
    for name in ["nobody", "ingestion_runs", "prediction_market_trades_yes"] {
        let failure = store.compare_trades(name, 5).unwrap_err();
        assert_eq!(failure.kind, Kind::Config, "{name}: {failure}");
    }
    assert_eq!(count(database, TRADES_TABLE), 0);
}

fn ten_thousand_differences_are_counted(database: &Database) {
    let mut store = database.open();
    let events = (0..10_000).map(|n| event("A", &format!("t{n:05}"), n)).collect();
    receive(store.as_mut(), events, vec![], 60);
    store.make_trades_table("other").unwrap();
    let difference = store.compare_trades("other", 3).unwrap();
    assert_eq!((difference.only_here, difference.only_there, difference.changed), (10_000, 0, 0));
    let ids: Vec<&str> = difference.examples.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["t00000", "t00001", "t00002"]);
}
