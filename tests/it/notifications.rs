//! Who is told of a pass: the metrics file, the push gateway, the dead-man switch.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kalshi_simulator::{Fault, Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};
use crate::support::recorder::Recorder;

on_both_stores! {
    the_file_says_what_the_pass_did,
    counters_go_on_where_the_last_pass_left_them,
    a_breach_is_in_the_file,
    a_file_that_cannot_be_written_is_told_of_and_changes_nothing,
    the_gateway_gets_the_same_text_for_its_shard,
    the_switch_hears_the_start_and_the_exit_status,
    nobody_listening_changes_nothing,
    status_prints_the_same_metrics,
}

const MARKET: &str = "KXA-1-B";

fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_all(seeded_trades(
        1,
        MARKET,
        30,
        NOON_US - 60_000_000,
        NOON_US - 10_000_000,
    ));
    bench
}

/// The value of a metric, with its labels if it has any.
#[track_caller]
fn value(text: &str, metric: &str) -> f64 {
    let name = format!("kalshi_ingest_{metric} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {metric} in\n{text}")).parse().unwrap()
}

fn the_file_says_what_the_pass_did(database: &Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kalshi.prom");
    let file = path.to_str().unwrap();
    let output = bench(database).process(MARKET, &["--metrics-file", file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = fs::read_to_string(&path).unwrap();
    for (metric, expected) in [
        ("events_ingested_total", 30.0),
        ("last_run_events_ingested", 30.0),
        ("last_run_exit_code", 0.0),
        ("stale_markets{watch=\"KXA-1-B\"}", 0.0),
        ("markets{watch=\"KXA-1-B\"}", 1.0),
        ("sla_seconds{watch=\"KXA-1-B\"}", 300.0),
        ("overlap_seconds", 120.0),
    ] {
        assert!((value(&text, metric) - expected).abs() < 1e-9, "{metric} in\n{text}");
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

fn counters_go_on_where_the_last_pass_left_them(database: &Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kalshi.prom");
    let flags = ["--metrics-file", path.to_str().unwrap()];
    let bench = bench(database);
    let mut requests = 0.0;
    for round in 0..3_u32 {
        assert_eq!(bench.run(MARKET, &flags), 0);
        let text = fs::read_to_string(&path).unwrap();
        assert!(value(&text, "requests_total") > requests);
        requests = value(&text, "requests_total");
        let stored = database.number("select count(*) as x from prediction_market_trades");
        let counted = value(&text, "events_ingested_total");
        assert!((counted - f64::from(i32::try_from(stored).unwrap())).abs() < 1e-9, "{text}");
        bench.advance(60_000_000);
        let (from, until) = (NOON_US + i64::from(round) * 60_000_000, NOON_US + 50_000_000);
        let more = seeded_trades(u64::from(round) + 2, MARKET, 7, from, until.max(from + 1));
        bench.exchange.add_all(more);
    }
}

fn a_breach_is_in_the_file(database: &Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kalshi.prom");
    let bench = bench(database);
    let flags = ["--metrics-file", path.to_str().unwrap(), "--sla", "10s", "--settle", "1s"];
    assert_eq!(bench.run(MARKET, &flags), 0);
    bench.exchange.fail_always("*", Some(Fault::Status(500)));
    database.execute("update ingestion_checkpoints set complete_until = '2026-01-01T00:00:00Z', complete_from = null, checked_until = null, anchor_at = null");
    assert_eq!(bench.run(MARKET, &[&flags[..], &["--deadline", "2s"]].concat()), 3);
    let text = fs::read_to_string(&path).unwrap();
    assert!(value(&text, "stale_markets{watch=\"KXA-1-B\"}") > 0.5, "{text}");
    assert!((value(&text, "last_run_exit_code") - 3.0).abs() < 1e-9, "{text}");
    assert!(value(&text, "retries_total{reason=\"server_error\"}") > 0.5, "{text}");
}

fn a_file_that_cannot_be_written_is_told_of_and_changes_nothing(database: &Database) {
    let file = "/no/such/directory/kalshi.prom";
    let output = bench(database).process(MARKET, &["-q", "--metrics-file", file]);
    assert_eq!(output.status.code(), Some(0));
    let said = stderr(&output);
    assert!(said.lines().count() == 1 && said.contains(file), "{said}");
}

fn the_gateway_gets_the_same_text_for_its_shard(database: &Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kalshi.prom");
    let gateway = Recorder::start(200);
    let flags = ["--push-gateway", &gateway.url, "--metrics-file", path.to_str().unwrap()];
    assert_eq!(bench(database).run(MARKET, &flags), 0);
    let text = fs::read_to_string(&path).unwrap();
    let place = "/metrics/job/kalshi_ingest/shard/0-of-1".to_owned();
    assert_eq!(gateway.told(), [(place, text)]);
}

fn the_switch_hears_the_start_and_the_exit_status(database: &Database) {
    let switch = Recorder::start(200);
    let url = format!("{}/secret-of-mine", switch.url);
    let bench = bench(database);
    assert_eq!(bench.run(MARKET, &["--ping-url", &url]), 0);
    bench.exchange.fail_always("*", Some(Fault::Status(403)));
    let output = bench.process(MARKET, &["-v", "--ping-url", &url]);
    assert_eq!(output.status.code(), Some(4));
    assert!(!stderr(&output).contains("secret-of-mine"), "{}", stderr(&output));
    let told = switch.told();
    let paths: Vec<&str> = told.iter().map(|(path, _)| path.as_str()).collect();
    let below = |name| format!("/secret-of-mine/{name}");
    assert_eq!(paths, [below("start"), below("0"), below("start"), below("4")]);
    assert!(told[1].1.contains("events_ingested=30"), "{}", told[1].1);
    assert!(told[3].1.lines().count() == 2 && told[3].1.contains("403"), "{}", told[3].1);
}

fn nobody_listening_changes_nothing(database: &Database) {
    let nobody = "http://127.0.0.1:1/secret-of-mine";
    let output = bench(database).process(MARKET, &["--ping-url", nobody, "--push-gateway", nobody]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stderr(&output);
    assert_eq!(said.matches("telling --ping-url at 127.0.0.1:1 failed").count(), 2, "{said}");
    assert_eq!(said.matches("telling --push-gateway at 127.0.0.1:1 failed").count(), 1, "{said}");
    assert!(!said.contains("secret-of-mine"), "{said}");
}

fn status_prints_the_same_metrics(database: &Database) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kalshi.prom");
    let bench = bench(database);
    assert_eq!(bench.run(MARKET, &["--metrics-file", path.to_str().unwrap()]), 0);
    let output = bench.process_of("status", &["--output", "prometheus"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let names = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(names(&printed), names(&fs::read_to_string(&path).unwrap()));
    assert!((value(&printed, "last_run_events_ingested") - 30.0).abs() < 1e-9, "{printed}");
}

/// Without the database what was known stays, but how the pass ended is told.
#[test]
fn a_pass_without_its_database_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kalshi.prom");
    let file = path.to_str().unwrap();
    let database = Database::sqlite();
    let bench = bench(&database);
    let switch = Recorder::start(500);
    assert_eq!(bench.run(MARKET, &["--metrics-file", file]), 0);
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    let flags = ["--metrics-file", file, "--ping-url", &switch.url, "--database-url", nowhere];
    let output = bench.process(MARKET, &flags);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let text = fs::read_to_string(Path::new(file)).unwrap();
    assert!((value(&text, "last_run_exit_code") - 5.0).abs() < 1e-9, "{text}");
    assert!((value(&text, "events_ingested_total") - 30.0).abs() < 1e-9, "{text}");
    let paths: Vec<String> = switch.told().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/start", "/5", "/5"], "said twice, since it was not taken");
}
