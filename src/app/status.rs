//! `status`: how fresh each market is, from the database alone.

use std::io::{self, IsTerminal};
use std::time::Duration;

use crate::cli::{Output, StatusOutput};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::freshness::{Now, State, state};
use crate::domain::selection::{Selection, Target};
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::exit::Exit;
use crate::metrics::{self, LastRun};
use crate::report;
use crate::store::Store;

/// What is asked.
pub(super) struct Question {
    /// Only these; all when empty.
    pub(super) selection: Selection,
    /// Of markets that were not selected by themselves.
    pub(super) sla: Duration,
    pub(super) output: StatusOutput,
    pub(super) check: bool,
}

pub(super) fn status(
    question: &Question,
    store: &mut dyn Store,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let Question { selection, sla, output, check } = question;
    let output = match output {
        StatusOutput::Prometheus => return prometheus(selection, *check, store, now),
        StatusOutput::Table => Output::Table,
        StatusOutput::Json => Output::Json,
        StatusOutput::Csv => Output::Csv,
    };
    let mut reports = store.report(now)?;
    let mut is_answered = !reports.is_empty();
    // Only read: an entry that is not on record has no markets.
    let records = store.watches_on_record(&super::resolved_names(selection))?;
    let roster = super::roster_of(selection, &records);
    if !selection.is_empty() {
        reports.retain(|report| roster.place(&report.checkpoint.market).is_some());
        is_answered = !reports.is_empty();
        for watch in selection.watches() {
            let Target::Market(market) = &watch.target else { continue };
            let is_ours = selection.shard().holds(market);
            if is_ours && !reports.iter().any(|report| report.checkpoint.market == *market) {
                is_answered = false;
                log::error!("{market} was never selected by a run on this database");
            }
        }
    } else if !is_answered {
        log::error!("no market was ever selected on this database; check --database-url");
    }
    let sla_of = |market: &Ticker| roster.place(market).map_or(*sla, |place| place.sla);
    let text = match output {
        Output::Table => {
            let colour = io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
            let is_named = |ticker: &Ticker| {
                selection.watches().iter().any(|w| w.target == Target::Market(ticker.clone()))
            };
            let is_shown = |row: &Checkpoint| row.retired_at.is_none() || is_named(&row.market);
            let before = reports.len();
            reports.retain(|report| is_shown(&report.checkpoint));
            report::table(&reports, before - reports.len(), now, &sla_of, colour)
        }
        Output::Json => report::json(&reports, now, &sla_of),
        Output::Csv => report::csv(&reports, now, &sla_of),
    };
    super::answer(&text)?;
    let is_stale =
        |row: &Checkpoint| state(row, Now::by_our_clock(now), sla_of(&row.market)) == State::Stale;
    let any_stale = reports.iter().any(|report| is_stale(&report.checkpoint));
    Ok(match (*check, is_answered, any_stale) {
        (false, _, _) | (true, true, false) => Exit::Ok,
        // A check of what is not there must not look like a good one.
        (true, false, _) => Exit::Usage,
        (true, true, true) => Exit::Stale,
    })
}

/// The metrics of the selection; without one, of what the last passes were asked for.
fn prometheus(
    selection: &Selection,
    is_checked: bool,
    store: &mut dyn Store,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let overview = store.overview(now)?;
    let summaries =
        overview.summaries(Some(selection).filter(|s| !s.is_empty()), Now::by_our_clock(now));
    let last = overview.last_pass.as_ref().and_then(LastRun::of_row);
    super::answer(&metrics::text(&overview, &summaries, last, selection.shard()))?;
    if summaries.is_empty() {
        log::error!("no pass ever selected anything on this database; check --database-url");
    }
    for summary in summaries.iter().filter(|summary| summary.is_unknown) {
        log::error!("{} was never selected by a run on this database", summary.target.name());
    }
    let is_answered = !summaries.is_empty() && !summaries.iter().any(|summary| summary.is_unknown);
    let is_stale = summaries.iter().any(|summary| summary.stale > 0);
    Ok(match (is_checked, is_answered, is_stale) {
        (false, _, _) | (true, true, false) => Exit::Ok,
        (true, false, _) => Exit::Usage,
        (true, true, true) => Exit::Stale,
    })
}
