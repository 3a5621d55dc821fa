//! Processes that store the same trades at the same time.

use std::sync::Barrier;
use std::thread;

use super::{BIG, NOW, assert_whole, events, sealed};
use crate::support::database::Database;

const ROUNDS: usize = 3;

/// In each round two stores commit batches of which a half is the same.
#[test]
fn overlapping_batches_of_two_stores_are_stored_once() {
    let database = Database::postgres();
    let barrier = Barrier::new(2);
    let run = |offset: usize| {
        let mut store = database.open();
        let run = store.begin_run("run", NOW).unwrap();
        let mut inserted = 0;
        for round in 0..ROUNDS {
            let from = offset + round * BIG;
            let commit = sealed(events(from..from + BIG), Vec::new(), run);
            barrier.wait();
            inserted += store.commit(run, &commit).unwrap().inserted.len();
        }
        inserted
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| run(0));
        let other = scope.spawn(|| run(BIG / 2));
        (one.join().unwrap(), other.join().unwrap())
    });
    let all = ROUNDS * BIG + BIG / 2;
    assert_eq!(one + other, all, "each trade was new to one of them");
    assert_whole(&database, all);
    let sum =
        |column: &str| database.number(&format!("select sum({column}) as x from ingestion_runs"));
    assert_eq!(sum("events_ingested"), i64::try_from(all).unwrap());
    assert_eq!(sum("events_duplicate"), i64::try_from(2 * ROUNDS * BIG - all).unwrap());
}

/// Two stores commit the same batches, and each is the first with some trades.
#[test]
fn the_same_batches_of_two_stores_are_stored_once() {
    let database = Database::postgres();
    let barrier = Barrier::new(2);
    let run = || {
        let mut store = database.open();
        for round in 0..ROUNDS {
            let commit = sealed(events(round * BIG..(round + 1) * BIG), Vec::new(), 1);
            barrier.wait();
            store.commit(1, &commit).unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(run);
        scope.spawn(run);
    });
    assert_whole(&database, ROUNDS * BIG);
}
