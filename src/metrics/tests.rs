use std::collections::BTreeMap;

use super::*;
use crate::domain::freshness::Now;
use crate::domain::overview::{Entry, Scored, Totals};
use crate::domain::selection::{Shard, Target, Watch};
use crate::domain::ticker::Ticker;

fn last() -> LastRun {
    LastRun {
        duration: Duration::from_millis(1_500),
        exit_code: 3,
        requests: 12,
        events_ingested: 34,
        finished_at: Timestamp::from_micros(1_800_000_000_250_000),
    }
}

fn overview() -> Overview {
    let retries = BTreeMap::from([(Box::from("rate_limited"), 4)]);
    Overview {
        totals: Totals {
            requests: 7,
            retries,
            events_ingested: 5_000_000_000,
            ..Totals::default()
        },
        overlap: Some(Duration::from_secs(120)),
        ..Overview::default()
    }
}

#[test]
fn a_metric_is_a_help_line_a_type_and_its_values() {
    let said = text(&overview(), &[], Some(last()), Shard::WHOLE);
    for line in [
        "# TYPE kalshi_ingest_requests_total counter",
        "kalshi_ingest_requests_total 7",
        "kalshi_ingest_retries_total{reason=\"rate_limited\"} 4",
        "kalshi_ingest_retries_total{reason=\"database\"} 0",
        "kalshi_ingest_events_ingested_total 5000000000",
        "kalshi_ingest_overlap_seconds 120",
        "kalshi_ingest_last_run_duration_seconds 1.5",
        "kalshi_ingest_last_run_exit_code 3",
        "kalshi_ingest_last_run_timestamp_seconds 1800000000.25",
        concat!("kalshi_ingest_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(said.lines().any(|known| known == line), "{line} is not in\n{said}");
    }
    assert!(!said.contains("stale_markets"), "a metric without a value is left out");
}

#[test]
fn a_watch_is_a_label_whatever_it_is_called() {
    let odd = Ticker::new("KX\"\\").unwrap();
    let watch = Watch { target: Target::Series(odd), sla: Duration::from_secs(60) };
    let selected_at = Timestamp::from_seconds(1_000);
    let entry = Entry { watch, selected_at, resolved_at: selected_at, members: Vec::new() };
    let scored = Scored {
        market: Ticker::new("M").unwrap(),
        event: None,
        series: Some(Box::from("KX\"\\")),
        score: 0.5,
        scored_at: selected_at,
    };
    let overview = Overview { entries: vec![entry], scores: vec![scored], ..Overview::default() };
    let summaries = overview.summaries(None, Now::by_record(Timestamp::from_seconds(1_100), None));
    let said = text(&overview, &summaries, None, Shard::WHOLE);
    for line in [
        r#"kalshi_ingest_ingestion_lag_seconds{watch="KX\"\\"} 100"#,
        r#"kalshi_ingest_stale_markets{watch="KX\"\\"} 1"#,
        r#"kalshi_ingest_sla_seconds{watch="KX\"\\"} 60"#,
        r#"kalshi_ingest_completeness_score{watch="KX\"\\"} 0.5"#,
    ] {
        assert!(said.lines().any(|known| known == line), "{line} is not in\n{said}");
    }
    assert!(!said.contains("newest_trade"), "what is not known is not said");
}

#[test]
fn without_the_database_only_the_last_pass_is_news() {
    let before = text(&overview(), &[], Some(LastRun { exit_code: 0, ..last() }), Shard::WHOLE);
    let after = amended(&before, LastRun { exit_code: 5, ..last() }, Shard::WHOLE);
    let expected = before.replace("last_run_exit_code 0", "last_run_exit_code 5");
    assert_eq!(after, expected);
    let first = amended("", LastRun { exit_code: 5, ..last() }, Shard::WHOLE);
    assert!(first.contains("kalshi_ingest_last_run_exit_code 5\n"), "{first}");
}

#[test]
fn a_share_of_the_markets_says_which() {
    let shard = Shard::new(1, 4).unwrap();
    let said = text(&overview(), &[], Some(last()), shard);
    for line in [
        "kalshi_ingest_requests_total{shard=\"1-of-4\"} 7",
        "kalshi_ingest_retries_total{shard=\"1-of-4\",reason=\"rate_limited\"} 4",
    ] {
        assert!(said.lines().any(|known| known == line), "{line} is not in\n{said}");
    }
    let values = said.lines().filter(|line| !line.starts_with('#'));
    assert!(values.clone().count() > 0 && values.clone().all(|line| line.contains("1-of-4")));
    let after = amended(&said, LastRun { exit_code: 5, ..last() }, shard);
    assert_eq!(
        after,
        said.replace("exit_code{shard=\"1-of-4\"} 3", "exit_code{shard=\"1-of-4\"} 5")
    );
}
