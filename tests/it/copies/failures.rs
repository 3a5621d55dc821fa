//! Connections that break in the middle of a big commit, and tables that take no copies.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::postgres::{Client, NoTls};
use kalshi_ingest::domain::batch::{Batch, Commit, Committed};
use kalshi_ingest::domain::checkpoint::Checkpoint;
use kalshi_ingest::domain::page::{Next, Page, Rules, Traded};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{RawEvent, Trade};
use kalshi_ingest::domain::walk::Walk;
use kalshi_ingest::failure::Kind;
use kalshi_ingest::store::Store;

use super::{BIG, NOW, assert_whole, events, id, note_statements, noted, sealed, with_payload};
use crate::roles::Roles;
use crate::support::database::Database;
use crate::support::scope;

/// A transaction of another process that has stored this trade and ends with its connection.
fn in_the_way(database: &Database, n: usize) -> Client {
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    client
        .batch_execute(&format!(
            "begin;
             insert into prediction_market_trades
                 (source, trade_id, market_ticker, side, price, quantity, traded_at, run_id, ingested_at)
             values ('kalshi', '{}', 'KX-0', 'yes', 1, 1, now(), 9, now())",
            id(n)
        ))
        .unwrap();
    client
}

/// The connections that wait for the end of a transaction.
const WAITING: &str = "select pid from pg_stat_activity
    where datname = current_database() and wait_event = 'transactionid'";

/// Ends the connection that waits for another transaction.
fn end_waiting(database: &Database) {
    wait_until(database, &format!("select count(*) > 0 as x from ({WAITING}) as w"));
    let ended = format!("select count(pg_terminate_backend(pid)) as x from ({WAITING}) as w");
    assert_eq!(database.number(&ended), 1, "one connection waits");
}

#[track_caller]
fn wait_until(database: &Database, question: &str) {
    let until = Instant::now() + Duration::from_secs(30);
    while database.texts(question) != [Some("true".to_owned())] {
        assert!(Instant::now() < until, "never: {question}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_connection_that_is_ended_in_the_middle_loses_nothing() {
    let database = Database::postgres();
    let mut store = database.open();
    let run = store.begin_run("run", NOW).unwrap();
    let commit = sealed(events(0..BIG), Vec::new(), run);
    let other = in_the_way(&database, BIG - 5);
    let receipt = thread::scope(|scope| {
        let committed = scope.spawn(|| store.commit(run, &commit).unwrap());
        end_waiting(&database);
        // Who goes on with the upper half waits for the same trade.
        wait_until(&database, &format!("select count(*) > 0 as x from ({WAITING}) as w"));
        drop(other);
        committed.join().unwrap()
    });
    assert_eq!(receipt.inserted.len(), BIG);
    assert_whole(&database, BIG);
    assert_tally(&database, BIG, 0);
    note_statements(&database);
    let commit = sealed(events(BIG..2 * BIG), Vec::new(), run);
    assert_eq!(store.commit(run, &commit).unwrap().inserted.len(), BIG);
    assert_eq!(noted(&database), (1, 1, 0), "one connection goes on");
    assert_whole(&database, 2 * BIG);
}

#[track_caller]
fn assert_tally(database: &Database, ingested: usize, duplicate: usize) {
    let column = |name: &str| database.number(&format!("select {name} as x from ingestion_runs"));
    let tally = (column("events_ingested"), column("events_duplicate"));
    assert_eq!(tally, (i64::try_from(ingested).unwrap(), i64::try_from(duplicate).unwrap()));
}

/// The trades of one market, whose list has an end: they make a claim.
fn claiming(checkpoint: &Checkpoint, run: i64) -> Commit {
    let of_market = |event: RawEvent| {
        let market = checkpoint.scope.market().unwrap().clone();
        with_payload(Trade { market, ..event.trade })
    };
    let mut events: Vec<RawEvent> = events(0..BIG).into_iter().map(of_market).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.trade.traded_at));
    let page = |events| Page {
        events,
        rejected: Vec::new(),
        foreign: 0,
        cursor: None,
        exchange_now: NOW,
        our_now: NOW,
    };
    let last = events.last().cloned().into_iter().collect();
    let mut batch = Batch::default();
    let mut walk = Walk::new(checkpoint, Rules::EXACT).traded(Traded::Never(NOW));
    batch.push(walk.page(page(events)));
    if let Next::Fetch(_) = walk.next() {
        batch.push(walk.page(page(last)));
    }
    batch.seal(&Committed::new([checkpoint.clone()]), run, NOW)
}

fn checkpoint(store: &mut dyn Store) -> Checkpoint {
    let scopes: [Scope; 1] = [scope("KX-A")];
    store.checkpoints(&scopes, Timestamp::from_seconds(1)).unwrap().remove(0)
}

/// The upper half is committed, and nothing says so: the next attempt finds it.
#[test]
fn a_first_connection_that_is_ended_after_the_second_has_committed_claims_nothing() {
    let database = Database::postgres();
    let mut store = database.open();
    let run = store.begin_run("run", NOW).unwrap();
    let before = checkpoint(store.as_mut());
    let commit = claiming(&before, run);
    assert!(commit.checkpoints()[0].next().complete_until.is_some(), "the commit claims something");
    let other = in_the_way(&database, 5);
    let failure = thread::scope(|scope| {
        let committed = scope.spawn(|| store.commit(run, &commit).unwrap_err());
        let is_half = format!("select count(*) = {} as x from prediction_market_trades", BIG / 2);
        wait_until(&database, &is_half);
        end_waiting(&database);
        committed.join().unwrap()
    });
    assert_eq!(failure.kind, Kind::StoreInterrupted, "{failure}");
    drop(other);
    assert_whole(&database, BIG / 2);
    assert_tally(&database, BIG / 2, 0);
    store.reconnect().unwrap();
    assert_eq!(checkpoint(store.as_mut()), before, "nothing is claimed");
    let receipt = store.commit(run, &commit).unwrap();
    assert_eq!(receipt.inserted, (0..BIG / 2).collect::<Vec<_>>());
    assert!(receipt.overtaken.is_empty());
    assert_whole(&database, BIG);
    // The answer that confirmed the end of the list had a trade, too.
    assert_tally(&database, BIG, BIG / 2 + 1);
    assert_eq!(&checkpoint(store.as_mut()), commit.checkpoints()[0].next());
}

/// A role with the rights of the ingester, and with no more connections than this. Roles belong to the whole server, so
/// each gets a name of its own.
pub(crate) fn limited(roles: &Roles, connections: u32) -> Database {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let role = format!("limited_{}", MADE.fetch_add(1, Ordering::Relaxed));
    roles.postgres.execute(&format!(
        "create role {role} login in role kalshi_ingest connection limit {connections}"
    ));
    let mut database = Database::sqlite();
    database.url = roles.postgres.url.replacen("postgres@", &format!("{role}@"), 1);
    database
}

/// Tables as the ingester finds them.
pub(crate) fn prepared() -> Roles {
    let roles = Roles::new();
    drop(roles.owner.open());
    roles.run_script();
    roles
}

#[test]
fn one_connection_is_enough() {
    let roles = prepared();
    let database = limited(&roles, 1);
    note_statements(&roles.postgres);
    let mut store = database.open();
    for round in 0..2 {
        let commit = sealed(events(round * BIG..(round + 1) * BIG), Vec::new(), 1);
        assert_eq!(store.commit(1, &commit).unwrap().inserted.len(), BIG);
    }
    assert_eq!(noted(&roles.postgres), (1, 2, 0), "one process copies");
    assert_whole(&roles.postgres, 2 * BIG);
}

#[test]
fn the_ingesters_rights_are_enough() {
    let roles = prepared();
    note_statements(&roles.postgres);
    let mut store = roles.ingest.open();
    for round in 0..3 {
        // A half of it is known, but for the first time.
        let from = round * BIG / 2;
        store.commit(1, &sealed(events(from..from + BIG), Vec::new(), 1)).unwrap();
    }
    let (processes, copies, _) = noted(&roles.postgres);
    assert_eq!(processes, 2, "{copies} copies");
    assert_whole(&roles.postgres, 2 * BIG);
}

/// The server refuses a copy before it takes rows, and the driver mistakes each later answer on the connection.
#[test]
fn a_refused_copy_is_told_and_its_connection_used_no_more() {
    for table in ["prediction_market_trades", "raw_kalshi_trade_events"] {
        let roles = prepared();
        let mut store = roles.ingest.open();
        let run = store.begin_run("run", NOW).unwrap();
        let before = checkpoint(store.as_mut());
        let commit = claiming(&before, run);
        roles.postgres.execute(&format!("revoke insert on {table} from kalshi_ingest"));
        for _ in 0..2 {
            let failure = store.commit(run, &commit).unwrap_err();
            assert_eq!(failure.kind, Kind::StoreRefused, "{failure}");
            assert_eq!(roles.postgres.trades().len(), 0);
            assert_eq!(checkpoint(store.as_mut()), before, "the next answer is the right one");
        }
        roles.postgres.execute(&format!("grant insert on {table} to kalshi_ingest"));
        assert_eq!(store.commit(run, &commit).unwrap().inserted.len(), BIG);
        assert_eq!(&checkpoint(store.as_mut()), commit.checkpoints()[0].next());
        assert_whole(&roles.postgres, BIG);
    }
}

/// A server refuses COPY into a table with row level security from all who are subject to it.
#[test]
fn tables_with_row_security_take_big_commits() {
    for tables in [
        &["prediction_market_trades"][..],
        &["raw_kalshi_trade_events"],
        &["prediction_market_trades", "raw_kalshi_trade_events"],
    ] {
        let roles = prepared();
        for table in tables {
            roles.postgres.execute(&format!(
                "alter table {table} enable row level security;
                 create policy everything on {table} using (true) with check (true)"
            ));
        }
        let mut store = roles.ingest.open();
        for round in 0..3 {
            let from = round * BIG / 2;
            let commit = sealed(events(from..from + BIG), Vec::new(), 1);
            let inserted = store.commit(1, &commit).unwrap().inserted.len();
            assert_eq!(inserted, if round == 0 { BIG } else { BIG / 2 }, "{tables:?}");
        }
        assert_whole(&roles.postgres, 2 * BIG);
    }
}
