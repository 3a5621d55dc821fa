//! The overview for the person on call: the data behind the metrics, the health answer and the page, and its summary
//! for each entry of the selection.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::freshness::{Now, State, staleness, state, unresolved_for};
use super::scope::Scope;
use super::selection::{Selection, Shard, Target, Watch};
use super::ticker::Ticker;
use super::time::Timestamp;

/// An entry counts as removed if no pass has selected it for this long while others were selected, or for three times
/// its SLA, if that is longer: an entry whose passes stopped must become stale before it is forgotten.
const SELECTED_LATELY: Duration = Duration::from_secs(3_600);

/// The number of spans of [`DAY_STEP`] in the last day.
pub const DAY_STEPS: usize = 96;
/// The length of a span of the last day.
pub const DAY_STEP: Duration = Duration::from_secs(900);

/// The beginning of the last day: a multiple of the span, so that the spans do not move.
pub fn day_begins(now: Timestamp) -> Timestamp {
    now.before(DAY_STEP * u32::try_from(DAY_STEPS - 1).unwrap_or(0)).floor_to(DAY_STEP)
}

/// The state of a database at one instant.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// The entries of the selection that passes were asked for.
    pub entries: Vec<Entry>,
    /// The checkpoints of markets that are not retired, by ticker.
    pub active: Vec<Checkpoint>,
    /// The checkpoints of the markets that retired last, the latest first.
    pub retired: Vec<Checkpoint>,
    /// The number of retired markets.
    pub retired_total: i64,
    /// The latest scores of the worst market of each entry and of the markets that are not retired, if they were
    /// scored lately, the lowest first.
    pub scores: Vec<Scored>,
    /// The counts of all commands ever.
    pub totals: Totals,
    /// The last commands, the latest first.
    pub runs: Vec<RunRow>,
    /// The last pass that ended.
    pub last_pass: Option<RunRow>,
    /// The largest part of their overlap that the passes of the last hour needed to find late trades.
    pub overlap_used: Duration,
    /// The overlap of the last pass that ended.
    pub overlap: Option<Duration>,
    /// The work in each span of the last day, the oldest first.
    pub day: Vec<DayPart>,
    /// The clock of the exchange minus ours in seconds, by the last pass.
    pub clock_offset: Option<f64>,
}

impl Overview {
    /// The two clocks: the clock of the exchange is ours plus the recorded offset.
    pub fn clocks(&self, ours: Timestamp) -> Now {
        Now::by_record(ours, self.clock_offset)
    }
}

/// An entry of the selection, in the state of the last pass that was asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry and its SLA.
    pub watch: Watch,
    /// Our clock when a pass was last asked for it.
    pub selected_at: Timestamp,
    /// Evidence: the instant up to which the exchange last listed the members; before that, the time of the first
    /// selection.
    pub resolved_at: Timestamp,
    /// The markets that belong to the entry and are not retired, sorted; empty for an entry that is itself one
    /// market.
    pub members: Vec<Ticker>,
}

/// The latest score of a market.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The ticker of the market.
    pub market: Ticker,
    /// The event of the market, if known.
    pub event: Option<Box<str>>,
    /// The series of the market, if known.
    pub series: Option<Box<str>>,
    /// The score; 1 if every trade is stored that the exchange counts.
    pub score: f64,
    /// Our clock when the market was scored.
    pub scored_at: Timestamp,
}

/// The counts of all commands ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests sent to the exchange.
    pub requests: i64,
    /// Requests and transactions that were repeated, by reason.
    pub retries: BTreeMap<Box<str>, i64>,
    /// New trades stored.
    pub events_ingested: i64,
    /// Trades read that were stored already.
    pub events_duplicate: i64,
    /// Events kept in the raw table only, because they could not be read as trades.
    pub events_rejected: i64,
    /// Events kept in the raw table only, because another version of their trade is stored.
    pub events_conflicting: i64,
    /// New trades found in a window that had been complete.
    pub late_trades: i64,
}

impl Totals {
    /// Takes one count under its name in the database; a name of another build is ignored.
    pub fn set(&mut self, metric: &str, reason: &str, total: i64) {
        match metric {
            "requests" => self.requests = total,
            "events_ingested" => self.events_ingested = total,
            "events_duplicate" => self.events_duplicate = total,
            "events_rejected" => self.events_rejected = total,
            "events_conflicting" => self.events_conflicting = total,
            "late_trades" => self.late_trades = total,
            "retries" => {
                self.retries.insert(Box::from(reason), total);
            }
            _ => {}
        }
    }
}

/// A row of `ingestion_runs`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// The number of the run.
    pub run_id: i64,
    /// The name of the command, such as `run`.
    pub command: Box<str>,
    /// Our clock at the beginning.
    pub started_at: Timestamp,
    /// Our clock at the end; `None` if the run is in progress or was killed.
    pub finished_at: Option<Timestamp>,
    /// The exit status of the program.
    pub exit_code: Option<i16>,
    /// The number of markets of the run.
    pub markets: Option<i64>,
    /// Requests sent.
    pub requests: Option<i64>,
    /// Repeated requests.
    pub retries: Option<i64>,
    /// New trades stored.
    pub events_ingested: Option<i64>,
    /// Trades read that were stored already.
    pub events_duplicate: Option<i64>,
    /// Events kept in the raw table only, because they could not be read as trades.
    pub events_rejected: Option<i64>,
    /// Events kept in the raw table only, because another version of their trade is stored. `None` also for runs of
    /// builds that did not compare.
    pub events_conflicting: Option<i64>,
    /// The staleness of the worst market at the end of the run, in seconds.
    pub lag_seconds: Option<f64>,
    /// The first error of the run.
    pub error: Option<Box<str>>,
}

/// The work in one span of the last day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DayPart {
    /// Trades stored by the commands that began in the span.
    pub events_ingested: i64,
    /// The worst staleness at the end of a pass in the span, in seconds; `None` without a pass.
    pub lag_seconds: Option<f64>,
}

/// The summary of one entry of the selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The label: the ticker as the user wrote it, or `*` for the tape.
    pub label: String,
    /// The target of the entry.
    pub target: Target,
    /// The largest staleness allowed for its markets.
    pub sla: Duration,
    /// Its markets that are not retired; the tape counts as one.
    pub markets: Vec<Scope>,
    /// The staleness of the worst of them, or of their list.
    pub lag: Duration,
    /// The number of markets staler than the SLA, plus one if their list is.
    pub stale: usize,
    /// The number of markets within the SLA whose last walk failed.
    pub failing: usize,
    /// The number of markets within the SLA with a walk to finish.
    pub behind: usize,
    /// The time when the last window of the worst market was completed; markets that never completed one are left
    /// out.
    pub last_success_at: Option<Timestamp>,
    /// The time of the newest trade of its markets.
    pub newest_trade_at: Option<Timestamp>,
    /// Set if the exchange has not listed the members for longer than the SLA.
    pub unresolved_since: Option<Timestamp>,
    /// Its market with the lowest score.
    pub completeness: Option<Scored>,
    /// Whether no pass was ever asked for the entry, so that nothing is known of it.
    pub is_unknown: bool,
}

/// The entries that are still selected: those that were selected not long before the last pass that was asked for any
/// entry. If no more passes come, all entries remain and become stale.
pub fn selected(entries: &[Entry], now: Timestamp) -> Vec<&Entry> {
    // A pass whose clock was ahead says nothing about the other entries.
    let noted = entries.iter().map(|entry| entry.selected_at);
    let last = noted.filter(|at| *at <= now).max().unwrap_or(now);
    let is_current = |entry: &&Entry| {
        let kept = SELECTED_LATELY.max(entry.watch.sla.saturating_mul(3));
        last.since(entry.selected_at) <= kept
    };
    entries.iter().filter(is_current).collect()
}

impl Overview {
    /// The entries that are still selected.
    pub fn selected(&self, now: Timestamp) -> Vec<&Entry> {
        selected(&self.entries, now)
    }

    /// The summaries of the entries of this selection, by label. If it names no entry, all selected entries are
    /// summarized.
    pub fn summaries(&self, selection: Option<&Selection>, now: Now) -> Vec<Summary> {
        let checkpoints: HashMap<&Scope, &Checkpoint> =
            self.active.iter().map(|row| (&row.scope, row)).collect();
        let shard = selection.map_or(Shard::WHOLE, Selection::shard);
        let watches: Vec<Watch> = match selection.filter(|selection| !selection.is_empty()) {
            Some(selection) => selection.watches().to_vec(),
            None => self.selected(now.ours).into_iter().map(|entry| entry.watch.clone()).collect(),
        };
        let mut summaries: BTreeMap<String, Summary> = BTreeMap::new();
        for watch in watches {
            let summary = self.summary(watch, shard, &checkpoints, now);
            match summaries.get_mut(&summary.label) {
                // An event of one market may have the ticker of that market. Both share a label, and a label has one
                // line.
                Some(held) => held.absorb(summary),
                None => {
                    summaries.insert(summary.label.clone(), summary);
                }
            }
        }
        summaries.into_values().collect()
    }

    fn summary(
        &self,
        watch: Watch,
        shard: Shard,
        checkpoints: &HashMap<&Scope, &Checkpoint>,
        now: Now,
    ) -> Summary {
        let Watch { target, sla } = watch;
        let entry = self.entries.iter().find(|entry| entry.watch.target == target);
        let scopes: Vec<Scope> = match &target {
            Target::Market(ticker) => vec![ticker.clone().into()],
            Target::All => vec![Scope::Tape],
            Target::Event(_) | Target::Series(_) => {
                let members = entry.map(|entry| entry.members.as_slice()).unwrap_or_default();
                members.iter().cloned().map(Scope::Market).collect()
            }
        };
        let is_known = entry.is_some()
            || scopes.iter().any(|scope| {
                let is_retired = |row: &Checkpoint| row.scope == *scope;
                checkpoints.contains_key(scope) || self.retired.iter().any(is_retired)
            });
        let is_ours = |scope: &Scope| shard.holds_scope(scope) && checkpoints.contains_key(scope);
        let scopes: Vec<Scope> = scopes.into_iter().filter(is_ours).collect();
        let resolved_at = entry.filter(|_| target.is_resolved()).map(|entry| entry.resolved_at);
        let completeness = self.scores.iter().find(|scored| target.has(scored)).cloned();
        let mut summary = Summary::new(target, sla, completeness);
        summary.is_unknown = !is_known;
        for scope in scopes {
            summary.count(checkpoints[&scope], now);
            summary.markets.push(scope);
        }
        let overdue = resolved_at.and_then(|at| Some((at, unresolved_for(at, sla, now)?)));
        if let Some((at, staleness)) = overdue {
            summary.unresolved_since = Some(at);
            summary.stale += 1;
            summary.lag = summary.lag.max(staleness);
        }
        summary
    }
}

impl Summary {
    fn new(target: Target, sla: Duration, completeness: Option<Scored>) -> Summary {
        Summary {
            label: target.label(),
            target,
            sla,
            markets: Vec::new(),
            lag: Duration::ZERO,
            stale: 0,
            failing: 0,
            behind: 0,
            last_success_at: None,
            newest_trade_at: None,
            unresolved_since: None,
            completeness,
            is_unknown: false,
        }
    }

    fn count(&mut self, checkpoint: &Checkpoint, now: Now) {
        self.lag = self.lag.max(staleness(checkpoint, now));
        match state(checkpoint, now, self.sla) {
            State::Stale => self.stale += 1,
            State::Failing => self.failing += 1,
            State::Behind => self.behind += 1,
            State::Fresh | State::Retired => {}
        }
        self.last_success_at = least(self.last_success_at, checkpoint.last_success_at);
        self.newest_trade_at = self.newest_trade_at.max(checkpoint.last_trade_at);
    }

    fn absorb(&mut self, other: Summary) {
        let known: HashSet<Scope> = self.markets.iter().cloned().collect();
        self.sla = self.sla.min(other.sla);
        self.lag = self.lag.max(other.lag);
        // The counts are not added, because such entries stand for the same few markets.
        self.stale = self.stale.max(other.stale);
        self.failing = self.failing.max(other.failing);
        self.behind = self.behind.max(other.behind);
        self.last_success_at = least(self.last_success_at, other.last_success_at);
        self.newest_trade_at = self.newest_trade_at.max(other.newest_trade_at);
        self.unresolved_since = least(self.unresolved_since, other.unresolved_since);
        self.completeness = self.completeness.take().or(other.completeness);
        self.is_unknown &= other.is_unknown;
        self.markets.extend(other.markets.into_iter().filter(|scope| !known.contains(scope)));
    }

    /// The number of its markets that are not retired.
    pub fn market_count(&self) -> usize {
        self.markets.len()
    }
}

impl Target {
    /// Whether the score is the score of one of its markets.
    fn has(&self, scored: &Scored) -> bool {
        match self {
            Target::Market(ticker) => scored.market == *ticker,
            Target::Event(ticker) => scored.event.as_deref() == Some(ticker.as_str()),
            Target::Series(ticker) => scored.series.as_deref() == Some(ticker.as_str()),
            Target::All => true,
        }
    }
}

/// The earlier of the two; if only one is set, that one.
fn least(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
#[path = "overview_tests.rs"]
mod tests;
