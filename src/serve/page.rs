//! The page, and its figures as JSON.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::answers::{Answer, View};
use super::health::HealthStatus;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::freshness::{Now, staleness, state};
use crate::domain::overview::{DAY_STEP, Overview, RunRow, Scored, Summary, Totals};
use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;

/// The page, one file that contains everything it needs.
const PAGE: &str = include_str!("page.html");
/// The place of the figures in the page.
const PLACE: &str = "/*DATA*/null";
/// The version of the JSON. It increases when a name below changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// The page with its first figures.
pub(super) fn page(view: &View) -> Answer {
    static POLICY: OnceLock<String> = OnceLock::new();
    // Within a script element, only the end of the element is dangerous.
    let data = figures(view).to_string().replace('<', "\\u003c");
    let body = PAGE.replacen(PLACE, &data, 1);
    let policy = POLICY.get_or_init(policy).clone();
    Answer { status: 200, content_type: "text/html; charset=utf-8", policy, body }
}

/// The figures alone, for updates of the page.
pub(super) fn json(view: &View) -> Answer {
    Answer::new(200, "application/json", format!("{}\n", figures(view)))
}

/// The policy: the page may use its own style and script, by their hashes, and nothing else.
fn policy() -> String {
    let hash = |open: &str, close: &str| {
        let inner = PAGE.split(open).nth(1).and_then(|rest| rest.split(close).next());
        STANDARD.encode(digest(&SHA256, inner.unwrap_or_default().as_bytes()))
    };
    let (style, script) = (hash("<style>", "</style>"), hash("<script>", "</script>"));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn figures(view: &View) -> Value {
    let mut whole = json!({
        "schema_version": SCHEMA_VERSION,
        "as_of": view.now.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    match &view.overview {
        Err(words) => whole["error"] = Value::from(words.as_str()),
        Ok(overview) => {
            whole["watches"] = view.summaries.iter().map(watch).collect();
            whole["markets"] = markets(overview, &view.summaries, overview.clocks(view.now));
            whole["retired_total"] = Value::from(overview.retired_total);
            whole["runs"] = runs(overview);
            whole["day"] = day(overview, view.now);
            whole["totals"] = totals(&overview.totals);
        }
    }
    whole
}

fn text(instant: Option<Timestamp>) -> Value {
    instant.map_or(Value::Null, |instant| Value::from(instant.to_string()))
}

fn watch(summary: &Summary) -> Value {
    let completeness = summary.completeness.as_ref().map(|scored| {
        json!({
            "market": scored.market.as_str(),
            "score": scored.score,
            "scored_at": scored.scored_at.to_string(),
        })
    });
    json!({
        "watch": summary.label,
        "kind": summary.target.kind(),
        "status": HealthStatus::of(summary).as_str(),
        "sla_seconds": summary.sla.as_secs_f64(),
        "lag_seconds": summary.lag.as_secs_f64(),
        "markets": summary.markets.len(),
        "stale": summary.stale,
        "failing": summary.failing,
        "behind": summary.behind,
        "newest_trade_at": text(summary.newest_trade_at),
        "last_success_at": text(summary.last_success_at),
        "unresolved_since": text(summary.unresolved_since),
        "completeness": completeness,
    })
}

/// The markets that are selected, and those that retired last.
fn markets(overview: &Overview, summaries: &[Summary], clocks: Now) -> Value {
    let mut watched: BTreeMap<&Scope, Vec<&Summary>> = BTreeMap::new();
    for summary in summaries {
        for scope in &summary.markets {
            watched.entry(scope).or_default().push(summary);
        }
    }
    let scores: HashMap<&Ticker, &Scored> =
        overview.scores.iter().map(|scored| (&scored.market, scored)).collect();
    let active = overview.active.iter().filter_map(|row| Some((row, watched.get(&row.scope)?)));
    let active = active.map(|(row, watches)| market(row, watches, &scores, clocks));
    let retired = overview.retired.iter().map(|row| market(row, &[], &scores, clocks));
    active.chain(retired).collect()
}

fn market(
    row: &Checkpoint,
    watches: &[&Summary],
    scores: &HashMap<&Ticker, &Scored>,
    clocks: Now,
) -> Value {
    let sla = watches.iter().map(|summary| summary.sla).min().unwrap_or_default();
    let labels: Vec<&str> = watches.iter().map(|summary| summary.label.as_str()).collect();
    json!({
        "market": row.scope.as_str(),
        "watches": labels,
        "state": state(row, clocks, sla).as_str(),
        "staleness_seconds": staleness(row, clocks).as_secs_f64(),
        "sla_seconds": sla.as_secs_f64(),
        "complete_until": text(row.complete_until),
        "last_trade_at": text(row.last_trade_at),
        "last_success_at": text(row.last_success_at),
        "failures": row.failures,
        "last_error": row.last_error,
        "score": row.scope.market().and_then(|market| scores.get(market)).map(|scored| scored.score),
        "retired_at": text(row.retired_at),
    })
}

/// The last commands, and the last pass that ended if it is not among them.
fn runs(overview: &Overview) -> Value {
    let is_shown = |pass: &&RunRow| overview.runs.iter().any(|row| row.run_id == pass.run_id);
    let pass = overview.last_pass.as_ref().filter(|pass| !is_shown(pass));
    overview.runs.iter().chain(pass).map(run).collect()
}

fn run(row: &RunRow) -> Value {
    let took = row.finished_at.map(|at| at.since(row.started_at).as_secs_f64());
    json!({
        "run_id": row.run_id,
        "command": row.command,
        "started_at": row.started_at.to_string(),
        "duration_seconds": took,
        "exit_code": row.exit_code,
        "markets": row.markets,
        "requests": row.requests,
        "retries": row.retries,
        "events_ingested": row.events_ingested,
        "events_duplicate": row.events_duplicate,
        "events_rejected": row.events_rejected,
        "events_conflicting": row.events_conflicting,
        "lag_seconds": row.lag_seconds,
        "error": row.error,
    })
}

fn day(overview: &Overview, now: Timestamp) -> Value {
    let ingested: Vec<i64> = overview.day.iter().map(|span| span.events_ingested).collect();
    let lags: Vec<Option<f64>> = overview.day.iter().map(|span| span.lag_seconds).collect();
    json!({
        "from": crate::domain::overview::day_begins(now).to_string(),
        "step_seconds": DAY_STEP.as_secs(),
        "events_ingested": ingested,
        "lag_seconds": lags,
    })
}

fn totals(totals: &Totals) -> Value {
    json!({
        "requests": totals.requests,
        "retries": totals.retries.values().sum::<i64>(),
        "events_ingested": totals.events_ingested,
        "events_duplicate": totals.events_duplicate,
        "events_rejected": totals.events_rejected,
        "events_conflicting": totals.events_conflicting,
        "late_trades": totals.late_trades,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_style_one_script_and_one_place_for_figures() {
        for (part, count) in [
            ("<style>", 1),
            ("<script>", 1),
            ("<script", 2),
            (PLACE, 1),
            ("style=\"", 0),
            ("onclick", 0),
        ] {
            assert_eq!(PAGE.matches(part).count(), count, "{part}");
        }
        assert!(!PAGE.contains("http://") || PAGE.contains("http://www.w3.org/2000/svg"));
    }

    #[test]
    fn no_word_of_the_exchange_ends_the_script() {
        let words = "</script><script>alert(1)</script>".to_owned();
        let selection =
            crate::domain::selection::Selection::new([], crate::domain::selection::Shard::WHOLE);
        let view = View::new(Err(words), &selection, Timestamp::from_seconds(1));
        let answer = page(&view);
        assert_eq!(answer.body.matches("</script>").count(), 2, "the page's own");
        assert!(answer.policy.contains("script-src 'sha256-"), "{}", answer.policy);
    }
}
