//! `markets`: brings the metadata of the selection's markets up to date.

use std::time::Duration;

use super::outside::Outside;
use super::say;
use super::session::{Done, LONG, Session};
use crate::clock::StopFlag;
use crate::config::ExchangePlan;
use crate::domain::selection::Selection;
use crate::domain::tally::Tally;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ingest;
use crate::report;
use crate::store::Store;

pub(super) fn markets(
    selection: &Selection,
    exchange: ExchangePlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let mut session = Session::begin("markets", "sync", store, outside, stop)?;
    let asker = session.asker(exchange, LONG, selection.shard(), store);
    let mut verdict = Verdict::of_command();
    let mut count = 0;
    let run = session.run();
    let synced = session.with_reconnect(store, asker.budget(), |store| {
        ingest::sync(selection, store, &asker, Duration::ZERO, run)
    });
    match synced {
        Ok(synced) => {
            count = synced.markets;
            log::info!("{}", report::sync_line(&synced));
            say(verdict.failures(&synced.troubles));
        }
        Err(failure) => say(verdict.broken_off(&failure)),
    }
    let markets = usize::try_from(count).unwrap_or(usize::MAX);
    let done = Done { markets, tally: Tally::default(), verdict };
    Ok(session.end(done, Some(&asker), store))
}
