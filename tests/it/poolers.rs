//! Everything through a pgbouncer that lends connections by transaction: the rows are exact, the
//! lock is held, and nothing is left behind on the connections that others get next.

use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kalshi_ingest::store::Store;
use kalshi_simulator::{Market, Rules, seeded_trades};
use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::copies;
use crate::serving::Serving;
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::Database;
use crate::support::pooler::{Lent, Pooler};
use crate::support::postgres::Server;

const MARKETS: [&str; 2] = ["KXP-A", "KXP-B"];
const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const LOCKED_OUT: &str = "another pass is at work";
/// As many as one pass needs, and one for whoever comes meanwhile.
const POOL: usize = 2;

/// A pooler and a database behind it, as seen without the pooler.
fn pooled() -> (&'static Pooler, String, Database) {
    static BOTH: OnceLock<(Server, Pooler)> = OnceLock::new();
    let (server, pooler) = BOTH.get_or_init(|| {
        let server = Server::start_with(&[], |_, _| {});
        let pooler = Pooler::start(&server, POOL, Lent::Transaction);
        (server, pooler)
    });
    let mut direct = Database::sqlite();
    direct.url = server.create_database();
    let name = direct.url.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    (pooler, pooler.url(&name), direct)
}

fn bench(direct: &Database) -> Bench<'_> {
    let bench = Bench::served(direct, Rules::default());
    for (seed, market) in (1..).zip(MARKETS) {
        let opened = NOON_US - 10 * HOUR_US;
        bench.exchange.add_market(Market::new(market, "KXP-E", opened, NOON_US + DAY_US));
        bench.exchange.add_all(seeded_trades(seed, market, 2_000, opened, NOON_US - HOUR_US));
    }
    bench
}

/// Two minutes pass, with trades in the first of them.
fn trade_on(bench: &Bench<'_>, market: &str, pass: i64) {
    let at = NOON_US + 2 * pass * MINUTE_US;
    let trades = seeded_trades(10 + pass.unsigned_abs(), market, 500, at, at + MINUTE_US);
    bench.exchange.add_all(trades);
    bench.set_now(at + 2 * MINUTE_US);
}

/// One command through the pooler; what it said.
#[track_caller]
fn through(bench: &Bench<'_>, url: &str, name: &str, flags: &[&str]) -> String {
    let output = bench.process_of(name, &[flags, &["--database-url", url]].concat());
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{name} {flags:?}: {errors}");
    errors
}

fn begun(bench: &Bench<'_>, url: &str, flags: &[&str]) -> Child {
    // The exchange's clock stands still, and who reads nothing judges by ours.
    let flags = [&["--series", "KXP", "--sla", "3650d", "--database-url", url], flags].concat();
    let mut command = bench.command_of("run", &flags);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stderr(&output)
}

/// Nothing of ours is left on any connection of the pool.
#[track_caller]
fn assert_clean(pooler: &Pooler, url: &str, direct: &Database) {
    let count = |sql: &str| direct.number(&format!("select count(*) as x from {sql}"));
    let here = "(select oid from pg_database where datname = current_database())";
    let locks = format!("pg_locks where locktype = 'advisory' and database = {here}");
    assert_eq!(count(&locks), 0, "a lock is held");
    let ours = "pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    assert_eq!(count(&format!("{ours} and state <> 'idle'")), 0, "a transaction is open");
    assert!(count(ours) <= i64::try_from(POOL).unwrap(), "connections beside the pool");
    let left = "select (select count(*) from pg_prepared_statements) + (select count(*) from pg_cursors)
        + (select count(*) from pg_settings where source = 'session' and name <> 'client_encoding'
             and name not in ('application_name', 'DateStyle', 'TimeZone', 'standard_conforming_strings'))";
    // Both connections of the pool, at the same time.
    let mut clients: Vec<Client> =
        (0..POOL).map(|_| Client::connect(url, NoTls).unwrap()).collect();
    for client in &mut clients {
        client.batch_execute("begin").unwrap();
        let answer = client.simple_query(left).unwrap();
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(row, Some("0"), "statements, cursors or settings");
    }
    assert!(!pooler.log().contains("prepared statement"), "{}", pooler.log());
}

#[test]
fn every_command_works_through_a_transaction_pooler() {
    let (pooler, url, direct) = pooled();
    let bench = bench(&direct);
    let series = ["--series", "KXP"];
    let instant = |us| kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string();
    let (from, until) = (instant(NOON_US - DAY_US), instant(NOON_US - HOUR_US));
    let window = ["--series", "KXP", "--from", &from, "--to", &until];
    assert!(through(&bench, &url, "migrate", &[]).contains("001_pipeline"));
    through(&bench, &url, "run", &series);
    bench.assert_complete(&MARKETS, "the first pass");
    for pass in 1..=3 {
        trade_on(&bench, "KXP-A", pass);
        through(&bench, &url, "run", &[&series[..], &["--sync-markets", "1s"]].concat());
        bench.assert_complete(&MARKETS, "a later pass");
    }
    through(&bench, &url, "run", &["--all"]);
    through(&bench, &url, "markets", &series);
    through(&bench, &url, "orderbooks", &series);
    through(&bench, &url, "backfill", &window);
    through(&bench, &url, "completeness", &[&window[..], &["--min-score", "1"]].concat());
    through(&bench, &url, "status", &[&series[..], &["--check", "--sla", "3650d"]].concat());
    let serving = Serving::start(&url, &[]);
    for path in ["/readyz", "/metrics", "/overview.json"] {
        let heard = serving.get(path);
        assert_eq!(heard.status, 200, "{path}: {}", heard.body);
    }
    drop(serving);
    direct.execute("delete from prediction_market_trades where market_ticker = 'KXP-A'");
    through(&bench, &url, "replay", &[]);
    bench.assert_complete(&MARKETS, "replayed");
    through(&bench, &url, "prune", &["--raw-older-than", "1d"]);
    assert_eq!(direct.number("select count(*) as x from orderbook_snapshots"), 2);
    assert_clean(pooler, &url, &direct);
}

#[test]
fn two_passes_at_once_share_a_pool_and_only_one_reads() {
    let (pooler, url, direct) = pooled();
    let bench = bench(&direct);
    through(&bench, &url, "migrate", &[]);
    // Slow enough to be at work for as long as the other one lives.
    let slow = begun(&bench, &url, &["--requests-per-second", "2"]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !bench.exchange.requests().iter().any(|asked| asked.path.ends_with("/trades")) {
        assert!(Instant::now() < deadline, "no request");
        std::thread::sleep(Duration::from_millis(5));
    }
    for other in [begun(&bench, &url, &[]), begun(&bench, &url, &[])] {
        assert!(ended(other).contains(LOCKED_OUT));
    }
    assert!(!ended(slow).contains(LOCKED_OUT));
    bench.assert_complete(&MARKETS, "the slow one");
    // And at the same instant, whoever wins.
    for pass in 1..=3 {
        trade_on(&bench, "KXP-B", pass);
        for child in [begun(&bench, &url, &[]), begun(&bench, &url, &[])] {
            ended(child);
        }
        bench.assert_complete(&MARKETS, "two at once");
    }
    assert_clean(pooler, &url, &direct);
}

/// A commit that two connections share goes through a pool that has one left.
#[test]
fn a_big_commit_takes_one_connection_where_the_pool_has_no_second_one() {
    let (pooler, url, direct) = pooled();
    drop(direct.open());
    copies::note_statements(&direct);
    let mut through = Database::sqlite();
    through.url.clone_from(&url);
    let commit = |store: &mut dyn Store, from: usize| {
        let events = copies::events(from..from + copies::BIG);
        let receipt = store.commit(1, &copies::sealed(events, Vec::new(), 1)).unwrap();
        assert_eq!(receipt.inserted.len(), copies::BIG);
    };
    let mut store = through.open();
    let lock = store.try_lock("run").unwrap().unwrap();
    let begun = Instant::now();
    for round in 0..2 {
        commit(store.as_mut(), round * copies::BIG);
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "it was waited for once, and not long");
    let (_, copies, others) = copies::noted(&direct);
    assert_eq!((copies, others), (2, 0), "one copy for each commit");
    drop((lock, store));
    // Without the lock there is one.
    commit(through.open().as_mut(), 2 * copies::BIG);
    assert_eq!(copies::noted(&direct).1, 4);
    copies::assert_whole(&direct, 3 * copies::BIG);
    drop(through);
    assert_clean(pooler, &url, &direct);
}
