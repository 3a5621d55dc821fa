//! `status`: how fresh each market is, from the database alone.

use std::io::{self, IsTerminal};
use std::time::Duration;

use crate::cli::{Output, StatusOutput};
use crate::config::SLA_DEFAULT;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::freshness::{State, state};
use crate::domain::market::WatchRecord;
use crate::domain::overview::Overview;
use crate::domain::selection::{Selection, Target, Watch};
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::exit::Exit;
use crate::metrics::{self, LastRun};
use crate::report;
use crate::store::{MarketReport, Store};

/// What is asked.
pub(super) struct Question {
    /// Only these; all when empty.
    pub(super) selection: Selection,
    /// Instead of those on record, for what was not selected by itself.
    pub(super) sla: Option<Duration>,
    pub(super) output: StatusOutput,
    pub(super) check: bool,
}

pub(super) fn status(
    question: &Question,
    store: &mut dyn Store,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let Question { selection: named, sla, output, check } = question;
    let output = match output {
        StatusOutput::Prometheus => return prometheus(named, *check, store, now),
        StatusOutput::Table => Output::Table,
        StatusOutput::Json => Output::Json,
        StatusOutput::Csv => Output::Csv,
    };
    let mut reports = store.report(now)?;
    let overview = store.overview(now)?;
    let clocks = overview.clocks(now);
    let selection = asked_for(named, *sla, &overview, now);
    // Only read: an entry that is not on record has no markets.
    let records = store.watches_on_record(&super::resolved_names(&selection))?;
    let roster = super::roster_of(&selection, &records);
    let mut is_answered = !reports.is_empty() || !selection.is_empty();
    if named.is_empty() {
        reports.retain(|report| selection.shard().holds(&report.checkpoint.market));
        if !is_answered {
            log::error!("no market was ever selected on this database; check --database-url");
        }
    } else {
        reports.retain(|report| roster.place(&report.checkpoint.market).is_some());
        for target in unknown(named, &reports, &records) {
            is_answered = false;
            log::error!("{target} was never selected by a run on this database");
        }
    }
    let is_any_unresolved = tell_unresolved(&overview, &selection, now);
    let sla = sla.unwrap_or(SLA_DEFAULT);
    let sla_of = |market: &Ticker| roster.place(market).map_or(sla, |place| place.sla);
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
            report::table(&reports, before - reports.len(), clocks, &sla_of, colour)
        }
        Output::Json => report::json(&reports, clocks, &sla_of),
        Output::Csv => report::csv(&reports, clocks, &sla_of),
    };
    super::answer(&text)?;
    let is_stale = |row: &Checkpoint| state(row, clocks, sla_of(&row.market)) == State::Stale;
    let any_stale = is_any_unresolved || reports.iter().any(|report| is_stale(&report.checkpoint));
    Ok(match (*check, is_answered, any_stale) {
        (false, _, _) | (true, true, false) => Exit::Ok,
        // A check of what is not there must not look like a good one.
        (true, false, _) => Exit::Usage,
        (true, true, true) => Exit::Stale,
    })
}

/// What is named; else what the last passes were asked for, with their SLAs unless one is given here.
fn asked_for(
    named: &Selection,
    sla: Option<Duration>,
    overview: &Overview,
    now: Timestamp,
) -> Selection {
    if !named.is_empty() {
        return named.clone();
    }
    let entries = overview.selected(now).into_iter().map(|entry| Watch {
        target: entry.watch.target.clone(),
        sla: sla.unwrap_or(entry.watch.sla),
    });
    Selection::new(entries, named.shard())
}

/// What was named and is not there.
fn unknown<'s>(
    named: &'s Selection,
    reports: &'s [MarketReport],
    records: &'s [WatchRecord],
) -> impl Iterator<Item = String> + 's {
    named.watches().iter().filter_map(|watch| match &watch.target {
        Target::Market(market) => {
            let is_there = reports.iter().any(|report| report.checkpoint.market == *market);
            (!is_there && named.shard().holds(market)).then(|| market.to_string())
        }
        Target::All => {
            let tape = Ticker::tape();
            let is_there = reports.iter().any(|report| report.checkpoint.market == tape);
            (!is_there && named.shard().holds(&tape)).then(|| "the tape".to_owned())
        }
        many => {
            let name = many.name();
            (!records.iter().any(|record| record.watch == name)).then_some(name)
        }
    })
}

/// Says of which entries the exchange has not told for too long what belongs to them; whether there is one.
fn tell_unresolved(overview: &Overview, selection: &Selection, now: Timestamp) -> bool {
    // Nothing selected would stand for what is on record.
    if selection.is_empty() {
        return false;
    }
    let summaries = overview.summaries(Some(selection), overview.clocks(now));
    let unresolved: Vec<_> =
        summaries.iter().filter_map(|s| Some((s, s.unresolved_since?))).collect();
    for (summary, since) in &unresolved {
        log::error!("{}", report::unresolved_line(&summary.target, now.since(*since), summary.sla));
    }
    !unresolved.is_empty()
}

/// The metrics of the selection; without one, of what the last passes were asked for.
fn prometheus(
    selection: &Selection,
    is_checked: bool,
    store: &mut dyn Store,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let overview = store.overview(now)?;
    let summaries = overview.summaries(Some(selection), overview.clocks(now));
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
