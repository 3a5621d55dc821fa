//! The monitoring snapshot for the person on call.

use std::time::Duration;

use super::engine::{Access, Engine, Work, only, statement};
use super::rows::{Row, checkpoint};
use super::value::values;
use crate::domain::overview::{
    DAY_STEP, DAY_STEPS, DayPart, Entry, Overview, RunRow, Scored, Totals, day_begins,
};
use crate::domain::selection::{Target, Watch};
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The part of a store that monitoring reads.
pub trait Overviews {
    /// The snapshot of one instant. Reads only, and needs no right to write.
    fn overview(&mut self, now: Timestamp) -> Result<Overview, Failure>;

    /// The entries of the selection that passes were asked for. Reads only.
    fn entries(&mut self) -> Result<Vec<Entry>, Failure>;

    /// The clock of the exchange minus ours in seconds, by the last pass. Reads only.
    fn clock_offset(&mut self) -> Result<Option<f64>, Failure>;

    /// The number of retired markets. Reads only.
    fn retired_total(&mut self) -> Result<i64, Failure>;
}

/// The age above which a score says little about today.
const SCORED_LATELY: Duration = Duration::from_secs(30 * 86_400);
/// The most retired markets in the snapshot: those that retired last.
const RETIRED_MAX: i64 = 200;
/// The most commands in the snapshot: the latest.
const RUNS_MAX: i64 = 50;
/// The span of passes whose use of the overlap is counted.
const OVERLAP_SPAN: Duration = Duration::from_secs(3_600);

/// All spans of the day, from those in which anything was done.
fn day(found: impl IntoIterator<Item = (i64, DayPart)>) -> Vec<DayPart> {
    let mut day = vec![DayPart::default(); DAY_STEPS];
    for (at, span) in found {
        if let Some(place) = usize::try_from(at).ok().and_then(|at| day.get_mut(at)) {
            *place = span;
        }
    }
    day
}

impl<E: Engine> Overviews for E {
    fn overview(&mut self, now: Timestamp) -> Result<Overview, Failure> {
        let what = "reading what there is to be seen";
        self.transact(what, Access::ReadAsOne, |work| read(work, now))
    }

    fn entries(&mut self) -> Result<Vec<Entry>, Failure> {
        self.transact("reading what passes were asked for", Access::Read, entries)
    }

    fn clock_offset(&mut self) -> Result<Option<f64>, Failure> {
        self.transact("reading the clock of the exchange", Access::Read, clock_offset)
    }

    fn retired_total(&mut self) -> Result<i64, Failure> {
        self.transact("counting retired markets", Access::Read, retired_total)
    }
}

fn entries(work: &mut dyn Work) -> Result<Vec<Entry>, Failure> {
    let source = values![work.source()];
    work.rows(statement!("overview", "load_selected"), &source, entry)
}

fn clock_offset(work: &mut dyn Work) -> Result<Option<f64>, Failure> {
    let source = values![work.source()];
    let offset = |row: Row<'_>| row.of("exchange_records").get("offset_seconds");
    let offsets = work.rows(statement!("overview", "load_exchange_offset"), &source, offset)?;
    Ok(offsets.into_iter().next())
}

fn retired_total(work: &mut dyn Work) -> Result<i64, Failure> {
    let source = values![work.source()];
    let retired = |row: Row<'_>| row.of("ingestion_checkpoints").get("retired");
    only(work.rows(statement!("overview", "count_retired"), &source, retired)?)
}

fn read(work: &mut dyn Work, now: Timestamp) -> Result<Overview, Failure> {
    let passes = values![now.before(OVERLAP_SPAN)];
    let passes = work.rows(statement!("overview", "load_last_pass"), &passes, |row| {
        let record = row.of("ingestion_runs");
        let span = |column| Ok::<_, Failure>(seconds(record.get(column)?));
        Ok((run_row(row)?, span("overlap_seconds")?, span("overlap_used_seconds")?))
    })?;
    let (last_pass, overlap, overlap_used) = match passes.into_iter().next() {
        Some((pass, overlap, used)) => (Some(pass), overlap, used),
        None => (None, None, None),
    };
    let retired = values![work.source(), RETIRED_MAX];
    Ok(Overview {
        entries: entries(work)?,
        active: work.rows(
            statement!("overview", "load_active"),
            &values![work.source()],
            checkpoint,
        )?,
        retired: work.rows(statement!("overview", "load_retired"), &retired, checkpoint)?,
        retired_total: retired_total(work)?,
        scores: scores(work, now)?,
        totals: totals(work)?,
        runs: work.rows(statement!("overview", "load_runs"), &values![RUNS_MAX], run_row)?,
        last_pass,
        overlap_used: overlap_used.unwrap_or_default(),
        overlap,
        day: last_day(work, now)?,
        clock_offset: clock_offset(work)?,
    })
}

fn entry(row: Row<'_>) -> Result<Entry, Failure> {
    let record = row.of("selection_watches");
    let target = record.parsed("watch", Target::of_name)?;
    let sla = seconds(record.get("sla_seconds")?).ok_or_else(|| record.damaged("sla_seconds"))?;
    Ok(Entry {
        watch: Watch { target, sla },
        selected_at: record.get("selected_at")?,
        resolved_at: record.get("resolved_at")?,
        members: record.tickers("members")?,
    })
}

fn scores(work: &mut dyn Work, now: Timestamp) -> Result<Vec<Scored>, Failure> {
    let since = values![work.source(), now.before(SCORED_LATELY)];
    work.rows(statement!("overview", "load_latest_scores"), &since, |row| {
        let record = row.of("completeness_scores");
        Ok(Scored {
            market: record.ticker("market_ticker")?,
            event: record.get("event_ticker")?,
            series: record.get("series_ticker")?,
            score: record.get("score")?,
            scored_at: record.get("scored_at")?,
        })
    })
}

fn totals(work: &mut dyn Work) -> Result<Totals, Failure> {
    let mut totals = Totals::default();
    work.query(statement!("overview", "load_totals"), &values![work.source()], &mut |row| {
        let record = row.of("ingestion_totals");
        let name = |column| record.get::<Box<str>>(column);
        totals.set(&name("metric")?, &name("reason")?, record.get("total")?);
        Ok(())
    })?;
    Ok(totals)
}

fn run_row(row: Row<'_>) -> Result<RunRow, Failure> {
    let record = row.of("ingestion_runs");
    let exit_code: Option<i64> = record.get("exit_code")?;
    Ok(RunRow {
        run_id: record.get("run_id")?,
        command: record.get("command")?,
        started_at: record.get("started_at")?,
        finished_at: record.get("finished_at")?,
        exit_code: exit_code.and_then(|code| i16::try_from(code).ok()),
        markets: record.get("markets")?,
        requests: record.get("requests")?,
        retries: record.get("retries")?,
        events_ingested: record.get("events_ingested")?,
        events_duplicate: record.get("events_duplicate")?,
        events_rejected: record.get("events_rejected")?,
        events_conflicting: record.get("events_conflicting")?,
        lag_seconds: record.get("ingestion_lag_seconds")?,
        error: record.get("error")?,
    })
}

fn last_day(work: &mut dyn Work, now: Timestamp) -> Result<Vec<DayPart>, Failure> {
    let since = values![day_begins(now), DAY_STEP.as_secs_f64()];
    let spans = work.rows(statement!("overview", "load_day"), &since, |row| {
        let record = row.of("ingestion_runs");
        let (events_ingested, lag_seconds) =
            (record.get("events_ingested")?, record.get("lag_seconds")?);
        Ok((record.get("span")?, DayPart { events_ingested, lag_seconds }))
    })?;
    Ok(day(spans))
}

/// A span of time; `None` for null and for a number that is no span.
fn seconds(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
