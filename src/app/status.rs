//! `status`: how fresh each market is, from the database alone.

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::outside::Outside;
use crate::cli::{Output, StatusOutput};
use crate::config::{SLA_DEFAULT, StatusPlan};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::freshness::{Now, State, state, unresolved_for};
use crate::domain::market::{MarketScope, WatchRecord};
use crate::domain::overview;
use crate::domain::scope::Scope;
use crate::domain::selection::{Listed, Roster, Selection, Shard, Target, Watch};
use crate::domain::time::Timestamp;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::kalshi::VENUE;
use crate::metrics::{self, LastRun};
use crate::report;
use crate::store::{MarketReport, Reported, Store};
use crate::words;

pub(super) fn status(
    plan: &StatusPlan,
    store: &mut dyn Store,
    outside: &Outside,
) -> anyhow::Result<Exit> {
    let now = outside.clock.now();
    let StatusPlan { selection: named, sla, output, check } = plan;
    let output = match output {
        StatusOutput::Prometheus => return prometheus(named, *check, store, outside),
        StatusOutput::Table => Output::Table,
        StatusOutput::Json => Output::Json,
        StatusOutput::Csv => Output::Csv,
    };
    let clocks = Now::by_record(now, store.clock_offset()?);
    let selection = asked_for(named, *sla, store, now)?;
    // The database is only read, so an entry that is not on record has no markets.
    let records = store.watches_on_record(&super::resolved_names(&selection))?;
    let mut roster = super::roster_of(&selection, &records);
    add_stored(named, store, &mut roster)?;
    // Retired markets pile up, and the table shows only those that are named.
    let hides_retired =
        named.is_empty() && output == Output::Table && selection.shard() == Shard::WHOLE;
    let mut reports = if !named.is_empty() {
        store.report(Reported::Only(&roster.scopes()), now)?
    } else if hides_retired {
        store.report(Reported::ActiveAnd(&named_scopes(&selection)), now)?
    } else {
        store.report(Reported::All, now)?
    };
    let retired_total = if hides_retired { store.retired_total()? } else { 0 };
    let is_anything_stored = !reports.is_empty() || retired_total > 0;
    let mut found = Found::new(is_anything_stored || !selection.is_empty());
    if named.is_empty() {
        reports.retain(|report| selection.shard().holds_scope(&report.checkpoint.scope));
        if !found.is_answered {
            log::error!("no market was ever selected on this database; check --database-url");
        }
    } else {
        for target in unknown(named, &reports, &records, store)? {
            found.lacks(&target);
            let name = if target == Target::All { "the tape".to_owned() } else { target.name() };
            log::error!(
                "{name} was never selected by a run on this database, and nothing of it is stored"
            );
        }
    }
    let is_any_unresolved = tell_unresolved(&selection, &records, clocks);
    let sla = sla.unwrap_or(SLA_DEFAULT);
    let sla_of = |scope: &Scope| roster.demand(scope).map_or(sla, |demand| demand.sla);
    let text = match output {
        Output::Table => {
            let colour = io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
            let shown = named_scopes(&selection);
            let is_shown =
                |row: &Checkpoint| row.retired_at.is_none() || shown.contains(&row.scope);
            let before = reports.len();
            reports.retain(|report| is_shown(&report.checkpoint));
            let hidden = before - reports.len();
            let retired =
                if hides_retired { retired_beside(&reports, retired_total) } else { hidden };
            report::table(&reports, retired, clocks, &sla_of, colour)
        }
        Output::Json => report::json(&reports, clocks, &sla_of),
        Output::Csv => report::csv(&reports, clocks, &sla_of),
    };
    super::answer(&text, outside)?;
    let is_stale = |row: &Checkpoint| state(row, clocks, sla_of(&row.scope)) == State::Stale;
    found.is_stale = is_any_unresolved || reports.iter().any(|report| is_stale(&report.checkpoint));
    Ok(found.exit(*check))
}

/// The result of a status, in whatever format it is shown.
struct Found {
    /// Whether everything that was asked for is there.
    is_answered: bool,
    /// Whether anything breaches its SLA.
    is_stale: bool,
    /// Whether there is a name of which nothing is stored.
    is_mistyped: bool,
}

impl Found {
    /// A result with or without an answer.
    fn new(is_answered: bool) -> Found {
        Found { is_answered, is_stale: false, is_mistyped: false }
    }

    /// Notes that nothing is stored of a target. The tape is no name that could be mistyped.
    fn lacks(&mut self, target: &Target) {
        self.is_answered = false;
        self.is_mistyped |= *target != Target::All;
    }

    /// The exit status. A missing name was mistyped or cannot be checked; neither may look like a good answer.
    fn exit(&self, is_checked: bool) -> Exit {
        match self {
            Found { is_answered: true, is_stale: true, .. } if is_checked => Exit::Stale,
            Found { is_answered: false, .. } if is_checked => Exit::Usage,
            Found { is_mistyped: true, .. } => Exit::Usage,
            Found { .. } => Exit::Ok,
        }
    }
}

/// The markets that the selection names one by one.
fn named_scopes(selection: &Selection) -> Vec<Scope> {
    let market = |watch: &Watch| match &watch.target {
        Target::Market(ticker) => Some(ticker.clone().into()),
        Target::All | Target::Event(_) | Target::Series(_) => None,
    };
    selection.watches().iter().filter_map(market).collect()
}

/// The number of retired markets that are not among these.
fn retired_beside(reports: &[MarketReport], retired_total: i64) -> usize {
    let shown = reports.iter().filter(|report| report.checkpoint.retired_at.is_some()).count();
    usize::try_from(retired_total).unwrap_or(usize::MAX).saturating_sub(shown)
}

/// Adds the stored markets of each named event or series, by whatever selection they were read.
fn add_stored(
    named: &Selection,
    store: &mut dyn Store,
    roster: &mut Roster,
) -> Result<(), Failure> {
    for watch in named.watches() {
        let scope = match &watch.target {
            Target::Event(event) => MarketScope::Event(event.as_str()),
            Target::Series(series) => MarketScope::Series(series.as_str()),
            Target::Market(_) | Target::All => continue,
        };
        let until = Timestamp::from_seconds(i64::from(i32::MAX));
        for lifespan in store.lifespans(scope, None, VENUE.first_trades, until)? {
            roster.add(named.shard(), lifespan.market, watch.sla, Listed::No);
        }
    }
    Ok(())
}

/// The named watches; without any, the watches of the last passes, with their SLAs unless `sla` is given.
fn asked_for(
    named: &Selection,
    sla: Option<Duration>,
    store: &mut dyn Store,
    now: Timestamp,
) -> Result<Selection, Failure> {
    if !named.is_empty() {
        return Ok(named.clone());
    }
    let entries = store.entries()?;
    let watches = overview::selected(&entries, now).into_iter().map(|entry| Watch {
        target: entry.watch.target.clone(),
        sla: sla.unwrap_or(entry.watch.sla),
    });
    Ok(Selection::new(watches, named.shard()))
}

/// The named targets that are not stored.
fn unknown(
    named: &Selection,
    reports: &[MarketReport],
    records: &[WatchRecord],
    store: &mut dyn Store,
) -> Result<Vec<Target>, Failure> {
    let is_read = |scope: &Scope| {
        !named.shard().holds_scope(scope)
            || reports.iter().any(|row| row.checkpoint.scope == *scope)
    };
    let mut unknown = Vec::new();
    for target in named.watches().iter().map(|watch| &watch.target) {
        let was_selected = match target {
            Target::Market(market) => is_read(&market.clone().into()),
            Target::All => is_read(&Scope::Tape),
            Target::Event(_) | Target::Series(_) => {
                records.iter().any(|record| record.watch == target.name())
            }
        };
        if !was_selected && (*target == Target::All || !store.is_on_record(target)?) {
            unknown.push(target.clone());
        }
    }
    Ok(unknown)
}

/// Reports the entries whose members the exchange has not named for too long. Returns whether there is one.
fn tell_unresolved(selection: &Selection, records: &[WatchRecord], clocks: Now) -> bool {
    let mut is_any = false;
    for Watch { target, sla } in selection.watches() {
        let name = target.name();
        let record = records.iter().find(|record| record.watch == name);
        let resolved_at =
            record.map(|record| record.resolved_at.unwrap_or(record.first_selected_at));
        if let Some(staleness) = resolved_at.and_then(|at| unresolved_for(at, *sla, clocks)) {
            log::error!("{}", words::unresolved_line(target, staleness, *sla));
            is_any = true;
        }
    }
    is_any
}

/// Prints the metrics of the selection; without one, of the watches of the last passes.
fn prometheus(
    selection: &Selection,
    is_checked: bool,
    store: &mut dyn Store,
    outside: &Outside,
) -> anyhow::Result<Exit> {
    let now = outside.clock.now();
    let overview = store.overview(now)?;
    let summaries = overview.summaries(Some(selection), overview.clocks(now));
    let last = overview.last_pass.as_ref().and_then(LastRun::of_row);
    super::answer(&metrics::text(&overview, &summaries, last, selection.shard()), outside)?;
    if summaries.is_empty() {
        log::error!("no pass ever selected anything on this database; check --database-url");
    }
    let mut found = Found::new(!summaries.is_empty());
    for summary in summaries.iter().filter(|summary| summary.is_unknown) {
        if summary.target == Target::All || !store.is_on_record(&summary.target)? {
            found.lacks(&summary.target);
            log::error!("{} was never selected by a run on this database", summary.target.name());
        }
    }
    found.is_stale = summaries.iter().any(|summary| summary.stale > 0);
    Ok(found.exit(is_checked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::selection::Target::{All, Market};
    use crate::domain::ticker::Ticker;

    #[test]
    fn a_check_exits_as_a_pass_would_and_a_mistyped_name_is_always_told() {
        let named = Market(Ticker::new("KXA").unwrap());
        for (lacks, is_stale, plain, checked) in [
            (None, false, Exit::Ok, Exit::Ok),
            (None, true, Exit::Ok, Exit::Stale),
            (Some(&All), false, Exit::Ok, Exit::Usage),
            (Some(&All), true, Exit::Ok, Exit::Usage),
            (Some(&named), false, Exit::Usage, Exit::Usage),
            (Some(&named), true, Exit::Usage, Exit::Usage),
        ] {
            let mut found = Found { is_stale, ..Found::new(true) };
            if let Some(target) = lacks {
                found.lacks(target);
            }
            assert_eq!((found.exit(false), found.exit(true)), (plain, checked), "{lacks:?}");
        }
        let nothing = Found::new(false);
        assert_eq!((nothing.exit(false), nothing.exit(true)), (Exit::Ok, Exit::Usage));
    }
}
