//! A server, a database or a role can have defaults that suit somebody else: isolation, read only,
//! limits of time. Each transaction of ours says what it needs, and an idle connection that was
//! ended costs nothing.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ::postgres::{Client, NoTls};
use kalshi_simulator::{Fault, Market, Rules, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::Database;
use crate::support::pooler::{Lent, Pooler};
use crate::support::postgres::Server;

const HOUR_US: i64 = 3_600_000_000;
const MARKETS: [&str; 2] = ["KXD-A", "KXD-B"];

/// The defaults that make trouble, each with a name.
const DEFAULTS: [(&str, &[(&str, &str)]); 8] = [
    ("repeatable read", &[("default_transaction_isolation", "repeatable read")]),
    ("serializable", &[("default_transaction_isolation", "serializable")]),
    ("read only", &[("default_transaction_read_only", "on")]),
    (
        "serializable, read only, deferrable",
        &[
            ("default_transaction_isolation", "serializable"),
            ("default_transaction_read_only", "on"),
            ("default_transaction_deferrable", "on"),
        ],
    ),
    ("no patience with statements", &[("statement_timeout", "40ms")]),
    ("no patience with locks", &[("lock_timeout", "1ms")]),
    ("no patience with transactions", &[("idle_in_transaction_session_timeout", "40ms")]),
    ("no patience with sessions", &[("idle_session_timeout", "100ms")]),
];

/// Gives the database these defaults, for whoever connects from now on.
fn set(database: &Database, settings: &[(&str, &str)]) {
    let each = settings.iter().map(|(name, value)| {
        format!(
            "execute format('alter database %I set {name} = %L', current_database(), '{value}');"
        )
    });
    // At once: some would stand in the way of the next.
    database.execute(&format!("do $$ begin {} end $$", each.collect::<String>()));
}

fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::served(database, Rules::default());
    for (seed, market) in (1..).zip(MARKETS) {
        let opened = NOON_US - 10 * HOUR_US;
        bench.exchange.add_market(Market::new(market, "KXD-E", opened, NOON_US + DAY_US));
        bench.exchange.add_all(seeded_trades(seed, market, 1_500, opened, NOON_US - HOUR_US));
    }
    bench
}

fn begun(bench: &Bench<'_>, url: &str) -> Child {
    let flags = ["-q", "--series", "KXD", "--sla", "3650d", "--database-url", url];
    let mut command = bench.command_of("run", &flags);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn assert_well(child: Child, why: &str) {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{why}: {}", stderr(&output));
}

#[track_caller]
fn through(bench: &Bench<'_>, name: &str, flags: &[&str], why: &str) {
    let output = bench.process_of(name, flags);
    assert_eq!(output.status.code(), Some(0), "{why}: {name}: {}", stderr(&output));
}

#[test]
fn first_passes_at_once_agree_whatever_the_defaults() {
    for (why, settings) in DEFAULTS {
        let database = Database::postgres();
        database.clear();
        set(&database, settings);
        let bench = bench(&database);
        let passes: Vec<Child> = (0..6).map(|_| begun(&bench, &database.url)).collect();
        for pass in passes {
            assert_well(pass, why);
        }
        // Those that met another one read nothing.
        assert_well(begun(&bench, &database.url), why);
        bench.assert_complete(&MARKETS, why);
    }
}

#[test]
fn defaults_in_the_url_and_of_the_role_do_no_harm_either() {
    let server = Server::start_with(&[], |_, _| {});
    let mut database = Database::sqlite();
    database.url = server.create_database();
    database.execute("alter role postgres set default_transaction_isolation = 'serializable'");
    let bench = bench(&database);
    let url = format!("{}&options=-c%20default_transaction_read_only%3Don", database.url);
    let passes: Vec<Child> = (0..4).map(|_| begun(&bench, &url)).collect();
    for pass in passes {
        assert_well(pass, "role and URL");
    }
    assert_well(begun(&bench, &url), "role and URL");
    bench.assert_complete(&MARKETS, "role and URL");
}

#[test]
fn every_command_works_whatever_the_defaults() {
    let instant = |us| kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string();
    let (from, until) = (instant(NOON_US - DAY_US), instant(NOON_US - HOUR_US));
    let window = ["--series", "KXD", "--from", &from, "--to", &until];
    for (why, settings) in &DEFAULTS[2..] {
        let database = Database::postgres();
        database.clear();
        set(&database, settings);
        let bench = bench(&database);
        through(&bench, "migrate", &[], why);
        through(&bench, "run", &["--all", "--sync-markets", "1s"], why);
        through(&bench, "markets", &["--series", "KXD"], why);
        through(&bench, "orderbooks", &["--series", "KXD"], why);
        through(&bench, "backfill", &window, why);
        through(&bench, "completeness", &[&window[..], &["--min-score", "1"]].concat(), why);
        through(&bench, "status", &["--check", "--sla", "3650d"], why);
        through(&bench, "status", &["--output", "prometheus"], why);
        through(&bench, "backfill", &[&window[..], &["--dry-run"]].concat(), why);
        through(&bench, "replay", &["--into", "trades_new", "--compare"], why);
        through(&bench, "prune", &["--raw-older-than", "3650d"], why);
        bench.assert_complete(&MARKETS, why);
    }
}

#[test]
fn defaults_do_no_harm_behind_a_pooler() {
    let server = Server::start_with(&[], |_, _| {});
    let pooler = Pooler::start(&server, 4, Lent::Transaction);
    let mut direct = Database::sqlite();
    direct.url = server.create_database();
    set(&direct, DEFAULTS[3].1);
    let name = direct.url.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let url = pooler.url(&name);
    let bench = bench(&direct);
    let passes: Vec<Child> = (0..2).map(|_| begun(&bench, &url)).collect();
    for pass in passes {
        assert_well(pass, "behind a pooler");
    }
    assert_well(begun(&bench, &url), "behind a pooler");
    bench.assert_complete(&MARKETS, "behind a pooler");
    let mut next = Client::connect(&url, NoTls).unwrap();
    let isolation = "select current_setting('transaction_isolation')";
    let isolation: String = next.query_typed_one(isolation, &[]).unwrap().get(0);
    assert_eq!(isolation, "serializable", "the next one on the connection has its own");
}

/// A market of some pages, each of which takes far longer than an idle session may.
fn slow(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    bench.list_markets("KXA");
    bench.exchange.add_all(seeded_trades(
        1,
        "KXA",
        4_500,
        NOON_US - 3 * HOUR_US,
        NOON_US - HOUR_US,
    ));
    bench
}

const SLOW: Fault = Fault::SlowBody { bytes_per_step: 40_000, pause_ms: 250 };

#[test]
fn a_session_ended_while_a_page_was_slow_costs_nothing() {
    let pages = {
        let database = Database::postgres();
        let bench = slow(&database);
        assert_eq!(bench.run("KXA", &[]), 0);
        bench.requests()
    };
    let database = Database::postgres();
    let bench = slow(&database);
    set(&database, &[("idle_session_timeout", "100ms")]);
    bench.exchange.random_faults(1, 1_000, &[SLOW]);
    let output = bench.process("KXA", &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("connected anew"), "it was ended, more than once: {said}");
    assert!(!said.contains("going on from the last commit"), "{said}");
    bench.assert_complete(&["KXA"], "in one pass");
    assert_eq!(bench.requests(), pages, "and no page was fetched twice");
    assert!(bench.exchange.requests().is_empty());
}

#[test]
fn a_pass_goes_on_whoever_ends_its_sessions() {
    let database = Database::postgres();
    let bench = slow(&database);
    bench.exchange.random_faults(1, 1_000, &[SLOW]);
    let is_over = AtomicBool::new(false);
    let (output, ended) = thread::scope(|scope| {
        // All that are idle, that which holds the lock included. On a busy machine everybody is idle now and
        // then, and a pass that is broken off ten times gives up.
        let ender = scope.spawn(|| {
            let mut client = Client::connect(&database.url, NoTls).unwrap();
            let mut ended = 0;
            while ended < 8 && !is_over.load(Ordering::SeqCst) {
                let end = "select pg_terminate_backend(pid) from pg_stat_activity
                           where datname = current_database() and pid <> pg_backend_pid()
                               and state in ('idle', 'idle in transaction')
                               and state_change < now() - interval '50 ms'";
                ended += usize::from(!client.query(end, &[]).unwrap().is_empty());
                thread::sleep(Duration::from_millis(100));
            }
            ended
        });
        let output = bench.process("KXA", &[]);
        is_over.store(true, Ordering::SeqCst);
        (output, ender.join().unwrap())
    });
    assert!(ended > 0, "nobody was ended: {}", stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    bench.assert_complete(&["KXA"], "in one pass");
}

#[test]
fn the_lock_is_held_however_short_idle_transactions_may_be() {
    let database = Database::postgres();
    let bench = slow(&database);
    // Long enough for a second process, also on a busy machine.
    let (from, until) = (NOON_US - 9 * HOUR_US, NOON_US - 4 * HOUR_US);
    bench.exchange.add_all(seeded_trades(2, "KXA", 4_000, from, until));
    set(
        &database,
        &[("idle_in_transaction_session_timeout", "50ms"), ("statement_timeout", "50ms")],
    );
    bench.exchange.random_faults(1, 1_000, &[SLOW]);
    let first = bench.command("KXA", &["--sla", "3650d"]).stderr(Stdio::piped()).spawn().unwrap();
    while database.number("select count(*) as x from prediction_market_trades") == 0 {
        thread::sleep(Duration::from_millis(20));
    }
    let second = bench.process("KXA", &["--sla", "3650d"]);
    assert!(stderr(&second).contains("another pass is at work"), "{}", stderr(&second));
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert!(!stderr(&first).contains("the lock was lost"), "{}", stderr(&first));
}
