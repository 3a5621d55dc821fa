//! Syncs that fail in the middle: nothing is lost, and the next one makes up for it.

use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use kalshi_simulator::{Fault, Rules, Status};

use super::{
    HOUR_US, MINUTE_US, SECOND_US, asked, change_count, changes, command, invoke, market_count,
    open_market, pairs, queries, statuses,
};
use crate::support::bench::{Bench, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    refusals_and_failures_in_the_middle_of_a_list_are_overcome,
    a_first_sync_that_fails_is_begun_again,
    changes_during_a_failed_sync_are_not_missed,
    changes_during_a_sync_are_for_the_next_one,
    a_killed_sync_is_as_if_it_had_not_been,
    an_exchange_that_is_down_is_status_four_and_loses_nothing,
    an_answer_of_something_else_is_no_empty_list,
    a_pass_goes_on_without_its_sync,
}

const KXA: [&str; 2] = ["--series", "KXA"];

/// An exchange with 2,500 markets in the series KXA, each an event of its own.
fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.change(|world| {
        for n in 0..2_500 {
            let name = format!("KXA-{n:04}");
            world.add_market(open_market(&name, &name));
        }
    });
    bench
}

fn paused_count(database: &Database) -> i64 {
    database.number("select count(*) as x from prediction_markets where status = 'inactive'")
}

/// `min_updated_ts` of the last sync's lists; `None` for a whole one.
fn since(bench: &Bench<'_>) -> Option<i64> {
    let asked = asked(bench);
    let lists: Vec<_> = asked.iter().filter(|asked| asked.path.ends_with("/markets")).collect();
    let since = lists[0].param("min_updated_ts").map(|text| text.parse().unwrap());
    since.map(|since: i64| since - NOON_US / SECOND_US)
}

fn refusals_and_failures_in_the_middle_of_a_list_are_overcome(database: &Database) {
    let bench = bench(database);
    let refused = Fault::TooMany { retry_after: None };
    let faults = [Fault::None, refused, Fault::None, Fault::Status(503), Fault::Truncated];
    bench.exchange.script_for("/markets", faults);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!((market_count(database), change_count(database)), (2_500, 2_500));
    assert_eq!(database.number("select retries as x from ingestion_runs"), 3);
    assert_eq!(database.number("select requests as x from ingestion_runs"), 8);
    assert_eq!(database.number("select markets as x from ingestion_runs"), 2_500);
}

fn a_first_sync_that_fails_is_begun_again(database: &Database) {
    let bench = bench(database);
    bench.exchange.script_for("/markets", [Fault::None, Fault::None, Fault::Status(400)]);
    assert_eq!(invoke(&bench, "markets", &KXA), 4);
    assert_eq!(market_count(database), 2_000, "what was read is stored");
    bench.exchange.script_for("/historical/markets", [Fault::Status(400)]);
    assert_eq!(invoke(&bench, "markets", &KXA), 4, "the archive is a part of it");
    asked(&bench);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(since(&bench), None, "a whole one");
    assert_eq!((market_count(database), change_count(database)), (2_500, 2_500));
}

fn changes_during_a_failed_sync_are_not_missed(database: &Database) {
    let bench = bench(database);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    bench.advance(HOUR_US);
    bench.exchange.change(|world| {
        for n in 0..1_500 {
            world.change_market(&format!("KXA-{n:04}"), |it| it.status = Some(Status::Inactive));
        }
    });
    bench.exchange.script_for("/markets", [Fault::None, Fault::Status(400)]);
    assert_eq!(invoke(&bench, "markets", &KXA), 4);
    assert_eq!(paused_count(database), 1_000, "the page that was read is stored");
    bench.exchange.change_market("KXA-2400", |market| market.status = Some(Status::Inactive));
    bench.advance(HOUR_US);
    bench.exchange.script_for("/markets", [Fault::Status(400)]);
    assert_eq!(invoke(&bench, "markets", &KXA), 4);
    bench.advance(HOUR_US);
    asked(&bench);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(since(&bench), Some(-60), "since the last one that came to its end");
    assert_eq!(paused_count(database), 1_501);
    assert_eq!(change_count(database), 2_500 + 1_501, "each once");
    bench.advance(HOUR_US);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(since(&bench), Some(3 * 3_600 - 60));
}

fn changes_during_a_sync_are_for_the_next_one(database: &Database) {
    let bench = bench(database);
    let (sender, first_page) = channel();
    bench.exchange.on_request(move |_| {
        let _ = sender.send(());
    });
    // The first page takes its time: what it shows changes before the second is asked for.
    let slow = Fault::SlowBody { bytes_per_step: 200_000, pause_ms: 100 };
    bench.exchange.script_for("/markets", [slow]);
    let exchange = &bench.exchange;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            first_page.recv().unwrap();
            exchange.change(|world| {
                world.change_market("KXA-2499", |market| market.status = Some(Status::Inactive));
                world.advance(10 * MINUTE_US);
            });
        });
        assert_eq!(invoke(&bench, "markets", &KXA), 0);
    });
    let asked = bench.exchange.requests();
    assert_eq!(asked[1].asked_us - asked[0].asked_us, 10 * MINUTE_US, "the world has moved on");
    assert_eq!(paused_count(database), 0, "the newest market was on the first page");
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(paused_count(database), 1, "the next one looks from the first answer on");
}

fn a_killed_sync_is_as_if_it_had_not_been(database: &Database) {
    let bench = bench(database);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    bench.advance(HOUR_US);
    bench.exchange.change(|world| {
        for n in 0..1_200 {
            world.change_market(&format!("KXA-{n:04}"), |it| it.status = Some(Status::Inactive));
        }
    });
    bench.exchange.script_for("/markets", [Fault::None, Fault::Hang { ms: 2_000 }]);
    asked(&bench);
    let mut child = command(&bench, "markets", &KXA).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while bench.exchange.requests().len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(30), "it never asked for a second page");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.advance(HOUR_US);
    asked(&bench);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(since(&bench), Some(-60));
    assert_eq!((paused_count(database), change_count(database)), (1_200, 2_500 + 1_200));
}

fn an_exchange_that_is_down_is_status_four_and_loses_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1", "KXA-1"));
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    bench.exchange.settle_market("KXA-1", "yes", 10_000);
    bench.exchange.fail_always("*", Some(Fault::Closed));
    assert_eq!(invoke(&bench, "markets", &KXA), 4, "nothing else would tell");
    let error = database.texts("select error as x from ingestion_runs where exit_code = 4");
    assert!(error[0].as_ref().unwrap().contains("the series KXA"), "{error:?}");
    assert_eq!(statuses(database), pairs(&[("KXA-1", "active")]));
    bench.exchange.clear_faults();
    bench.advance(HOUR_US);
    assert_eq!(invoke(&bench, "markets", &KXA), 0);
    assert_eq!(changes(database, "KXA-1"), pairs(&[("-", "active"), ("active", "finalized")]));
}

fn an_answer_of_something_else_is_no_empty_list(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1", "KXA-1"));
    for fault in [Fault::NotTrades, Fault::Garbage] {
        bench.exchange.script_for("/markets", [fault]);
        assert_eq!(invoke(&bench, "markets", &KXA), 0);
        assert_eq!(market_count(database), 1, "{fault:?}: asked again");
        bench.advance(HOUR_US);
        bench.exchange.change_market("KXA-1", |market| market.title.push('!'));
    }
    let title = database.texts("select title as x from prediction_markets");
    assert_eq!(title, [Some("Will KXA-1 happen?!".to_owned())]);
    assert_eq!(queries(&asked(&bench)).len(), 6);
}

fn a_pass_goes_on_without_its_sync(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1", "KXA-1"));
    bench.exchange.fail_always("/historical/markets", Some(Fault::Status(503)));
    let flags = ["--series", "KXA", "--sync-markets", "1d", "--deadline", "3s"];
    assert_eq!(invoke(&bench, "run", &flags), 0, "trades are there, metadata can wait");
    assert!(database.complete_until("KXA-1").is_some());
    bench.exchange.clear_faults();
    asked(&bench);
    assert_eq!(invoke(&bench, "run", &flags), 0);
    let archive = asked(&bench).iter().filter(|a| a.path.ends_with("/historical/markets")).count();
    assert_eq!(archive, 2, "it is still due");
    bench.exchange.fail_always("/markets", Some(Fault::Status(400)));
    let flags = ["--market", "KXA-1", "--sync-markets", "0s"];
    assert_eq!(invoke(&bench, "run", &flags), 4, "a refusal needs a person");
    bench.exchange.clear_faults();
    assert_eq!(invoke(&bench, "run", &flags), 0);
}
