//! What the person on call looks at: everything the metrics, the health answer and the page are made
//! of, and what it comes to for each entry of the selection.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::freshness::{Now, State, staleness, state};
use super::scope::Scope;
use super::selection::{Selection, Shard, Target, Watch};
use super::ticker::Ticker;
use super::time::Timestamp;

/// An entry that no pass has selected for so long, while others were, has been taken out; or for three times
/// its SLA, if that is longer: whose passes stopped must become stale before it is forgotten.
const SELECTED_LATELY: Duration = Duration::from_secs(3_600);

/// How many spans of [`DAY_STEP`] the last day has.
pub const DAY_STEPS: usize = 96;
/// The width of a span of the last day.
pub const DAY_STEP: Duration = Duration::from_secs(900);

/// The beginning of the last day: a multiple of the step, so that spans stay the same all along.
pub fn day_begins(now: Timestamp) -> Timestamp {
    now.before(DAY_STEP * u32::try_from(DAY_STEPS - 1).unwrap_or(0)).floor_to(DAY_STEP)
}

/// What a database says of itself at one instant.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// The entries of the selection that passes were asked for, with what is known of each.
    pub entries: Vec<Entry>,
    /// The checkpoints of markets that are not retired, by ticker.
    pub active: Vec<Checkpoint>,
    /// Those of the markets that retired last, the latest first.
    pub retired: Vec<Checkpoint>,
    /// How many markets are retired.
    pub retired_total: i64,
    /// The latest scores of the worst market of each entry and of the markets that are not retired, as far as they
    /// were scored lately, the lowest first.
    pub scores: Vec<Scored>,
    /// What all commands together have done, ever.
    pub totals: Totals,
    /// The last commands, the latest first.
    pub runs: Vec<RunRow>,
    /// The last pass that ended.
    pub last_pass: Option<RunRow>,
    /// The most that the passes of the last hour used of their overlap to find late trades.
    pub overlap_used: Duration,
    /// The overlap of the last pass that ended.
    pub overlap: Option<Duration>,
    /// What was done in each span of the last day, the oldest first.
    pub day: Vec<DayPart>,
    /// The exchange's clock minus ours in seconds, as the last pass found it.
    pub clock_offset: Option<f64>,
}

impl Overview {
    /// The two clocks: the exchange's is ours with what is on record between them.
    pub fn clocks(&self, ours: Timestamp) -> Now {
        Now::by_record(ours, self.clock_offset)
    }
}

/// An entry of the selection as the last pass that was asked for it left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry and its SLA.
    pub watch: Watch,
    /// Our clock when a pass was last asked for it.
    pub selected_at: Timestamp,
    /// Evidence: up to when the exchange last said what belongs to it; when it was first selected, before.
    pub resolved_at: Timestamp,
    /// The markets that belong to it and are not retired, sorted; none of an entry that is one itself.
    pub members: Vec<Ticker>,
}

/// The latest score of a market.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The market.
    pub market: Ticker,
    /// Its event, where that is known.
    pub event: Option<Box<str>>,
    /// Its series, where that is known.
    pub series: Option<Box<str>>,
    /// 1 when everything is stored that the exchange says was traded.
    pub score: f64,
    /// Our clock when it was scored.
    pub scored_at: Timestamp,
}

/// Counts over all commands ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests sent to the exchange.
    pub requests: i64,
    /// Requests and transactions tried again, by why.
    pub retries: BTreeMap<Box<str>, i64>,
    /// Trades stored that were not stored before.
    pub events_ingested: i64,
    /// Trades read that were stored already.
    pub events_duplicate: i64,
    /// Events kept in the raw table only, since they could not be read as trades.
    pub events_rejected: i64,
    /// Events kept in the raw table only, since another version of their trade is stored.
    pub events_conflicting: i64,
    /// New trades found in a window that had been complete.
    pub late_trades: i64,
}

impl Totals {
    /// Takes one count as the database names it; a name from another build says nothing here.
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
    /// Its number.
    pub run_id: i64,
    /// The command.
    pub command: Box<str>,
    /// Our clock at its beginning.
    pub started_at: Timestamp,
    /// Our clock at its end; `None`: at work, or killed.
    pub finished_at: Option<Timestamp>,
    /// The exit status that it left with.
    pub exit_code: Option<i16>,
    /// How many markets it was about.
    pub markets: Option<i64>,
    /// Requests sent.
    pub requests: Option<i64>,
    /// Of them, sent again.
    pub retries: Option<i64>,
    /// New trades stored.
    pub events_ingested: Option<i64>,
    /// Trades read that were stored already.
    pub events_duplicate: Option<i64>,
    /// Events kept in the raw table only, since they could not be read as trades.
    pub events_rejected: Option<i64>,
    /// Events kept in the raw table only, since another version of their trade is stored; `None`
    /// too for runs of builds that did not compare.
    pub events_conflicting: Option<i64>,
    /// The staleness of its worst market at its end, in seconds.
    pub lag_seconds: Option<f64>,
    /// The first thing that went wrong.
    pub error: Option<Box<str>>,
}

/// What was done in a part of the last day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DayPart {
    /// Trades stored by the commands that began in it.
    pub events_ingested: i64,
    /// The worst staleness at the end of one of its passes, in seconds; `None` without a pass.
    pub lag_seconds: Option<f64>,
}

/// What one entry of the selection comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// What it is called: the ticker as the user wrote it, or `*` for the tape.
    pub label: String,
    /// What it stands for.
    pub target: Target,
    /// How stale its markets may be.
    pub sla: Duration,
    /// Its markets that are not retired; the tape counts as one.
    pub markets: Vec<Scope>,
    /// The staleness of the worst of them, or of the list of them.
    pub lag: Duration,
    /// Markets staler than the SLA; one more if the list of them is.
    pub stale: usize,
    /// Markets within the SLA whose last walk failed.
    pub failing: usize,
    /// Markets within the SLA that are still being drained.
    pub behind: usize,
    /// When the last window of the worst market was completed, of those that ever completed one.
    pub last_success_at: Option<Timestamp>,
    /// The newest trade of its markets.
    pub newest_trade_at: Option<Timestamp>,
    /// Set when the exchange has not said for longer than the SLA which markets there are.
    pub unresolved_since: Option<Timestamp>,
    /// Its market with the lowest score.
    pub completeness: Option<Scored>,
    /// Whether no pass was ever asked for it: nobody knows anything of it.
    pub is_unknown: bool,
}

impl Overview {
    /// The entries that are still selected: those that were, not long before the last pass that was
    /// asked for any. When no pass comes any more they all remain, and become stale.
    pub fn selected(&self, now: Timestamp) -> Vec<&Entry> {
        // A pass whose clock was ahead says nothing about the others.
        let noted = self.entries.iter().map(|entry| entry.selected_at);
        let last = noted.filter(|at| *at <= now).max().unwrap_or(now);
        let is_current = |entry: &&Entry| {
            let kept = SELECTED_LATELY.max(entry.watch.sla.saturating_mul(3));
            last.since(entry.selected_at) <= kept
        };
        self.entries.iter().filter(is_current).collect()
    }

    /// What the entries of this selection come to, by label; if it names none, those that are selected.
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
                // An event of one market may have that market's ticker: one label, one line.
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
        // It is evidence, by the earlier of the two clocks.
        let earlier = now.earlier();
        if let Some(at) = resolved_at.filter(|at| earlier.since(*at) > sla) {
            summary.unresolved_since = Some(at);
            summary.stale += 1;
            summary.lag = summary.lag.max(earlier.since(at));
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
        // Who is counted twice is one of few: such entries stand for the same market.
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

    /// How many markets it has that are not retired.
    pub fn market_count(&self) -> usize {
        self.markets.len()
    }
}

impl Target {
    /// Whether a score is of one of its markets.
    fn has(&self, scored: &Scored) -> bool {
        match self {
            Target::Market(ticker) => scored.market == *ticker,
            Target::Event(ticker) => scored.event.as_deref() == Some(ticker.as_str()),
            Target::Series(ticker) => scored.series.as_deref() == Some(ticker.as_str()),
            Target::All => true,
        }
    }
}

/// The earlier of two, if there are two.
fn least(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
#[path = "overview_tests.rs"]
mod tests;
