//! Connects walks, exchange and store: it carries out the decisions of `driver` and has no rule of its own.
//!
//! Either `threads` carry out a pass, or one thread does, in `inline`.

mod absence;
mod anew;
mod asker;
mod belongs;
mod books;
mod broken;
mod candles;
mod close;
mod inline;
mod list;
mod lifespans;
mod exchange_volumes;
mod resolve;
mod said;
mod source;
mod retire;
mod sync;
mod threads;

use std::sync::Arc;

pub use anew::{Anew, describe};
pub use asker::{Asker, moment};
pub use books::{Taken, take_books};
pub use candles::{Answer, CandleSpan, Route, Unanswered, each_candles};
pub use close::{Closing, close};
pub use exchange_volumes::{ExchangeVolumes, exchange_volumes};
pub use lifespans::{Lifespans, lifespans, list_without_storing};
pub use resolve::{Resolved, resolve, unknown};
pub use retire::{retire_or_reopen, take_back_traded};
pub use source::Source;
pub use sync::{Synced, sync};

pub use crate::driver::{Done, Drive, Ended, Outcome, PassProgress, Stop};

use crate::domain::batch::{Commit, Committed, Receipt};
use crate::domain::job::Job;
use crate::driver::Writing;
use crate::failure::Failure;
use crate::store::{RunId, Store};

/// Does the jobs in this order, `workers` at once, and commits the results. It ends when all jobs are done or the
/// source's budget is used up.
pub fn read_all(
    store: &mut dyn Store,
    run: RunId,
    committed: Committed,
    jobs: Vec<Job>,
    source: &Arc<Source>,
    workers: usize,
    show: &mut dyn FnMut(PassProgress<'_>),
) -> Outcome {
    let markets = jobs.iter().map(Job::market_count).sum();
    source.enqueue(jobs);
    let writing = Writing::new(run, committed, markets);
    match source.asker().drive() {
        Drive::Threads => threads::read_all(store, run, writing, source, workers, show),
        Drive::Inline => inline::read_all(store, run, writing, source, workers, show),
    }
}

/// Has the store commit this, and returns the receipt.
fn committed(store: &mut dyn Store, run: RunId, commit: &Commit) -> Result<Receipt, Failure> {
    let receipt = store.commit(run, commit)?;
    said::tell_commit(commit, &receipt);
    Ok(receipt)
}
