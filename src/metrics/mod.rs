//! The metrics as Prometheus text, format 0.0.4.
//!
//! A process that lives for seconds has no counters of its own: a counter is the database's total over all commands
//! ever, so that `rate()` is right. Labels follow the configuration, never the exchange: there is one value for each
//! watch, not for each market.

pub mod file;

use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::domain::overview::{Overview, RunRow, Summary};
use crate::domain::selection::Shard;
use crate::domain::tally::RetryReason;
use crate::domain::time::Timestamp;

/// The end of the last pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastRun {
    /// Its duration.
    pub duration: Duration,
    /// Its exit status.
    pub exit_code: i16,
    /// The number of requests that it sent.
    pub requests: i64,
    /// The number of new trades that it stored.
    pub events_ingested: i64,
    /// Our clock at its end.
    pub finished_at: Timestamp,
}

impl LastRun {
    /// The figures of a pass that did no work.
    pub fn without_work(duration: Duration, exit_code: u8, finished_at: Timestamp) -> LastRun {
        let exit_code = i16::from(exit_code);
        LastRun { duration, exit_code, requests: 0, events_ingested: 0, finished_at }
    }

    /// The figures from the row of a run; `None` if the run has not ended.
    pub fn of_row(row: &RunRow) -> Option<LastRun> {
        let finished_at = row.finished_at?;
        Some(LastRun {
            duration: finished_at.since(row.started_at),
            exit_code: row.exit_code?,
            requests: row.requests.unwrap_or(0),
            events_ingested: row.events_ingested.unwrap_or(0),
            finished_at,
        })
    }
}

/// All metrics, by name and label.
///
/// The values of a shard carry a label for it: of two files with the same names and labels on one machine the textfile
/// collector drops one, without an error.
pub fn text(
    overview: &Overview,
    summaries: &[Summary],
    last: Option<LastRun>,
    shard: Shard,
) -> String {
    let mut page = Exposition::new(shard);
    page.totals(overview);
    // A name that the exchange does not know is no watch, and has no figures.
    let known: Vec<&Summary> = summaries.iter().filter(|summary| !summary.is_unknown).collect();
    page.watches(&known);
    page.overlap(overview);
    if let Some(last) = last {
        page.last_run(last);
    }
    page.build();
    page.text
}

/// The same text with another last pass, for a pass that gets no answer from the database.
pub fn amended(text: &str, last: LastRun, shard: Shard) -> String {
    let is_kept = |line: &&str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        !name.starts_with("kalshi_ingest_last_run_")
            && !name.starts_with("kalshi_ingest_build_info")
    };
    let mut page = Exposition::new(shard);
    for line in text.lines().filter(is_kept) {
        page.text.push_str(line);
        page.text.push('\n');
    }
    page.last_run(last);
    page.build();
    page.text
}

#[derive(Clone, Copy)]
enum MetricKind {
    Counter,
    Gauge,
}

struct Exposition {
    text: String,
    /// The label that every value has, if there is one.
    constant: Option<String>,
}

impl Exposition {
    fn new(shard: Shard) -> Exposition {
        let constant = (shard != Shard::WHOLE).then(|| format!("shard=\"{}\"", shard.file_name()));
        Exposition { text: String::new(), constant }
    }

    /// Adds a metric with its values, each under its label. It writes nothing when there is none.
    fn add<V: Display>(
        &mut self,
        name: &str,
        kind: MetricKind,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (String, V)>,
    ) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP kalshi_ingest_{name} {help}");
        let _ = writeln!(self.text, "# TYPE kalshi_ingest_{name} {kind}");
        for (of, value) in values {
            let own = (!label.is_empty()).then(|| format!("{label}=\"{}\"", escaped(&of)));
            let labels: Vec<String> = self.constant.iter().cloned().chain(own).collect();
            let labels = match &labels[..] {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(self.text, "kalshi_ingest_{name}{labels} {value}");
        }
    }

    fn one(&mut self, name: &str, kind: MetricKind, help: &str, value: impl Display) {
        self.add(name, kind, help, "", [(String::new(), value)]);
    }

    fn totals(&mut self, overview: &Overview) {
        let totals = &overview.totals;
        self.one(
            "requests_total",
            MetricKind::Counter,
            "Requests sent to the exchange, by all commands that ended.",
            totals.requests,
        );
        let count = |reason: &RetryReason| totals.retries.get(reason.as_str()).copied();
        self.add(
            "retries_total",
            MetricKind::Counter,
            "Requests and transactions tried again, by all commands that ended.",
            "reason",
            RetryReason::ALL
                .iter()
                .map(|reason| (reason.as_str().to_owned(), count(reason).unwrap_or(0))),
        );
        for (name, help, total) in [
            (
                "events_ingested_total",
                "Trades stored, by all commands ever.",
                totals.events_ingested,
            ),
            (
                "events_duplicate_total",
                "Trades read that were stored already, by all commands ever.",
                totals.events_duplicate,
            ),
            (
                "events_rejected_total",
                "Events kept in the raw table only, since they could not be read as trades.",
                totals.events_rejected,
            ),
            (
                "events_conflicting_total",
                "Events kept in the raw table only, since another version of their trade is stored.",
                totals.events_conflicting,
            ),
            (
                "late_trades_total",
                "New trades found in windows that had been complete.",
                totals.late_trades,
            ),
        ] {
            self.one(name, MetricKind::Counter, help, total);
        }
    }

    fn watches(&mut self, summaries: &[&Summary]) {
        let label = |summary: &Summary| summary.label.clone();
        let mut gauge = |name, help, value: &dyn Fn(&Summary) -> Option<f64>| {
            let values = summaries.iter().filter_map(|s| Some((label(s), value(s)?)));
            self.add(name, MetricKind::Gauge, help, "watch", values);
        };
        gauge(
            "ingestion_lag_seconds",
            "How long ago the worst market of the watch was last known complete.",
            &|s| Some(as_seconds(s.lag)),
        );
        gauge(
            "last_success_timestamp_seconds",
            "When the last window of its worst market was completed.",
            &|s| s.last_success_at.map(seconds),
        );
        gauge("newest_trade_timestamp_seconds", "The newest trade of the watch.", &|s| {
            s.newest_trade_at.map(seconds)
        });
        gauge(
            "stale_markets",
            "Markets staler than the SLA; one more when the exchange does not say which there are.",
            &|s| Some(float(s.stale)),
        );
        gauge("failing_markets", "Markets within the SLA whose last walk failed.", &|s| {
            Some(float(s.failing))
        });
        gauge("markets", "Markets of the watch that are not retired.", &|s| {
            Some(float(s.markets.len()))
        });
        gauge("sla_seconds", "How stale a market of the watch may be.", &|s| {
            Some(s.sla.as_secs_f64())
        });
        gauge(
            "completeness_score",
            "The lowest of the latest scores of its markets; 1 is everything.",
            &|s| s.completeness.as_ref().map(|scored| scored.score),
        );
    }

    fn overlap(&mut self, overview: &Overview) {
        self.one(
            "overlap_used_seconds",
            MetricKind::Gauge,
            "How far below its checkpoint the deepest late trade of the last hour was found.",
            as_seconds(overview.overlap_used),
        );
        if let Some(overlap) = overview.overlap {
            let help = "How far below its checkpoint each walk of the last pass re-read.";
            self.one("overlap_seconds", MetricKind::Gauge, help, overlap.as_secs_f64());
        }
    }

    fn last_run(&mut self, last: LastRun) {
        let mut gauge = |name: &str, help: &str, value: &dyn Display| {
            self.one(name, MetricKind::Gauge, help, value);
        };
        let took = as_seconds(last.duration);
        gauge("last_run_duration_seconds", "How long the last pass took.", &took);
        gauge("last_run_exit_code", "The exit status of the last pass.", &last.exit_code);
        gauge("last_run_requests", "Requests that the last pass sent.", &last.requests);
        let ingested = &last.events_ingested;
        gauge("last_run_events_ingested", "Trades that the last pass stored.", ingested);
        let ended = seconds(last.finished_at);
        gauge("last_run_timestamp_seconds", "When the last pass ended.", &ended);
    }

    fn build(&mut self) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let help = "Always 1; the version that wrote this.";
        self.add("build_info", MetricKind::Gauge, help, "version", [(version, 1)]);
    }
}

fn seconds(instant: Timestamp) -> f64 {
    as_seconds(instant.since(Timestamp::from_seconds(0)))
}

/// Seconds, rounded to the microsecond: smaller digits are only rounding errors.
fn as_seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e6
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// The value of a label, escaped: tickers are visible ASCII, which includes quotes and backslashes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
