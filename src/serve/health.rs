//! `/health`, in a format that many monitors read
//! (<https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>).

use serde_json::{Value, json};

use super::answers::{Answer, View};
use crate::domain::freshness::{State, staleness, state};
use crate::domain::overview::{Overview, Summary};
use crate::domain::time::Timestamp;
use crate::words;

const HEALTH: &str = "application/health+json";

/// The status of an entry of the selection, in the words of the format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HealthStatus {
    /// Every market is within its SLA.
    Pass,
    /// Every market is within its SLA, but some failed in the last pass.
    Warn,
    /// At least one market is not within its SLA.
    Fail,
}

impl HealthStatus {
    pub(super) fn of(summary: &Summary) -> HealthStatus {
        // A market that is behind but within its SLA passes: every market begins so.
        match (summary.stale, summary.failing) {
            _ if summary.is_unknown => HealthStatus::Fail,
            (0, 0) => HealthStatus::Pass,
            (0, _) => HealthStatus::Warn,
            _ => HealthStatus::Fail,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Pass => "pass",
            HealthStatus::Warn => "warn",
            HealthStatus::Fail => "fail",
        }
    }
}

/// One check for each watch; 503 when one of them fails, or when the state is unknown.
pub(super) fn health(view: &View) -> Answer {
    let overview = match &view.overview {
        Ok(overview) => overview,
        Err(words) => return failed(words),
    };
    if view.summaries.is_empty() {
        return failed("no pass ever selected anything on this database");
    }
    let checks: Vec<Value> =
        view.summaries.iter().map(|summary| check(summary, overview, view.now)).collect();
    let worst = view.summaries.iter().map(HealthStatus::of).max().unwrap_or(HealthStatus::Fail);
    let body = json!({
        "status": worst.as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "checks": { "kalshi:freshness": checks },
    });
    Answer::new(if worst == HealthStatus::Fail { 503 } else { 200 }, HEALTH, format!("{body:#}\n"))
}

/// Whether the database answers.
pub(super) fn ready(view: &View) -> Answer {
    match &view.overview {
        Ok(_) => Answer::text(200, "ok\n"),
        Err(words) => Answer::text(503, &format!("{words}\n")),
    }
}

fn failed(words: &str) -> Answer {
    let body = json!({
        "status": HealthStatus::Fail.as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "output": words,
    });
    Answer::new(503, HEALTH, format!("{body:#}\n"))
}

fn check(summary: &Summary, overview: &Overview, now: Timestamp) -> Value {
    let status = HealthStatus::of(summary);
    let mut check = json!({
        "componentId": summary.label,
        "componentType": "component",
        "observedValue": summary.lag.as_secs_f64(),
        "observedUnit": "s",
        "status": status.as_str(),
        "time": now.to_string(),
        "sla_seconds": summary.sla.as_secs_f64(),
        "markets": summary.markets.len(),
        "stale_markets": summary.stale,
    });
    if let Some(words) = words(summary, overview, now) {
        check["output"] = Value::from(words);
    }
    check
}

/// The problem of a watch: its stalest market, in the words of a pass.
fn words(summary: &Summary, overview: &Overview, now: Timestamp) -> Option<String> {
    if summary.is_unknown {
        return Some(format!("no pass was ever asked for {}", summary.target.name()));
    }
    if summary.stale == 0 {
        return None;
    }
    let clocks = overview.clocks(now);
    let worst = overview
        .active
        .iter()
        .filter(|row| summary.markets.contains(&row.scope))
        .filter(|row| state(row, clocks, summary.sla) == State::Stale)
        .max_by_key(|row| staleness(row, clocks))
        .map(|row| (row, staleness(row, clocks)));
    Some(match (worst, summary.unresolved_since) {
        (Some((row, staleness)), _) => words::breach_line(row, staleness, summary.sla),
        (None, since) => {
            let staleness = since.map(|since| now.since(since)).unwrap_or_default();
            words::unresolved_line(&summary.target, staleness, summary.sla)
        }
    })
}
