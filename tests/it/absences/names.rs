//! Names that the exchange does not know, or knew once.

use kalshi_simulator::{Fault, Rules, UnknownSeries};

use super::{MINUTE_US, SECOND_US, open, requests, trade};
use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};
use crate::support::recorder::Recorder;

on_both_stores! {
    pooled:
    a_typo_is_told_on_every_pass_and_is_no_watch,
    a_check_that_was_not_answered_is_made_again,
    a_name_that_was_known_once_is_no_typo,
    a_market_that_was_read_once_is_no_typo,
    a_typo_does_not_hide_a_breach,
    a_status_of_nothing_stored_is_a_mistake,
    many_typos_take_their_turn,
    a_name_that_was_refused_is_forgotten_as_a_watch,
}

const TYPOS: [[&str; 2]; 3] =
    [["--series", "KXTYPO"], ["--event", "KXTYPO-1"], ["--market", "KXTYPO-1-A"]];

fn watches(database: &Database) -> i64 {
    database.number("select count(*) as x from selection_watches where watch like '%TYPO%'")
}

fn a_typo_is_told_on_every_pass_and_is_no_watch(database: &Database) {
    for unknown_series in [UnknownSeries::NotFound, UnknownSeries::Refused, UnknownSeries::Null] {
        let bench = Bench::new(database, Rules { unknown_series, ..Rules::default() });
        database.execute("delete from refused_names");
        open(&bench, "KXS-1-A", "KXS-1");
        trade(&bench, "KXS-1-A", 1, 20, NOON_US - 10 * SECOND_US);
        for typo in TYPOS {
            let flags = [&["--series", "KXS", "--sync-markets", "0s"][..], &typo].concat();
            for minute in 0..12 {
                let output = bench.process_of("run", &flags);
                let said = stderr(&output);
                assert_eq!(output.status.code(), Some(2), "minute {minute}: {said}");
                let told =
                    said.lines().filter(|line| line.contains("the exchange knows no")).count();
                assert_eq!(told, 1, "minute {minute}: {said}");
                assert_eq!(watches(database), 0, "minute {minute}: {typo:?} is no watch");
                bench.advance(MINUTE_US);
            }
            let checkpoints =
                "select count(*) as x from ingestion_checkpoints where market_ticker like '%TYPO%'";
            assert_eq!(database.number(checkpoints), 0, "{typo:?} leaves no trace");
            let output = bench.process_of("status", &["--check"]);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            let metrics = bench.process_of("status", &["--output", "prometheus"]);
            assert!(!String::from_utf8_lossy(&metrics.stdout).contains("TYPO"));
        }
        // It is looked at again ever more rarely.
        assert_eq!(bench.pass(&TYPOS[0]), 2);
        bench.advance(2 * MINUTE_US);
        requests(&bench);
        assert_eq!(bench.pass(&TYPOS[0]), 2);
        assert_eq!(requests(&bench), 0, "not within a few minutes");
        open(&bench, "KXTYPO-1-A", "KXTYPO-1");
        for _ in 0..60 {
            bench.advance(MINUTE_US);
            bench.pass(&[TYPOS[0], TYPOS[1], TYPOS[2]].concat());
        }
        assert_eq!(bench.pass(&[TYPOS[0], TYPOS[1], TYPOS[2]].concat()), 0, "within an hour");
        database.execute("delete from prediction_markets");
        database.execute("delete from selection_watches");
        database.execute("delete from selection_members");
        database.execute("delete from ingestion_checkpoints");
        database.execute("delete from prediction_events");
    }
}

fn a_check_that_was_not_answered_is_made_again(database: &Database) {
    for (typo, path) in [(TYPOS[0], "/series/*"), (TYPOS[1], "/events/*"), (TYPOS[2], "/markets/*")]
    {
        let bench = Bench::new(database, Rules::default());
        bench.exchange.fail_always(path, Some(Fault::Status(503)));
        for _ in 0..3 {
            let output = bench.process_of("run", &[&typo[..], &["--deadline", "4s"]].concat());
            assert_eq!(output.status.code(), Some(0), "nobody can say: {}", stderr(&output));
            bench.advance(MINUTE_US);
        }
        bench.exchange.fail_always(path, None);
        for _ in 0..2 {
            assert_eq!(bench.pass(&typo), 2, "{typo:?}: now somebody can");
            assert_eq!(watches(database), 0);
        }
    }
}

fn a_name_that_was_known_once_is_no_typo(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-A", "KXS-1");
    let flags = ["--series", "KXS", "--event", "KXS-1"];
    assert_eq!(bench.pass(&flags), 0);
    bench.exchange.settle_market("KXS-1-A", "no", 0);
    for _ in 0..6 {
        bench.advance(MINUTE_US);
        assert_eq!(bench.pass(&flags), 0);
    }
    for path in ["/series/*", "/events/*"] {
        bench.exchange.fail_always(path, Some(Fault::Status(404)));
    }
    bench.exchange.fail_always("/markets", Some(Fault::EmptyList));
    bench.advance(3 * 60 * MINUTE_US);
    let output = bench.process_of("run", &flags);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("does not know it any more"), "{}", stderr(&output));
}

fn a_market_that_was_read_once_is_no_typo(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-A", "KXS-1");
    trade(&bench, "KXS-1-A", 1, 20, NOON_US - 10 * SECOND_US);
    assert_eq!(bench.pass(&["--market", "KXS-1-A"]), 0);
    // What was known of it is lost; its trades are not.
    database.execute("delete from prediction_markets");
    bench.exchange.remove_market("KXS-1-A");
    bench.advance(MINUTE_US);
    assert_eq!(bench.pass(&["--market", "KXS-1-A"]), 0, "trades of it are stored");
    assert_eq!(bench.main("markets", &["--market", "KXS-1-A"]), 0);
}

fn a_typo_does_not_hide_a_breach(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-A", "KXS-1");
    trade(&bench, "KXS-1-A", 1, 20, NOON_US - 10 * SECOND_US);
    assert_eq!(bench.pass(&["--market", "KXS-1-A"]), 0);
    bench.advance(60 * MINUTE_US);
    bench.exchange.fail_always("/markets/trades", Some(Fault::Status(503)));
    let switch = Recorder::start(200);
    let flags = ["--market", "KXS-1-A", "--series", "KXTYPO", "--deadline", "4s"];
    let flags = [&flags[..], &["--ping-url", &switch.url]].concat();
    let output = bench.process_of("run", &flags);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("KXTYPO") && said.contains("KXS-1-A is stale"), "{said}");
    let (path, words) = switch.told().pop().unwrap();
    assert_eq!(path, "/2");
    assert!(words.contains("KXTYPO") && words.contains("KXS-1-A is stale"), "{words}");
}

fn a_status_of_nothing_stored_is_a_mistake(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-A", "KXS-1");
    assert_eq!(bench.pass(&["--market", "KXS-1-A", "--sync-markets", "0s"]), 0);
    for output in ["table", "json", "csv", "prometheus"] {
        for typo in TYPOS {
            let flags = [&typo[..], &["--output", output]].concat();
            let status = bench.process_of("status", &flags);
            assert_eq!(status.status.code(), Some(2), "{flags:?}");
            assert!(stderr(&status).contains("KXTYPO"), "{}", stderr(&status));
        }
        for known in [["--market", "KXS-1-A"], ["--event", "KXS-1"], ["--series", "KXS"]] {
            let flags = [&known[..], &["--output", output]].concat();
            let status = bench.process_of("status", &flags);
            assert_eq!(status.status.code(), Some(0), "{flags:?}: {}", stderr(&status));
        }
    }
    let table = bench.process_of("status", &["--series", "KXS"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("KXS-1-A"), "by what a market is: {table}");
}

fn many_typos_take_their_turn(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-A", "KXS-1");
    let typos: Vec<String> = (0..12).map(|n| format!("KXTYPO-1-{n}")).collect();
    let typos = typos.join(",");
    for pass in 0..3 {
        requests(&bench);
        assert_eq!(bench.pass(&["--market", "KXS-1-A", "--market", &typos]), 2, "pass {pass}");
        let alone = bench.exchange.requests().into_iter();
        let alone = alone.filter(|asked| asked.path.contains("/KXTYPO")).count();
        assert!(alone <= 10, "pass {pass}: five markets, two requests each: {alone}");
    }
    assert_eq!(database.number("select count(*) as x from refused_names"), 12);
    let left = "select count(*) as x from ingestion_checkpoints
                where market_ticker like '%TYPO%' and retired_at is null";
    assert_eq!(database.number(left), 0, "in the end none of them is waited for");
    assert_eq!(bench.main("status", &["--check"]), 0);
}

/// A database of an older version, where a name nobody knows was taken for resolved.
fn a_name_that_was_refused_is_forgotten_as_a_watch(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    database.execute(
        "insert into selection_watches (source, watch, first_selected_at, resolved_at)
         values ('kalshi', 'series:KXTYPO', '2026-01-01T00:00:00.000000Z', '2026-07-25T00:00:00.000000Z')",
    );
    assert_eq!(bench.pass(&TYPOS[0]), 2);
    assert_eq!(watches(database), 0);
}
