//! Each role of `examples/postgres/roles.sql` can do its work and nothing else. A server of its
//! own: roles belong to a whole server, and these log in.

use std::sync::{Mutex, OnceLock, PoisonError};

use ::postgres::{Client, NoTls};
use kalshi_simulator::{Market, Rules, seeded_trades};

use crate::serving::Serving;
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, VIEWS, on_both_stores};
use crate::support::postgres::Server;

on_both_stores! { status_writes_nothing }

const SCRIPT: &str = include_str!("../../examples/postgres/roles.sql");
const HOUR_US: i64 = 3_600_000_000;
const MARKETS: [&str; 2] = ["KXR-A", "KXR-B"];
const SERIES: &[&str] = &["--series", "KXR"];

/// A database as each of these roles comes to it, with the script run once.
pub(crate) struct Roles {
    pub(crate) postgres: Database,
    pub(crate) owner: Database,
    pub(crate) ingest: Database,
    reader: Database,
}

impl Roles {
    pub(crate) fn new() -> Roles {
        static SERVER: OnceLock<Server> = OnceLock::new();
        Roles::on(SERVER.get_or_init(|| Server::start_with(&[], |_, _| {})))
    }

    fn on(server: &Server) -> Roles {
        let url = server.create_database();
        let comes_as = |role: &str| {
            let mut database = Database::sqlite();
            database.url = url.replacen("postgres@", &format!("{role}@"), 1);
            database
        };
        let [postgres, owner, ingest, reader] =
            ["postgres", "kalshi_owner", "kalshi_ingest", "kalshi_reader"].map(comes_as);
        let roles = Roles { postgres, owner, ingest, reader };
        roles.run_script();
        roles
    }

    /// One at a time: who finds no role makes one.
    pub(crate) fn run_script(&self) {
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        self.postgres.execute(SCRIPT);
    }

    /// Every right of every role on every table.
    fn rights(&self) -> Vec<Option<String>> {
        self.postgres.texts(
            "select format('%s %s %s %s', c.relname, c.relkind, pg_get_userbyid(c.relowner), c.relacl) as x
             from pg_class c where c.relnamespace = 'public'::regnamespace order by 1",
        )
    }
}

/// An exchange with a series of two markets, behind a database.
fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::served(database, Rules::default());
    for (seed, market) in (1..).zip(MARKETS) {
        let opened = NOON_US - 10 * HOUR_US;
        bench.exchange.add_market(Market::new(market, "KXR-E", opened, NOON_US + DAY_US));
        bench.exchange.add_all(seeded_trades(seed, market, 400, opened, NOON_US - HOUR_US));
    }
    bench
}

/// What the server says against a statement; `None` if it does it.
fn refused(database: &Database, sql: &str) -> Option<String> {
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let error = client.batch_execute(sql).err()?;
    Some(error.code().map_or(error.to_string(), |code| code.code().to_owned()))
}

#[track_caller]
fn assert_denied(database: &Database, statements: &[&str]) {
    for sql in statements {
        assert_eq!(refused(database, sql).as_deref(), Some("42501"), "{}: {sql}", database.url);
    }
}

#[track_caller]
fn assert_exit(bench: &Bench<'_>, name: &str, flags: &[&str], code: i32) -> String {
    let output = bench.process_of(name, flags);
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{name} {flags:?}: {errors}");
    errors
}

#[test]
fn the_ingester_does_all_its_work_and_no_more() {
    let roles = Roles::new();
    let bench = bench(&roles.ingest);
    let errors = assert_exit(&bench, "run", SERIES, 5);
    for part in ["001_pipeline", "kalshi_ingest may not", "`kalshi-ingest migrate` as a role that"]
    {
        assert!(errors.contains(part), "before the tables: {errors}");
    }
    drop(roles.owner.open());
    roles.run_script();
    let from = kalshi_ingest::domain::time::Timestamp::from_micros(NOON_US - DAY_US).to_string();
    let until = kalshi_ingest::domain::time::Timestamp::from_micros(NOON_US - HOUR_US).to_string();
    let window = [SERIES, &["--from", &from, "--to", &until]].concat();
    assert_exit(&bench, "migrate", &[], 0);
    assert_exit(&bench, "run", SERIES, 0);
    assert_exit(&bench, "run", &["--all", "--sync-markets", "1m"], 0);
    assert_exit(&bench, "markets", SERIES, 0);
    assert_exit(&bench, "orderbooks", SERIES, 0);
    assert_exit(&bench, "backfill", &window, 0);
    assert_exit(
        &bench,
        "completeness",
        &[&window[..], &["--heal", "--min-score", "1"]].concat(),
        0,
    );
    assert_exit(&bench, "status", &[SERIES, &["--check", "--sla", "3650d"]].concat(), 0);
    bench.assert_complete(&MARKETS, "as the ingester");
    roles.postgres.execute("delete from prediction_market_trades where market_ticker = 'KXR-A'");
    assert_exit(&bench, "replay", &[], 0);
    bench.assert_complete(&MARKETS, "replayed");
    roles.postgres.execute(
        "update raw_kalshi_trade_events set received_at = received_at - interval '2 days' where market_ticker = 'KXR-A'",
    );
    assert_exit(&bench, "prune", &["--raw-older-than", "1d"], 0);
    let left = "select count(*) as x from raw_kalshi_trade_events where market_ticker = 'KXR-A'";
    assert_eq!(roles.postgres.number(left), 0, "it may delete where it has to");
    assert_exit(&bench, "replay", &["--into", "trades_new"], 5);
    assert_denied(
        &roles.ingest,
        &[
            "drop table prediction_market_trades",
            "truncate prediction_market_trades",
            "truncate raw_kalshi_trade_events",
            "alter table prediction_market_trades add column more text",
            "create table more (x text)",
            "create index on prediction_market_trades (side)",
            "delete from prediction_market_trades",
            "delete from ingestion_checkpoints",
            "delete from ingestion_runs",
            "update prediction_market_trades set price = 1",
            "update prediction_market_trades_yes set price = 1",
            "update raw_kalshi_trade_events set payload = '{}'",
            "insert into kalshi_ingest_migrations values ('x', 'x', now())",
            "delete from kalshi_ingest_migrations",
            "set role kalshi_owner",
        ],
    );
}

#[test]
fn the_reader_sees_all_and_changes_nothing() {
    let roles = Roles::new();
    drop(roles.owner.open());
    roles.run_script();
    assert_eq!(bench(&roles.ingest).pass(SERIES), 0);
    let bench = bench(&roles.reader);
    let before = roles.postgres.number("select count(*) as x from selection_watches");
    for flags in [&[][..], SERIES, &["--series", "NEVER"], &["--all"], &["--market", MARKETS[0]]] {
        let flags = [flags, &["--output", "json"]].concat();
        // Nothing is stored of that one.
        let exit = if flags.contains(&"NEVER") { 2 } else { 0 };
        assert_exit(&bench, "status", &flags, exit);
    }
    assert_exit(&bench, "status", &["--output", "prometheus"], 0);
    let serving = Serving::start(&roles.reader.url, &[]);
    for path in ["/", "/readyz", "/metrics", "/overview.json"] {
        let heard = serving.get(path);
        assert!(heard.status == 200 && !heard.body.contains("denied"), "{path}: {}", heard.body);
    }
    assert_exit(&bench, "migrate", &[], 0);
    let after = roles.postgres.number("select count(*) as x from selection_watches");
    assert_eq!(after, before, "a question is no selection");
    let errors = assert_exit(&bench, "run", SERIES, 5);
    assert!(errors.contains("permission denied"), "{errors}");
    assert_denied(
        &roles.reader,
        &[
            "insert into prediction_market_trades default values",
            "insert into ingestion_runs (command, started_at) values ('run', now())",
            "update ingestion_checkpoints set version = 1",
            "delete from selection_members",
            "truncate ingestion_runs",
            "drop table ingestion_runs",
            "create table more (x text)",
        ],
    );
    for view in VIEWS.iter().chain(&["prediction_market_trades_yes"]) {
        assert_eq!(refused(&roles.reader, &format!("select * from {view}")), None, "{view}");
    }
}

#[test]
fn a_schema_that_is_behind_is_its_owners_business() {
    let roles = Roles::new();
    drop(roles.owner.open());
    roles.run_script();
    // As if a newer program had one step more.
    let last = "select max(name) as x from kalshi_ingest_migrations";
    let last = roles.postgres.texts(last).remove(0).unwrap();
    roles.postgres.execute(&format!("delete from kalshi_ingest_migrations where name = '{last}'"));
    for database in [&roles.ingest, &roles.reader] {
        let bench = bench(database);
        for command in ["migrate", "status"] {
            let errors = assert_exit(&bench, command, &[], 5);
            assert_eq!(errors.lines().count(), 1, "{errors}");
            for part in [&*last, "may not change it", "`kalshi-ingest migrate` as kalshi_owner"] {
                assert!(errors.contains(part), "{command}: {errors}");
            }
        }
    }
}

#[test]
fn tables_of_others_are_taken_over_and_new_ones_follow() {
    let roles = Roles::new();
    // A database that had one role for everything until now.
    drop(roles.postgres.open());
    assert_eq!(bench(&roles.postgres).pass(SERIES), 0);
    roles.run_script();
    let rights = roles.rights();
    roles.run_script();
    assert_eq!(roles.rights(), rights, "a second time changes nothing");
    let foreign = "select count(*) as x from pg_class
         where relnamespace = 'public'::regnamespace and relowner <> 'kalshi_owner'::regrole";
    assert_eq!(roles.postgres.number(foreign), 0);
    let bench = bench(&roles.ingest);
    assert_eq!(bench.pass(SERIES), 0);
    bench.assert_complete(&MARKETS, "after the change of owners");
    roles.owner.execute("create table later (id bigint generated by default as identity, x text)");
    for sql in
        ["insert into later (x) values ('a')", "update later set x = 'b'", "select * from later"]
    {
        assert_eq!(refused(&roles.ingest, sql), None, "{sql}");
    }
    assert_eq!(refused(&roles.reader, "select * from later"), None);
    assert_denied(&roles.ingest, &["delete from later", "truncate later", "drop table later"]);
    assert_denied(&roles.reader, &["insert into later (x) values ('a')", "delete from later"]);
    assert_exit(&self::bench(&roles.owner), "replay", &["--into", "trades_new", "--compare"], 0);
}

#[test]
fn the_databases_owner_can_run_the_script() {
    let server = Server::start_with(&[], |_, _| {});
    let url = server.create_database();
    let mut database = Database::sqlite();
    database.url.clone_from(&url);
    let name = database.texts("select current_database() as x").remove(0).unwrap();
    database.execute(&format!(
        "create role manager login createrole; alter database {name} owner to manager"
    ));
    database.url = url.replacen("postgres@", "manager@", 1);
    // With tables that were the manager's, and once more with those of the role.
    drop(database.open());
    database.execute(SCRIPT);
    database.execute(SCRIPT);
    let mut ingest = Database::sqlite();
    ingest.url = url.replacen("postgres@", "kalshi_ingest@", 1);
    let bench = bench(&ingest);
    assert_eq!(bench.pass(SERIES), 0);
    bench.assert_complete(&MARKETS, "as the ingester");
    assert_denied(&ingest, &["truncate prediction_market_trades", "create table more (x text)"]);
}

fn status_writes_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let count = "select count(*) as x from selection_watches";
    for (flags, exit) in
        [(&["--series", "KXNEVER"][..], 2), (&["--event", "KXNEVER-A"], 2), (&["--all"], 0)]
    {
        assert_eq!(bench.main("status", flags), exit, "{flags:?}");
        assert_eq!(database.number(count), 0, "{flags:?}");
    }
}
