//! What every store promises. `tests/it/conformance.rs` holds each of them to it.

use std::time::Duration;

use super::catalogue::Catalogue;
use super::exchange::Exchanges;
use super::history::History;
use super::oversight::Oversight;
use crate::domain::batch::{Commit, Receipt};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::Failure;

/// The number of a row of `ingestion_runs`.
pub type RunId = i64;

/// Held for as long as the value lives; the death of the process releases it too.
pub trait Lock: Send {}

/// A database that holds trades, raw events and checkpoints.
///
/// * [`commit`](Store::commit) is one transaction: after any failure, and after a kill at any
///   instant, either all of it is there or nothing.
/// * A trade is stored once, whatever is committed how often; the raw event is stored with the
///   trade's first appearance, a refused event once with its reason, and so an event that
///   contradicts a stored trade: the first version stays.
/// * A checkpoint moves only inside `commit`, only when its row still has the version that the
///   commit was computed from, and `complete_until` never moves back. One that may not move is
///   named in the receipt; the rows of the commit are stored all the same, which is harmless
///   since they are true.
/// * The events of a commit are counted in the run's row in the same transaction.
/// * Errors are [`Kind::StoreUnavailable`](crate::failure::Kind) when the database cannot be
///   reached, [`Kind::StoreInterrupted`](crate::failure::Kind) when it breaks off, and
///   [`Kind::StoreRefused`](crate::failure::Kind) when it says no; none names a password.
pub trait Store: Catalogue + Exchanges + History + Oversight + Send {
    /// Brings the schema up to this build in one transaction; answers with the names of the
    /// steps applied. A schema newer than the build, or one changed by hand, is refused.
    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure>;

    /// Whether the schema is that of this build; if not, who has to do what. Reads only.
    fn check_schema(&mut self) -> Result<(), Failure>;

    /// Whether there is a schema, of whatever build. Reads only.
    fn has_schema(&mut self) -> Result<bool, Failure>;

    /// Connects anew after a [`Kind::StoreInterrupted`](crate::failure::Kind). What was committed is
    /// there, everything else is to be done again.
    fn reconnect(&mut self) -> Result<(), Failure>;

    /// Opens a row of `ingestion_runs`. It stays unfinished if the process dies.
    fn begin_run(&mut self, command: &str, now: Timestamp) -> Result<RunId, Failure>;

    /// Closes it and adds what it did to the totals, once, however often it is called.
    fn finish_run(&mut self, run: RunId, record: &RunRecord) -> Result<(), Failure>;

    /// Takes the named lock, or answers `None` when somebody holds it. It is politeness: what
    /// makes overlap harmless is the compare-and-set of `commit`.
    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure>;

    /// The checkpoints of `markets`, in any order; one is made, as first selected now, for each
    /// market that has none.
    fn checkpoints(
        &mut self,
        markets: &[Ticker],
        now: Timestamp,
    ) -> Result<Vec<Checkpoint>, Failure>;

    /// Stores rows and moves the checkpoints they justify, in one transaction.
    fn commit(&mut self, run: RunId, commit: &Commit) -> Result<Receipt, Failure>;

    /// Every checkpoint with what is stored of its market, by ticker. Reads only.
    fn report(&mut self, now: Timestamp) -> Result<Vec<MarketReport>, Failure>;
}

/// How a run ended: the closing half of a row of `ingestion_runs`.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The wall clock at its end.
    pub finished_at: Timestamp,
    /// The exit status it is about to leave with.
    pub exit_code: u8,
    /// How many markets were selected.
    pub markets: usize,
    /// What it did.
    pub tally: Tally,
    /// The staleness of the worst market at the end.
    pub ingestion_lag: Option<Duration>,
    /// The first thing that went wrong, on one line.
    pub error: Option<String>,
    /// The overlap of a pass.
    pub overlap: Option<Duration>,
    /// Whether its events came from the exchange: those that a replay reads were counted before.
    pub is_from_exchange: bool,
}

impl RunRecord {
    /// The span of exchange time that it read from the tape; `None` when it read none.
    /// What is added to the totals: metric, reason and count of what is not zero, by key. The
    /// events are those that the run's row counts.
    pub(super) fn totals(&self, events: [i64; 4]) -> Vec<(&'static str, &'static str, i64)> {
        let [ingested, duplicate, rejected, conflicting] = events;
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let mut totals = vec![
            ("events_conflicting", "", conflicting),
            ("events_duplicate", "", duplicate),
            ("events_ingested", "", ingested),
            ("events_rejected", "", rejected),
            ("late_trades", "", count(self.tally.late_trades)),
            ("requests", "", count(self.tally.requests)),
        ];
        let retries = self.tally.retries.iter();
        totals.extend(retries.map(|(reason, n)| ("retries", reason.as_str(), count(n))));
        totals.retain(|(metric, _, total)| {
            *total > 0 && (self.is_from_exchange || !metric.starts_with("events_"))
        });
        totals.sort_unstable();
        totals
    }

    /// What was used of the overlap; `None` when nothing was late.
    pub(super) fn overlap_used_seconds(&self) -> Option<f64> {
        Some(self.tally.overlap_used.as_secs_f64()).filter(|_| self.tally.late_trades > 0)
    }

    pub(super) fn tape_seconds(&self) -> Option<f64> {
        Some(self.tally.tape_span.as_secs_f64()).filter(|seconds| *seconds > 0.0)
    }
}

/// One market as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketReport {
    /// How far it is complete.
    pub checkpoint: Checkpoint,
    /// Trades stored; of the tape those of every market.
    pub trades_total: i64,
    /// Trades stored whose time lies within the last hour.
    pub trades_last_hour: i64,
}

/// How long before `now` the "last hour" begins.
pub(super) const REPORT_SPAN: Duration = Duration::from_secs(3_600);
