//! What SQLite tells the person on call.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row, params};

use super::rows::{self, Record, integer};
use super::transaction::Transaction;
use super::{SqliteStore, because};
use crate::domain::overview::{
    DAY_STEP, Entry, Overview, RunRow, Scored, Span, Totals, day_begins,
};
use crate::domain::selection::{Target, Watch};
use crate::domain::time::Timestamp;
use crate::domain::trade::{SOURCE, Ticker};
use crate::failure::Failure;
use crate::store::contract::{RunId, RunRecord};
use crate::store::oversight::{
    NOTED_AGAIN_AFTER, OVERLAP_SPAN, Oversight, RETIRED_MAX, RUNS_MAX, SCORED_LATELY, day,
};

const WHAT: &str = "reading what there is to be seen";

impl Oversight for SqliteStore {
    fn note_selection(&mut self, watches: &[Watch], now: Timestamp) -> Result<(), Failure> {
        let again_before = now.before(NOTED_AGAIN_AFTER).to_string();
        self.write("noting the selection", |transaction| {
            let sql = include_str!("../../../sql/sqlite/note_selection.sql");
            let mut statement = transaction.prepare_cached(sql)?;
            for watch in watches {
                let (name, sla) = (watch.target.name(), watch.sla.as_secs_f64());
                statement.execute(params![SOURCE, name, sla, now.to_string(), again_before])?;
            }
            Ok(())
        })
    }

    fn overview(&mut self, now: Timestamp) -> Result<Overview, Failure> {
        // Within a transaction all statements see the same.
        let transaction = Transaction::to_read(&self.connection).map_err(because(WHAT))?;
        let overview = self.read_overview(now);
        drop(transaction);
        self.unbroken(overview)
    }
}

/// Closes the row and adds to the totals what it counts; nothing if it is closed.
pub(super) fn finish_run(
    transaction: &Transaction<'_>,
    run: RunId,
    record: &RunRecord,
) -> rusqlite::Result<()> {
    let tally = &record.tally;
    let parameters = params![
        run,
        record.finished_at.to_string(),
        record.exit_code,
        integer(record.markets),
        integer(tally.requests),
        integer(tally.retries.total()),
        integer(tally.pages),
        integer(tally.events_ingested),
        integer(tally.events_duplicate),
        integer(tally.events_rejected),
        record.ingestion_lag.map(|lag| lag.as_secs_f64()),
        record.error,
        integer(tally.tape_trades),
        record.tape_seconds(),
        integer(tally.late_trades),
        record.overlap_used_seconds(),
        record.overlap.map(|overlap| overlap.as_secs_f64()),
        integer(tally.events_conflicting),
    ];
    let sql = include_str!("../../../sql/sqlite/finish_run.sql");
    let events = transaction
        .prepare_cached(sql)?
        .query_row(parameters, |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
        .optional()?;
    let Some(events) = events else { return Ok(()) };
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/add_totals.sql"))?;
    for (metric, reason, total) in record.totals(events) {
        statement.execute(params![SOURCE, metric, reason, total])?;
    }
    Ok(())
}

impl SqliteStore {
    fn read_overview(&self, now: Timestamp) -> Result<Overview, Failure> {
        let active = include_str!("../../../sql/sqlite/load_active.sql");
        let retired = include_str!("../../../sql/sqlite/load_retired.sql");
        let retired_total = self
            .ask(include_str!("../../../sql/sqlite/count_retired.sql"), [SOURCE], |row| row.get(0))
            .map_err(because(WHAT))?;
        let since = now.before(OVERLAP_SPAN).to_string();
        let pass = include_str!("../../../sql/sqlite/load_last_pass.sql");
        let mut passes = self.read(WHAT, pass, params![since], |row| {
            let record = Record { table: "ingestion_runs", row };
            let overlap = seconds(record.get("overlap_seconds")?);
            Ok((run_row(row)?, overlap, seconds(record.get("overlap_used_seconds")?)))
        })?;
        let (last_pass, overlap, overlap_used) = match passes.pop() {
            Some((pass, overlap, used)) => (Some(pass), overlap, used),
            None => (None, None, None),
        };
        let offset = include_str!("../../../sql/sqlite/load_exchange_offset.sql");
        let offsets = self.read(WHAT, offset, params![SOURCE], |row| {
            Record { table: "exchange_records", row }.get("offset_seconds")
        })?;
        let runs = include_str!("../../../sql/sqlite/load_runs.sql");
        let entries = include_str!("../../../sql/sqlite/load_selected.sql");
        Ok(Overview {
            entries: self.read(WHAT, entries, params![SOURCE], entry)?,
            active: self.read(WHAT, active, params![SOURCE], rows::checkpoint)?,
            retired: self.read(WHAT, retired, params![SOURCE, RETIRED_MAX], rows::checkpoint)?,
            retired_total,
            scores: self.scores(now)?,
            totals: self.totals()?,
            runs: self.read(WHAT, runs, params![RUNS_MAX], run_row)?,
            last_pass,
            overlap_used: overlap_used.unwrap_or_default(),
            overlap,
            day: self.last_day(now)?,
            clock_offset: offsets.into_iter().next(),
        })
    }

    fn scores(&self, now: Timestamp) -> Result<Vec<Scored>, Failure> {
        let sql = include_str!("../../../sql/sqlite/load_latest_scores.sql");
        let since = now.before(SCORED_LATELY).to_string();
        self.read(WHAT, sql, params![SOURCE, since], |row| {
            let record = Record { table: "completeness_scores", row };
            Ok(Scored {
                market: record.ticker("market_ticker")?,
                event: record.get::<Option<String>>("event_ticker")?.map(Box::from),
                series: record.get::<Option<String>>("series_ticker")?.map(Box::from),
                score: record.get("score")?,
                scored_at: record.known_instant("scored_at")?,
            })
        })
    }

    fn totals(&self) -> Result<Totals, Failure> {
        let sql = include_str!("../../../sql/sqlite/load_totals.sql");
        let rows = self.read(WHAT, sql, params![SOURCE], |row| {
            let record = Record { table: "ingestion_totals", row };
            let name = |column| record.get::<String>(column);
            Ok((name("metric")?, name("reason")?, record.get("total")?))
        })?;
        let mut totals = Totals::default();
        for (metric, reason, total) in rows {
            totals.set(&metric, &reason, total);
        }
        Ok(totals)
    }

    fn last_day(&self, now: Timestamp) -> Result<Vec<Span>, Failure> {
        let sql = include_str!("../../../sql/sqlite/load_day.sql");
        let parameters = params![day_begins(now).to_string(), integer(DAY_STEP.as_secs())];
        let spans = self.read(WHAT, sql, parameters, |row| {
            let record = Record { table: "ingestion_runs", row };
            let (events_ingested, lag_seconds) =
                (record.get("events_ingested")?, record.get("lag_seconds")?);
            Ok((record.get("span")?, Span { events_ingested, lag_seconds }))
        })?;
        Ok(day(spans))
    }
}

fn entry(row: &Row<'_>) -> Result<Entry, Failure> {
    let record = Record { table: "selection_watches", row };
    let name: String = record.get("watch")?;
    let target = Target::of_name(&name).ok_or_else(|| record.damaged("watch"))?;
    let sla = seconds(record.get("sla_seconds")?).ok_or_else(|| record.damaged("sla_seconds"))?;
    let members: Vec<String> = serde_json::from_str(&record.get::<String>("members")?)
        .map_err(|error| record.damaged("members").because(error))?;
    let member = |text: &String| Ticker::new(text).ok_or_else(|| record.damaged("members"));
    Ok(Entry {
        watch: Watch { target, sla },
        selected_at: record.known_instant("selected_at")?,
        resolved_at: record.known_instant("resolved_at")?,
        members: members.iter().map(member).collect::<Result<_, _>>()?,
    })
}

fn run_row(row: &Row<'_>) -> Result<RunRow, Failure> {
    let record = Record { table: "ingestion_runs", row };
    Ok(RunRow {
        run_id: record.get("run_id")?,
        command: Box::from(record.get::<String>("command")?),
        started_at: record.known_instant("started_at")?,
        finished_at: record.instant("finished_at")?,
        exit_code: record.get("exit_code")?,
        markets: record.get("markets")?,
        requests: record.get("requests")?,
        retries: record.get("retries")?,
        events_ingested: record.get("events_ingested")?,
        events_duplicate: record.get("events_duplicate")?,
        events_rejected: record.get("events_rejected")?,
        events_conflicting: record.get("events_conflicting")?,
        lag_seconds: record.get("ingestion_lag_seconds")?,
        error: record.get::<Option<String>>("error")?.map(Box::from),
    })
}

/// A span of time; `None` for null and for what is none.
fn seconds(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
