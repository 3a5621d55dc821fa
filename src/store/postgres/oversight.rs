//! What PostgreSQL tells the person on call.

use std::time::Duration;

use postgres::types::Type;
use postgres::{Error, Row};

use super::rows::{self, Record};
use super::transaction::{Access, Parameters, Transaction, beginning};
use super::{COMMIT_LIMITS, PostgresStore, because};
use crate::domain::checkpoint::Checkpoint;
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

impl Oversight for PostgresStore {
    fn note_selection(&mut self, watches: &[Watch], now: Timestamp) -> Result<(), Failure> {
        let names: Vec<String> = watches.iter().map(|watch| watch.target.name()).collect();
        let slas: Vec<f64> = watches.iter().map(|watch| watch.sla.as_secs_f64()).collect();
        let parameters: &Parameters<'_> = &[
            (&SOURCE, Type::TEXT),
            (&names, Type::TEXT_ARRAY),
            (&slas, Type::FLOAT8_ARRAY),
            (&now.to_chrono(), Type::TIMESTAMPTZ),
            (&now.before(NOTED_AGAIN_AFTER).to_chrono(), Type::TIMESTAMPTZ),
        ];
        let sql = include_str!("../../../sql/postgres/note_selection.sql");
        self.single("noting the selection", |transaction| {
            transaction.execute_typed(sql, parameters).map(|_| ())
        })
    }

    fn overview(&mut self, now: Timestamp) -> Result<Overview, Failure> {
        let mut transaction = self.begin(WHAT, &beginning(Access::ReadAsOne, COMMIT_LIMITS))?;
        let overview = read(&mut transaction, now)?;
        transaction.commit().map_err(because(WHAT))?;
        Ok(overview)
    }
}

/// Closes the row and adds to the totals what it counts; nothing if it is closed.
pub(super) fn finish_run(
    transaction: &mut Transaction<'_>,
    run: RunId,
    record: &RunRecord,
) -> Result<(), Error> {
    let tally = &record.tally;
    let counts = [
        tally.requests,
        tally.retries.total(),
        tally.pages,
        tally.events_ingested,
        tally.events_duplicate,
        tally.events_rejected,
        tally.tape_trades,
        tally.late_trades,
        tally.events_conflicting,
    ]
    .map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    let [requests, retries, pages, ingested, duplicate, rejected, tape, late, conflicting] =
        &counts;
    let finished = transaction.query_typed(
        include_str!("../../../sql/postgres/finish_run.sql"),
        &[
            (&run, Type::INT8),
            (&record.finished_at.to_chrono(), Type::TIMESTAMPTZ),
            (&i16::from(record.exit_code), Type::INT2),
            (&i32::try_from(record.markets).unwrap_or(i32::MAX), Type::INT4),
            (requests, Type::INT8),
            (retries, Type::INT8),
            (pages, Type::INT8),
            (ingested, Type::INT8),
            (duplicate, Type::INT8),
            (rejected, Type::INT8),
            (&record.ingestion_lag.map(|lag| lag.as_secs_f64()), Type::FLOAT8),
            (&record.error, Type::TEXT),
            (tape, Type::INT8),
            (&record.tape_seconds(), Type::FLOAT8),
            (late, Type::INT8),
            (&record.overlap_used_seconds(), Type::FLOAT8),
            (&record.overlap.map(|overlap| overlap.as_secs_f64()), Type::FLOAT8),
            (conflicting, Type::INT8),
        ],
    )?;
    let Some(row) = finished.first() else { return Ok(()) };
    let totals = record.totals([row.get(0), row.get(1), row.get(2), row.get(3)]);
    let metrics: Vec<&str> = totals.iter().map(|total| total.0).collect();
    let reasons: Vec<&str> = totals.iter().map(|total| total.1).collect();
    let counts: Vec<i64> = totals.iter().map(|total| total.2).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/add_totals.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&metrics, Type::TEXT_ARRAY),
            (&reasons, Type::TEXT_ARRAY),
            (&counts, Type::INT8_ARRAY),
        ],
    )?;
    Ok(())
}

/// The exchange's clock minus ours in seconds.
fn clock_offset(transaction: &mut Transaction<'_>) -> Result<Option<f64>, Failure> {
    let sql = include_str!("../../../sql/postgres/load_exchange_offset.sql");
    let rows = transaction.query_typed(sql, &[(&SOURCE, Type::TEXT)]).map_err(because(WHAT))?;
    Ok(rows.first().map(|row| row.get(0)))
}

fn read(transaction: &mut Transaction<'_>, now: Timestamp) -> Result<Overview, Failure> {
    let retired: i64 = transaction
        .query_typed_one(
            include_str!("../../../sql/postgres/count_retired.sql"),
            &[(&SOURCE, Type::TEXT)],
        )
        .map_err(because(WHAT))?
        .get(0);
    let pass = last_pass(transaction, now)?;
    let (last_pass, overlap, overlap_used) = match pass {
        Some((pass, overlap, used)) => (Some(pass), overlap, used),
        None => (None, None, None),
    };
    Ok(Overview {
        entries: entries(transaction)?,
        active: checkpoints(
            transaction,
            include_str!("../../../sql/postgres/load_active.sql"),
            None,
        )?,
        retired: checkpoints(
            transaction,
            include_str!("../../../sql/postgres/load_retired.sql"),
            Some(RETIRED_MAX),
        )?,
        retired_total: retired,
        scores: scores(transaction, now)?,
        totals: totals(transaction)?,
        runs: runs(transaction)?,
        last_pass,
        overlap_used: overlap_used.unwrap_or_default(),
        overlap,
        day: last_day(transaction, now)?,
        clock_offset: clock_offset(transaction)?,
    })
}

fn checkpoints(
    transaction: &mut Transaction<'_>,
    sql: &str,
    limit: Option<i64>,
) -> Result<Vec<Checkpoint>, Failure> {
    let rows = match &limit {
        Some(limit) => transaction.query_typed(sql, &[(&SOURCE, Type::TEXT), (limit, Type::INT8)]),
        None => transaction.query_typed(sql, &[(&SOURCE, Type::TEXT)]),
    };
    rows.map_err(because(WHAT))?.iter().map(rows::checkpoint).collect()
}

fn entries(transaction: &mut Transaction<'_>) -> Result<Vec<Entry>, Failure> {
    let rows = transaction
        .query_typed(
            include_str!("../../../sql/postgres/load_selected.sql"),
            &[(&SOURCE, Type::TEXT)],
        )
        .map_err(because(WHAT))?;
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<Entry, Failure> {
    let record = Record { table: "selection_watches", row };
    let target = Target::of_name(row.get("watch")).ok_or_else(|| record.damaged("watch"))?;
    let sla = seconds(row.get("sla_seconds")).ok_or_else(|| record.damaged("sla_seconds"))?;
    let member = |text: &str| Ticker::new(text).ok_or_else(|| record.damaged("members"));
    let members: Vec<&str> = row.get("members");
    Ok(Entry {
        watch: Watch { target, sla },
        selected_at: record.known_instant("selected_at")?,
        resolved_at: record.known_instant("resolved_at")?,
        members: members.into_iter().map(member).collect::<Result<_, _>>()?,
    })
}

fn scores(transaction: &mut Transaction<'_>, now: Timestamp) -> Result<Vec<Scored>, Failure> {
    let rows = transaction
        .query_typed(
            include_str!("../../../sql/postgres/load_latest_scores.sql"),
            &[(&SOURCE, Type::TEXT), (&now.before(SCORED_LATELY).to_chrono(), Type::TIMESTAMPTZ)],
        )
        .map_err(because(WHAT))?;
    let scored = |row: &Row| {
        let record = Record { table: "completeness_scores", row };
        Ok(Scored {
            market: record.ticker("market_ticker")?,
            event: row.get::<_, Option<&str>>("event_ticker").map(Box::from),
            series: row.get::<_, Option<&str>>("series_ticker").map(Box::from),
            score: row.get("score"),
            scored_at: record.known_instant("scored_at")?,
        })
    };
    rows.iter().map(scored).collect()
}

fn totals(transaction: &mut Transaction<'_>) -> Result<Totals, Failure> {
    let sql = include_str!("../../../sql/postgres/load_totals.sql");
    let rows = transaction.query_typed(sql, &[(&SOURCE, Type::TEXT)]).map_err(because(WHAT))?;
    let mut totals = Totals::default();
    for row in rows {
        totals.set(row.get("metric"), row.get("reason"), row.get("total"));
    }
    Ok(totals)
}

fn runs(transaction: &mut Transaction<'_>) -> Result<Vec<RunRow>, Failure> {
    let sql = include_str!("../../../sql/postgres/load_runs.sql");
    let rows = transaction.query_typed(sql, &[(&RUNS_MAX, Type::INT8)]).map_err(because(WHAT))?;
    rows.iter().map(run_row).collect()
}

type Pass = (RunRow, Option<Duration>, Option<Duration>);

fn last_pass(transaction: &mut Transaction<'_>, now: Timestamp) -> Result<Option<Pass>, Failure> {
    let since = now.before(OVERLAP_SPAN).to_chrono();
    let rows = transaction
        .query_typed(
            include_str!("../../../sql/postgres/load_last_pass.sql"),
            &[(&since, Type::TIMESTAMPTZ)],
        )
        .map_err(because(WHAT))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (overlap, used) = (row.get("overlap_seconds"), row.get("overlap_used_seconds"));
    Ok(Some((run_row(row)?, seconds(overlap), seconds(used))))
}

fn run_row(row: &Row) -> Result<RunRow, Failure> {
    let record = Record { table: "ingestion_runs", row };
    Ok(RunRow {
        run_id: row.get("run_id"),
        command: Box::from(row.get::<_, &str>("command")),
        started_at: record.known_instant("started_at")?,
        finished_at: record.instant("finished_at")?,
        exit_code: row.get("exit_code"),
        markets: row.get::<_, Option<i32>>("markets").map(i64::from),
        requests: row.get("requests"),
        retries: row.get("retries"),
        events_ingested: row.get("events_ingested"),
        events_duplicate: row.get("events_duplicate"),
        events_rejected: row.get("events_rejected"),
        events_conflicting: row.get("events_conflicting"),
        lag_seconds: row.get("ingestion_lag_seconds"),
        error: row.get::<_, Option<&str>>("error").map(Box::from),
    })
}

fn last_day(transaction: &mut Transaction<'_>, now: Timestamp) -> Result<Vec<Span>, Failure> {
    let rows = transaction
        .query_typed(
            include_str!("../../../sql/postgres/load_day.sql"),
            &[
                (&day_begins(now).to_chrono(), Type::TIMESTAMPTZ),
                (&DAY_STEP.as_secs_f64(), Type::FLOAT8),
            ],
        )
        .map_err(because(WHAT))?;
    Ok(day(rows.iter().map(|row| {
        let (events_ingested, lag_seconds) = (row.get("events_ingested"), row.get("lag_seconds"));
        (row.get("span"), Span { events_ingested, lag_seconds })
    })))
}

/// A span of time; `None` for null and for what is none.
fn seconds(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
