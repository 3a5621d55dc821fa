//! The counts of stored trades are exact again after trades were deleted, by whichever command.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kalshi_ingest::domain::time::Timestamp;
use kalshi_simulator::{Market, Rules, seeded_trades};

use crate::copies;
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_replay_of_deleted_trades_counts_them,
    a_replay_between_two_instants_counts_its_markets,
    a_replay_into_another_table_counts_nothing,
    completeness_counts_the_markets_that_it_scores,
    migrate_counts_anew_and_says_how_many_counts_were_wrong,
    a_replay_that_is_killed_and_resumed_counts_all,
    counting_anew_beside_writers_is_exact,
}

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
const MARKETS: [&str; 3] = ["KXA", "KXB", "KXC"];
const DELETED: &str = "delete from prediction_market_trades where market_ticker <> 'KXC'";

/// Three markets with so many trades each, stored.
fn filled(database: &Database, trades: usize) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    for (seed, market) in (1..).zip(MARKETS) {
        bench.exchange.add_market(Market::new(market, "KX", NOON_US - DAY_US, NOON_US + DAY_US));
        bench.exchange.add_all(seeded_trades(seed, market, trades, until - HOUR_US, until));
    }
    assert_eq!(bench.run(&MARKETS.join(","), &[]), 0);
    database.assert_counted();
    bench
}

/// The counts by the program's own table, whether they are right or not.
fn counted(database: &Database) -> i64 {
    database.number("select sum(trades) as x from trade_counts")
}

fn a_replay_of_deleted_trades_counts_them(database: &Database) {
    let bench = filled(database, 300);
    for deleted in [DELETED, "delete from prediction_market_trades"] {
        database.execute(deleted);
        assert_eq!(counted(database), 900, "nobody counts what is deleted by hand");
        assert_eq!(bench.main("replay", &[]), 0);
        database.assert_counted();
        assert_eq!(counted(database), 900);
    }
    // Also those that no event brings back.
    database.execute(
        "delete from raw_kalshi_trade_events where trade_id < '8';
         delete from prediction_market_trades where trade_id < 'a'",
    );
    assert_eq!(bench.main("replay", &[]), 0);
    database.assert_counted();
    assert!((1..900).contains(&counted(database)));
    // And a market without any event.
    database.execute(
        "delete from raw_kalshi_trade_events where market_ticker = 'KXB';
         delete from prediction_market_trades where market_ticker = 'KXB'",
    );
    assert_eq!(bench.main("replay", &[]), 0);
    database.assert_counted();
}

/// The thread that reads ahead has no connection then.
#[test]
fn one_connection_is_enough_for_a_replay() {
    let roles = copies::failures::prepared();
    let stored = {
        let bench = filled(&roles.ingest, 300);
        drop(bench);
        roles.postgres.trades()
    };
    roles.postgres.execute(DELETED);
    let database = copies::failures::limited(&roles, 1);
    let replayed = Bench::new(&database, Rules::default()).process_of("replay", &[]);
    assert!(replayed.status.success(), "{}", stderr(&replayed));
    assert!(stderr(&replayed).contains("going on with one connection"), "{}", stderr(&replayed));
    assert_eq!(roles.postgres.trades(), stored);
    roles.postgres.assert_counted();
}

fn a_replay_between_two_instants_counts_its_markets(database: &Database) {
    let bench = filled(database, 300);
    database.execute(DELETED);
    let at = |us: i64| Timestamp::from_micros(us).to_string();
    let replay = |from: i64, to: i64| {
        assert_eq!(bench.main("replay", &["--from", &at(from), "--to", &at(to)]), 0);
    };
    // No event was received then.
    replay(NOON_US - DAY_US, NOON_US - HOUR_US);
    assert_eq!((counted(database), database.trades().len()), (900, 300));
    replay(NOON_US - HOUR_US, NOON_US + HOUR_US);
    database.assert_counted();
    assert_eq!(counted(database), 900);
}

fn a_replay_into_another_table_counts_nothing(database: &Database) {
    let bench = filled(database, 300);
    assert_eq!(bench.main("replay", &["--into", "trades_new"]), 0);
    assert_eq!(database.number("select count(*) as x from trades_new"), 900);
    database.assert_counted();
    database.execute(DELETED);
    assert_eq!(bench.main("replay", &["--into", "trades_other"]), 0);
    assert_eq!((counted(database), database.trades().len()), (900, 300), "they stay as they are");
}

fn completeness_counts_the_markets_that_it_scores(database: &Database) {
    let bench = filled(database, 300);
    database.execute("delete from prediction_market_trades where trade_id < '8'");
    bench.main("completeness", &["--market", "KXA,KXB"]);
    let left = |market: &str, table: &str, what: &str| {
        database
            .number(&format!("select {what} as x from {table} where market_ticker = '{market}'"))
    };
    for (market, is_right) in [("KXA", true), ("KXB", true), ("KXC", false)] {
        let stored = left(market, "prediction_market_trades", "count(*)");
        assert!(stored < 300);
        assert_eq!(left(market, "trade_counts", "trades") == stored, is_right, "{market}");
    }
    bench.main("completeness", &["--market", "KXC"]);
    database.assert_counted();
}

fn migrate_counts_anew_and_says_how_many_counts_were_wrong(database: &Database) {
    let bench = filled(database, 300);
    let recount = || {
        let output = bench.process_of("migrate", &["--recount"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    let said = recount();
    assert!(said.contains("of 3 markets anew; 0 counts were wrong"), "{said}");
    // One loses its trades, one a few, and one is not counted at all.
    database.execute(
        "delete from prediction_market_trades where market_ticker = 'KXA'
             or market_ticker = 'KXB' and trade_id < '8';
         delete from trade_counts where market_ticker = 'KXC'",
    );
    let said = recount();
    assert!(said.contains("of 3 markets anew; 3 counts were wrong"), "{said}");
    database.assert_counted();
    assert_eq!(
        database.number("select trades as x from trade_counts where market_ticker = 'KXA'"),
        0
    );
    // Only the time of the last trade is wrong.
    database.execute("update trade_counts set last_trade_at = null where market_ticker = 'KXB'");
    let said = recount();
    assert!(said.contains("of 3 markets anew; 1 counts were wrong"), "{said}");
    database.assert_counted();
    database.execute("delete from prediction_market_trades");
    let output = bench.process_of("migrate", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("anew"), "only who asks for it waits for it");
    recount();
    database.assert_counted();
}

fn a_replay_that_is_killed_and_resumed_counts_all(database: &Database) {
    // A replay reads them in two parts.
    let all = 42_000;
    let bench = filled(database, 14_000);
    let places = "select count(*) as x from replay_places";
    let mut is_killed = false;
    for _ in 0..10 {
        database.execute("delete from prediction_market_trades");
        let mut replay = bench.command_of("replay", &["-q"]);
        let mut child = replay.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while database.number(places) == 0 && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        is_killed = child.wait().unwrap().code().is_none() && database.number(places) == 1;
        if is_killed {
            break;
        }
        // It got through.
        database.assert_counted();
    }
    assert!(is_killed, "none was killed between its parts");
    assert!(
        counted(database) > all,
        "the replayed trades are counted, and the deleted ones still are"
    );
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(counted(database), all);
    database.assert_counted();
    assert_eq!(database.number(places), 0);
}

/// Two processes store trades while a third one makes counts wrong and right again.
fn counting_anew_beside_writers_is_exact(database: &Database) {
    drop(database.open());
    let (rounds, rows) = (8, 3_000);
    let is_over = AtomicBool::new(false);
    let write = |offset: usize| {
        let mut store = database.open();
        for round in 0..rounds {
            let from = offset + round * rows;
            store
                .commit(1, &copies::sealed(copies::events(from..from + rows), Vec::new(), 1))
                .unwrap();
        }
    };
    let recounts = thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let mut store = database.open();
            let mut recounts = 0;
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                // One row: several would be locked in another order than the writers lock them.
                database.execute(
                    "update trade_counts set trades = trades + 1, last_trade_at = null
                     where market_ticker = (select min(market_ticker) from trade_counts)",
                );
                let markets = store.counted_markets().unwrap();
                let wrong = store.recount(&markets).unwrap();
                assert!(wrong > 0 || !is_last, "it was made wrong");
                recounts += 1;
                if is_last {
                    return recounts;
                }
            }
        });
        let writers = [scope.spawn(|| write(0)), scope.spawn(|| write(rows / 2))];
        for writer in writers {
            writer.join().unwrap();
        }
        is_over.store(true, Ordering::Release);
        counting.join().unwrap()
    });
    assert!(recounts > 1, "it was counted while trades were stored");
    assert_eq!(database.trades().len(), rounds * rows + rows / 2);
    database.assert_counted();
}
