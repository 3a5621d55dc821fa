//! Text for people and scripts: the status table, the same as JSON and CSV, the lines of a pass.

mod backfill;

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::domain::freshness::{Now, State, staleness, state};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::ingest::Synced;
use crate::store::{MarketReport, RunRecord};
use crate::words::{duration, second};

pub use backfill::{MarketScore, difference, prunable, scores, slices, window};

/// The greatest width of the table.
const TABLE_WIDTH: usize = 100;
/// The width of all columns but the first, with the blanks between them.
const WIDTH_BESIDE_MARKET: usize = 69;
/// The version of the JSON and CSV. It increases when a name changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// The line about a sync of metadata.
pub fn sync_line(synced: &Synced) -> String {
    format!(
        "synced metadata: markets={} status_changes={}{}",
        synced.markets,
        synced.status_changes,
        if synced.is_whole { "" } else { "; not to the end, the next sync goes on" },
    )
}

/// The closing line of a command that reads, in the words of the metrics.
pub fn closing_line(what: &str, record: &RunRecord, exit_code: u8, took: Duration) -> String {
    let tally = &record.tally;
    let lag =
        record.ingestion_lag.map_or("none".to_owned(), |lag| format!("{:.1}", lag.as_secs_f64()));
    let mut line = format!(
        "{what} ended after {:.1} s: markets={} requests={} retries={} pages={} events_ingested={} \
         events_duplicate={} events_rejected={} events_conflicting={} ingestion_lag_seconds={lag} exit={}",
        took.as_secs_f64(),
        record.markets,
        tally.requests,
        tally.retries.total(),
        tally.pages,
        tally.events_ingested,
        tally.events_duplicate,
        tally.events_rejected,
        tally.events_conflicting,
        exit_code,
    );
    if tally.late_trades > 0 {
        let _ = write!(
            line,
            " late_trades={} lateness_max_seconds={:.1} overlap_used_seconds={:.1}",
            tally.late_trades,
            tally.lateness_max.as_secs_f64(),
            tally.overlap_used.as_secs_f64()
        );
    }
    line
}

/// The age of an instant, or a dash for none.
fn ago(instant: Option<Timestamp>, now: Timestamp) -> String {
    instant.map_or("-".to_owned(), |instant| duration(now.since(instant)))
}

fn grouped(count: i64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The text cut in the middle, where tickers differ least.
fn shortened(text: &str, width: usize) -> String {
    if text.len() <= width {
        return text.to_owned();
    }
    let head = (width - 1) / 2;
    let tail = width - 1 - head;
    // Tickers are ASCII: bytes are characters.
    format!("{}…{}", &text[..head], &text[text.len() - tail..])
}

fn paint(state: State) -> &'static str {
    match state {
        State::Fresh => "\u{1b}[32m",
        State::Behind => "\u{1b}[33m",
        State::Failing => "\u{1b}[35m",
        State::Stale => "\u{1b}[1;31m",
        State::Retired => "\u{1b}[2m",
    }
}

/// The SLA of each market.
pub type SlaOf<'a> = &'a dyn Fn(&Scope) -> Duration;

/// The status table: one row for each market, at most 100 columns wide, and below it the last error of each failing
/// market.
///
/// `hidden` is the number of retired markets that are not in the table.
pub fn table(
    reports: &[MarketReport],
    hidden: usize,
    clocks: Now,
    sla_of: SlaOf<'_>,
    colour: bool,
) -> String {
    if reports.is_empty() && hidden == 0 {
        return "no market; select one with: kalshi-ingest run --market TICKER\n".to_owned();
    }
    let longest = reports.iter().map(|r| r.checkpoint.scope.as_str().len()).max().unwrap_or(0);
    let width = longest.clamp(6, TABLE_WIDTH - WIDTH_BESIDE_MARKET);
    let mut text = format!(
        "{:width$}  {:<7}  {:<14}  {:>8}  {:>10}  {:>7}  {:>11}\n",
        "MARKET", "STATE", "COMPLETE UNTIL", "STALE", "LAST TRADE", "HOUR", "TOTAL"
    );
    let mut errors = String::new();
    for report in reports {
        let checkpoint = &report.checkpoint;
        let state = state(checkpoint, clocks, sla_of(&checkpoint.scope));
        let word = format!("{:<7}", state.as_str());
        let word = if colour { format!("{}{word}\u{1b}[0m", paint(state)) } else { word };
        let until = checkpoint
            .complete_until
            .map_or("-".to_owned(), |until| until.to_chrono().format("%m-%d %H:%M:%S").to_string());
        let age = match state {
            State::Retired => "-".to_owned(),
            _ => duration(staleness(checkpoint, clocks)),
        };
        let market = shortened(checkpoint.scope.as_str(), width);
        let _ = writeln!(
            text,
            "{market:width$}  {word}  {until:<14}  {age:>8}  {:>10}  {:>7}  {:>11}",
            ago(checkpoint.last_trade_at, clocks.exchange),
            grouped(report.trades_last_hour),
            grouped(report.trades_total),
        );
        if let Some(error) = &checkpoint.last_error {
            let _ = writeln!(
                errors,
                "{} failed {} time{} in a row: {error}",
                checkpoint.scope,
                checkpoint.failures,
                if checkpoint.failures == 1 { "" } else { "s" },
            );
        }
    }
    let slas = || reports.iter().map(|report| sla_of(&report.checkpoint.scope));
    let sla = match (slas().min(), slas().max()) {
        (Some(least), Some(most)) if least < most => {
            format!("SLA {} to {}", duration(least), duration(most))
        }
        (Some(sla), _) => format!("SLA {}", duration(sla)),
        _ => "no market that is not retired".to_owned(),
    };
    let _ = writeln!(text, "\n{sla}, as of {} (UTC)", second(clocks.exchange));
    if hidden > 0 {
        let _ = writeln!(
            text,
            "{hidden} retired markets are left out; name one, or ask for json or csv"
        );
    }
    text + &errors
}

/// One market of the JSON. The fields stand in the order of the alphabet.
#[derive(Serialize)]
struct MarketJson<'r> {
    complete_from: Option<String>,
    complete_until: Option<String>,
    failures: u32,
    first_selected_at: String,
    last_error: Option<&'r str>,
    last_success_at: Option<String>,
    last_trade_at: Option<String>,
    market: &'r str,
    retired_at: Option<String>,
    sla_seconds: f64,
    staleness_seconds: f64,
    state: &'static str,
    trades_last_hour: i64,
    trades_total: i64,
}

impl<'r> MarketJson<'r> {
    fn of(report: &'r MarketReport, clocks: Now, sla: Duration) -> MarketJson<'r> {
        let checkpoint = &report.checkpoint;
        let text = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
        MarketJson {
            complete_from: text(checkpoint.complete_from),
            complete_until: text(checkpoint.complete_until),
            failures: checkpoint.failures,
            first_selected_at: checkpoint.first_selected_at.to_string(),
            last_error: checkpoint.last_error.as_deref(),
            last_success_at: text(checkpoint.last_success_at),
            last_trade_at: text(checkpoint.last_trade_at),
            market: checkpoint.scope.as_str(),
            retired_at: text(checkpoint.retired_at),
            sla_seconds: sla.as_secs_f64(),
            staleness_seconds: staleness(checkpoint, clocks).as_secs_f64(),
            state: state(checkpoint, clocks, sla).as_str(),
            trades_last_hour: report.trades_last_hour,
            trades_total: report.trades_total,
        }
    }
}

/// The markets of the JSON, made one after the other while they are written: there can be a hundred thousand.
struct MarketsJson<'r>(&'r [MarketReport], Now, SlaOf<'r>);

impl Serialize for MarketsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let MarketsJson(reports, clocks, sla_of) = self;
        let sla = |report: &MarketReport| sla_of(&report.checkpoint.scope);
        serializer.collect_seq(reports.iter().map(|r| MarketJson::of(r, *clocks, sla(r))))
    }
}

#[derive(Serialize)]
struct StatusJson<'r> {
    as_of: String,
    markets: MarketsJson<'r>,
    schema_version: u32,
}

/// The status as one JSON object with stable names; instants are RFC 3339, spans are seconds.
pub fn json(reports: &[MarketReport], clocks: Now, sla_of: SlaOf<'_>) -> String {
    let status = StatusJson {
        as_of: clocks.exchange.to_string(),
        markets: MarketsJson(reports, clocks, sla_of),
        schema_version: SCHEMA_VERSION,
    };
    // No value of it can fail to be written.
    let text = serde_json::to_string_pretty(&status).unwrap_or_default();
    text + "\n"
}

/// The content of [`json`] as rows with a header line.
pub fn csv(reports: &[MarketReport], clocks: Now, sla_of: SlaOf<'_>) -> String {
    let instant = |instant: Option<Timestamp>| instant.map_or(String::new(), |at| at.to_string());
    let mut text = String::from(
        "market,state,complete_from,complete_until,staleness_seconds,sla_seconds,last_trade_at,\
         last_success_at,first_selected_at,retired_at,trades_last_hour,trades_total,failures,last_error\n",
    );
    for report in reports {
        let checkpoint = &report.checkpoint;
        let sla = sla_of(&checkpoint.scope);
        let fields = [
            checkpoint.scope.to_string(),
            state(checkpoint, clocks, sla).as_str().to_owned(),
            instant(checkpoint.complete_from),
            instant(checkpoint.complete_until),
            staleness(checkpoint, clocks).as_secs_f64().to_string(),
            sla.as_secs_f64().to_string(),
            instant(checkpoint.last_trade_at),
            instant(checkpoint.last_success_at),
            checkpoint.first_selected_at.to_string(),
            instant(checkpoint.retired_at),
            report.trades_last_hour.to_string(),
            report.trades_total.to_string(),
            checkpoint.failures.to_string(),
            checkpoint.last_error.clone().unwrap_or_default(),
        ];
        text.push_str(&fields.map(|field| quoted(&field)).join(","));
        text.push('\n');
    }
    text
}

/// A field of RFC 4180, with quotes where it needs them.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests;
