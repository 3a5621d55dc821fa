//! The runs of the program: their rows, and the totals over all of them.

use std::time::Duration;

use super::engine::{Access, Engine, only, statement};
use super::handles::RunId;
use super::value::{Rows, integer, values};
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The part of a store that remembers runs.
pub trait Runs {
    /// Inserts a row into `ingestion_runs`. The row stays unfinished if the process dies.
    fn begin_run(&mut self, command: &str, now: Timestamp) -> Result<RunId, Failure>;

    /// Closes the row and adds its counts to the totals. A repeated call adds nothing.
    fn finish_run(&mut self, run: RunId, record: &RunRecord) -> Result<(), Failure>;

    /// The number of trades in a second of the tape, as the last runs counted it.
    fn tape_rate(&mut self) -> Result<Option<f64>, Failure>;
}

/// The end of a run: the closing half of a row of `ingestion_runs`.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Our clock at the end.
    pub finished_at: Timestamp,
    /// The exit status that the process will end with.
    pub exit_code: u8,
    /// The number of selected markets.
    pub markets: usize,
    /// The counts of the run.
    pub tally: Tally,
    /// The staleness of the worst market at the end.
    pub ingestion_lag: Option<Duration>,
    /// The first failure, on one line.
    pub error: Option<String>,
    /// The overlap of a pass.
    pub overlap: Option<Duration>,
    /// Whether its events came from the exchange. The events that a replay reads were counted before.
    pub is_from_exchange: bool,
}

impl RunRecord {
    /// The values that are added to the totals: metric, reason and count, by key, without zero counts. The events are
    /// those that the run's row counts.
    fn totals(&self, events: [i64; 4]) -> Vec<(&'static str, &'static str, i64)> {
        let [ingested, duplicate, rejected, conflicting] = events;
        let count = |n: u64| integer(n);
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

    /// The part of the overlap that was used, in seconds; `None` when no trade was late.
    fn overlap_used_seconds(&self) -> Option<f64> {
        Some(self.tally.overlap_used.as_secs_f64()).filter(|_| self.tally.late_trades > 0)
    }

    /// The span of exchange time that the run read from the tape, in seconds; `None` when it read none.
    fn tape_seconds(&self) -> Option<f64> {
        Some(self.tally.tape_span.as_secs_f64()).filter(|seconds| *seconds > 0.0)
    }
}

impl<E: Engine> Runs for E {
    fn begin_run(&mut self, command: &str, now: Timestamp) -> Result<RunId, Failure> {
        let begun = self.transact("recording the run", Access::One, |work| {
            work.rows(statement!("runs", "begin_run"), &values![command, now], |row| {
                row.of("ingestion_runs").get("run_id")
            })
        })?;
        only(begun)
    }

    fn finish_run(&mut self, run: RunId, record: &RunRecord) -> Result<(), Failure> {
        let tally = &record.tally;
        let closing = values![
            run,
            record.finished_at,
            record.exit_code,
            record.markets,
            tally.requests,
            tally.retries.total(),
            tally.pages,
            tally.events_ingested,
            tally.events_duplicate,
            tally.events_rejected,
            record.ingestion_lag.map(|lag| lag.as_secs_f64()),
            record.error.as_deref(),
            tally.tape_trades,
            record.tape_seconds(),
            tally.late_trades,
            record.overlap_used_seconds(),
            record.overlap.map(|overlap| overlap.as_secs_f64()),
            tally.events_conflicting,
        ];
        self.transact("recording the end of the run", Access::Write, |work| {
            let closed = work.rows(statement!("runs", "finish_run"), &closing, |row| {
                let record = row.of("ingestion_runs");
                let count = |column| record.get::<i64>(column);
                Ok([
                    count("events_ingested")?,
                    count("events_duplicate")?,
                    count("events_rejected")?,
                    count("events_conflicting")?,
                ])
            })?;
            // There is no row if the run was closed before.
            let Some(events) = closed.into_iter().next() else { return Ok(()) };
            let totals = record.totals(events).into_iter();
            let totals: Rows<'_> =
                totals.map(|(metric, reason, total)| values![metric, reason, total]).collect();
            work.execute_each(
                statement!("runs", "add_totals"),
                &values![work.source()],
                &totals,
                &[],
            )?;
            Ok(())
        })
    }

    fn tape_rate(&mut self) -> Result<Option<f64>, Failure> {
        let what = "reading how busy the tape is";
        only(self.read(what, statement!("runs", "tape_rate"), &[], |row| {
            row.of("ingestion_runs").get("rate")
        })?)
    }
}
