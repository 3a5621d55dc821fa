//! `orderbooks`: one snapshot of the book of each selected market that trades.

use super::outside::Outside;
use super::session::{Done, LONG, Session};
use super::{judge_resolution, say};
use crate::clock::StopFlag;
use crate::config::ExchangePlan;
use crate::domain::selection::Selection;
use crate::domain::tally::Tally;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ingest::{self, Asker};
use crate::store::Store;

pub(super) fn orderbooks(
    selection: &Selection,
    exchange: ExchangePlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let lock = store.try_lock(&format!("orderbooks-{}", selection.shard().file_name()))?;
    if lock.is_none() {
        log::warn!("another snapshot is being taken; this one leaves it to that");
        return Ok(Exit::Ok);
    }
    let mut session = Session::begin("orderbooks", "snapshot", store, outside, stop)?;
    let asker = session.asker(exchange, LONG, selection.shard(), store);
    let mut verdict = Verdict::of_command();
    let mut books = 0;
    let taken = session.with_reconnect(store, asker.budget(), |store| {
        snapshot(selection, store, &asker, &mut verdict, &mut books)
    });
    if let Err(failure) = taken {
        say(verdict.broken_off(&failure));
    }
    let done = Done { markets: books, tally: Tally::default(), verdict };
    Ok(session.end(done, Some(&asker), store))
}

fn snapshot(
    selection: &Selection,
    store: &mut dyn Store,
    asker: &Asker,
    verdict: &mut Verdict,
    books: &mut usize,
) -> Result<(), Failure> {
    verdict.begin_again();
    let resolved = ingest::resolve(selection, store, asker)?;
    let now = asker.exchange_now().min(asker.budget().clock().now());
    say(judge_resolution(verdict, &resolved, now));
    let taken = ingest::take_books(selection, &resolved, store, asker)?;
    *books = taken.books;
    say(verdict.failures(&taken.troubles));
    Ok(())
}
