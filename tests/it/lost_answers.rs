//! A commit whose request or answer gets lost on the way: the pass cannot know whether it
//! happened, and must not have to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kalshi_ingest::app;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::{Clock, StopFlag};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_simulator::{Rules, seeded_trades};
use postgres::config::Host;
use postgres::{Client, Config, NoTls};

use crate::support::bench::{Bench, NOON_US};
use crate::support::database::Database;

const SECOND_US: i64 = 1_000_000;
/// How the client asks: a simple query.
const COMMIT: &[u8] = b"COMMIT\0";
/// What the market is goes into the database before its first trade.
const METADATA_COMMITS: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// The server never hears of the commit.
    Request,
    /// The server commits; the client never hears of it.
    Answer,
    /// The server never hears of the commit, nor that the client is gone.
    Client,
}

/// A connection to the server: to read, to write, and to end.
type Side = (Box<dyn Read + Send>, Box<dyn Write + Send>, Box<dyn Fn() + Send>);

fn server_side(config: &Config) -> Side {
    match &config.get_hosts()[0] {
        Host::Tcp(name) => {
            let port = config.get_ports().first().copied().unwrap_or(5432);
            let stream = TcpStream::connect((name.as_str(), port)).unwrap();
            let (reader, end) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
            let end = move || drop(end.shutdown(Shutdown::Both));
            (Box::new(reader), Box::new(stream), Box::new(end))
        }
        Host::Unix(directory) => {
            let stream = UnixStream::connect(directory.join(".s.PGSQL.5432")).unwrap();
            let (reader, end) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
            let end = move || drop(end.shutdown(Shutdown::Both));
            (Box::new(reader), Box::new(stream), Box::new(end))
        }
    }
}

/// Whether the database can be reached again after it broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Back,
    Gone,
}

/// A way to the database that breaks at the `nth` commit; answers with its port.
fn breaking_at(nth: usize, lost: Lost, then: Then, config: Config) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let commits = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if then == Then::Gone && commits.load(Ordering::SeqCst) >= nth {
                continue;
            }
            let (from_server, to_server, end) = server_side(&config);
            let is_broken = Arc::new(AtomicBool::new(false));
            let back = (client.try_clone().unwrap(), Arc::clone(&is_broken));
            let commits = Arc::clone(&commits);
            thread::spawn(move || carry_back(from_server, &back.0, &back.1));
            thread::spawn(move || {
                carry(&client, to_server, &is_broken, &commits, nth, lost);
                if lost != Lost::Client {
                    end();
                }
            });
        }
    });
    port
}

fn carry(
    mut client: &TcpStream,
    mut server: Box<dyn Write + Send>,
    is_broken: &AtomicBool,
    commits: &AtomicUsize,
    nth: usize,
    lost: Lost,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        // Whoever commits waits for the answer: nothing follows it.
        let is_commit = bytes[..count].ends_with(COMMIT);
        if is_commit && commits.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            is_broken.store(true, Ordering::SeqCst);
            if lost != Lost::Answer {
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
        }
        if server.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

/// Once broken, what the server says is read, so that it is known to have acted, and dropped.
fn carry_back(mut server: Box<dyn Read + Send>, mut client: &TcpStream, is_broken: &AtomicBool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        if is_broken.load(Ordering::SeqCst) || client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// The trades of a pass: a batch that two connections store, and a small one. The commits of their halves are the first
/// and the second one, that of the small batch is the third.
const TRADES: usize = 51_000;
/// The commit of the second connection. The first one goes on without it.
const AHEAD: usize = 1;

/// A pass that loses its database so; its exit status.
fn broken_pass(bench: &Bench<'_>, lost: Lost, then: Then, nth: usize) -> u8 {
    let database = bench.database;
    let until = NOON_US - 10 * SECOND_US;
    let trades = seeded_trades(1, "KXA", TRADES, until - 3_600 * SECOND_US, until);
    bench.exchange.add_all(trades);
    let config: Config = database.url.parse().unwrap();
    let (user, name) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    let (mut user, name) = (user.to_owned(), name.to_owned());
    if let Some(password) = config.get_password() {
        user = format!("{user}:{}", String::from_utf8_lossy(password));
    }
    let port = breaking_at(METADATA_COMMITS + nth, lost, then, config);
    let url = format!("postgres://{user}@127.0.0.1:{port}/{name}?sslmode=disable");
    let flags: &[&str] = if then == Then::Gone { &["--deadline", "2s"] } else { &[] };
    let mut args = bench.args("KXA", flags);
    let at = args.iter().position(|arg| *arg == database.url).unwrap();
    args[at] = url;
    let clock: Arc<dyn Clock> = bench.clock.clone();
    app::main_by(Cli::read(args).unwrap(), &StopFlag::default(), &clock).code()
}

/// The checkpoint claims neither more nor less than what is stored.
fn assert_truthful(database: &Database, lost: Lost, nth: usize, why: &str) {
    let stored = database.trades().len();
    let is_done = lost == Lost::Answer || (lost == Lost::Request && nth == AHEAD);
    let happened = if is_done { nth } else { nth.saturating_sub(1) };
    assert_eq!(stored > 0, happened > 0, "{why}: {stored} trades");
    let complete = i64::from(database.complete_until("KXA").is_some());
    assert_eq!(complete == 1, stored == TRADES, "{why}: {stored} trades");
    let low = "select count(*) as x from prediction_market_trades t, ingestion_checkpoints c \
                       where t.traded_at < c.walk_low";
    assert_eq!(database.number(low), 0, "{why}: the walk is where its rows are");
}

#[test]
fn a_commit_nobody_heard_of_is_neither_lost_nor_doubled() {
    for lost in [Lost::Request, Lost::Answer] {
        for nth in 0..=3 {
            let why = format!("{lost:?} of commit {nth}");
            let database = Database::postgres();
            let bench = Bench::new(&database, Rules::default());
            let exit = if nth == AHEAD { 0 } else { 5 };
            assert_eq!(broken_pass(&bench, lost, Then::Gone, nth), exit, "{why}");
            assert_truthful(&database, lost, nth, &why);
            assert_eq!(bench.run("KXA", &[]), 0, "{why}");
            bench.assert_complete(&["KXA"], &why);
            assert_counted(&database, &why);
        }
    }
}

/// What the metrics will say is what is stored, whatever a pass heard of its commits.
fn assert_counted(database: &Database, why: &str) {
    let totals = database.open().overview(Timestamp::from_seconds(0)).unwrap().totals;
    let stored = i64::try_from(database.trades().len()).unwrap();
    assert_eq!(totals.events_ingested, stored, "{why}");
}

#[test]
fn a_database_that_comes_back_is_gone_on_with_in_the_same_pass() {
    for lost in [Lost::Request, Lost::Answer] {
        for nth in 0..=5 {
            let why = format!("{lost:?} of commit {nth}, and back");
            let database = Database::postgres();
            let bench = Bench::new(&database, Rules::default());
            assert_eq!(broken_pass(&bench, lost, Then::Back, nth), 0, "{why}");
            bench.assert_complete(&["KXA"], &why);
            assert_counted(&database, &why);
            let unfinished = "select count(*) as x from ingestion_runs where finished_at is null";
            assert_eq!(database.number(unfinished), 0, "{why}");
            let retries = "select coalesce(sum(total), 0) as x from ingestion_totals where reason = 'database'";
            let is_retried = nth < 5 && nth != AHEAD;
            assert_eq!(
                database.number(retries),
                i64::from(is_retried),
                "{why}: the end is no retry"
            );
        }
    }
}

#[test]
fn a_backend_that_is_terminated_costs_nothing() {
    let database = Database::postgres();
    let bench = Bench::new(&database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(1, "KXA", 25_000, until - 3_600 * SECOND_US, until));
    let is_done = AtomicBool::new(false);
    // Slow pages: there are commits before the last one.
    bench.exchange.before_each_page(|_, _| thread::sleep(Duration::from_millis(100)));
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut client = Client::connect(&database.url, NoTls).unwrap();
            let mut killed = 0;
            while killed < 3 && !is_done.load(Ordering::SeqCst) {
                // Once something of the pass is stored, everybody else on this database is ended.
                let sql = "select pg_terminate_backend(pid) from pg_stat_activity \
                    where datname = current_database() and pid <> pg_backend_pid() \
                    and application_name = 'kalshi-ingest' \
                    and (select count(*) from prediction_market_trades) > 8000";
                killed += usize::from(!client.query(sql, &[]).unwrap().is_empty());
                thread::sleep(Duration::from_millis(20));
            }
            killed
        });
        assert_eq!(bench.run("KXA", &[]), 0);
        is_done.store(true, Ordering::SeqCst);
        assert!(killer.join().unwrap() > 0, "nobody was ended");
    });
    bench.assert_complete(&["KXA"], "after its backends were terminated");
    assert_counted(&database, "after its backends were terminated");
}

#[test]
fn rows_held_by_a_client_that_vanished_are_given_free() {
    let database = Database::postgres();
    let bench = Bench::new(&database, Rules::default());
    let started = Instant::now();
    assert_eq!(broken_pass(&bench, Lost::Client, Then::Gone, 1), 5);
    assert_truthful(&database, Lost::Client, 1, "a vanished client");
    let exits: Vec<u8> =
        (0..12).map(|_| bench.run("KXA", &[])).take_while(|exit| *exit != 0).collect();
    assert!(exits.iter().all(|exit| *exit == 5), "loud as long as it lasts: {exits:?}");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    bench.assert_complete(&["KXA"], "after a vanished client");
}
