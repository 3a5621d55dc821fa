//! `status`: how fresh each market is, from the database alone.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::Output;
use crate::domain::freshness::{Now, State, state};
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::exit::Exit;
use crate::report;
use crate::store::Store;

/// What is asked.
pub(super) struct Question {
    /// Only these; all when empty.
    pub(super) markets: BTreeSet<Ticker>,
    pub(super) sla: Duration,
    pub(super) output: Output,
    pub(super) check: bool,
}

pub(super) fn status(
    question: &Question,
    store: &mut dyn Store,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let Question { markets, sla, output, check } = question;
    let mut reports = store.report(now)?;
    let mut is_answered = !reports.is_empty();
    if !markets.is_empty() {
        reports.retain(|report| markets.contains(&report.checkpoint.market));
        for market in markets {
            if !reports.iter().any(|report| report.checkpoint.market == *market) {
                is_answered = false;
                log::error!("{market} was never selected by a run on this database");
            }
        }
    } else if !is_answered {
        log::error!("no market was ever selected on this database; check --database-url");
    }
    let text = match output {
        Output::Table => {
            let colour = io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
            report::table(&reports, now, *sla, colour)
        }
        Output::Json => report::json(&reports, now, *sla),
        Output::Csv => report::csv(&reports, now, *sla),
    };
    answer(&text)?;
    let is_stale = |report| state(report, Now::by_our_clock(now), *sla) == State::Stale;
    let any_stale = reports.iter().any(|report| is_stale(&report.checkpoint));
    Ok(match (*check, is_answered, any_stale) {
        (false, _, _) | (true, true, false) => Exit::Ok,
        // A check of what is not there must not look like a good one.
        (true, false, _) => Exit::Usage,
        (true, true, true) => Exit::Stale,
    })
}

/// Writes to stdout; a reader that has seen enough (`| head`) is no error.
fn answer(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing the answer to stdout failed"),
    }
}
