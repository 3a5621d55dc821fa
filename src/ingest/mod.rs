//! The driver: the only place where walks, exchange and store meet. It has no rule of its own.
//!
//! Readers fetch and decode on threads of their own and hand pages through a bounded channel
//! to the one writer, so that while the database commits a batch the next pages are on the
//! wire, and memory is bounded by the pages in flight.

mod absence;
mod asker;
mod belongs;
mod books;
mod close;
mod inline;
mod list;
mod lives;
mod measure;
mod reader;
mod resolve;
mod stand;
mod sync;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, PoisonError};
use std::thread;

pub use asker::{Asker, Stop};
pub use books::{Taken, take_books};
pub use close::{Closing, close};
pub use inline::Drive;
pub use lives::{Lives, lives, survey};
pub use measure::{Hours, Measured, measure};
pub use reader::{Background, Done, Ended, Source, Work};
pub use resolve::{Resolved, resolve, unknown};
pub use stand::{stand, take_back_traded};
pub use sync::{Synced, sync};

use crate::domain::batch::Ledger;
use crate::domain::evidence::Anchor;
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, Kind};
use crate::store::{RunId, Store};

/// Pages that may wait between the readers and the writer.
const PAGES_WAITING_MAX: usize = 8;

/// What a pass came to.
#[derive(Debug)]
pub struct Outcome {
    /// What it did.
    pub tally: Tally,
    /// The checkpoints as they are committed now.
    pub ledger: Ledger,
    /// How the walks ended; one that is missing was never begun.
    pub done: Vec<Done>,
    /// Markets whose walk was never begun.
    pub unread: usize,
    /// Why the readers stopped.
    pub stop: Stop,
    /// The market and the reason of the first event that could not be normalized.
    pub first_rejected: Option<String>,
    /// The first trade that was seen with other values than the stored ones, and which those are.
    pub first_conflicting: Option<String>,
    /// Why the database stopped taking rows, if it did.
    pub store_failure: Option<Failure>,
    /// Up to when each market was heard to have nothing more.
    pub heard: HashMap<Ticker, Timestamp>,
    /// The newest trade of the tape, if that was read.
    pub head: Option<Anchor>,
    /// The newest trades on the tape of markets that it was not read for.
    pub strangers: BTreeMap<Ticker, Timestamp>,
}

impl Outcome {
    /// The failure of a database that broke off, after which the rest can be done again.
    pub fn broken_off(&mut self) -> Option<Failure> {
        self.store_failure.take_if(|failure| failure.kind == Kind::StoreInterrupted)
    }
}

/// How far a pass is, to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// What was done so far.
    pub tally: &'a Tally,
    /// Markets whose walk has ended.
    pub markets_done: usize,
}

/// Does the walks in this order with `workers` readers, until all are done or the source's budget
/// is used up, and commits what they find.
pub fn pass(
    store: &mut dyn Store,
    run: RunId,
    ledger: Ledger,
    work: Vec<Work>,
    source: &Arc<Source>,
    workers: usize,
    show: &mut dyn FnMut(Sight<'_>),
) -> Outcome {
    let workers = workers.min(work.len());
    let markets: usize = work.iter().map(|work| reader::about(work).1.len()).sum();
    source.queue.lock().unwrap_or_else(PoisonError::into_inner).extend(work);
    if source.asker().drive() == Drive::Inline {
        let mut writer = writer::Writer::new(store, run, ledger, source, markets);
        inline::drive(source, workers, &mut writer, show);
        return writer.finish();
    }
    let (sender, receiver) = sync_channel(PAGES_WAITING_MAX);
    for _ in 0..workers {
        let (source, sender) = (Arc::clone(source), sender.clone());
        // Not joined: a reader that hangs in a request must not keep the process from leaving.
        let reader = thread::Builder::new().name("reader".to_owned());
        if let Err(error) = reader.spawn(move || source.work(&sender)) {
            log::warn!("there is no room for another reader: {error}");
        }
    }
    drop(sender);
    let mut writer = writer::Writer::new(store, run, ledger, source, markets);
    writer.write_all(&receiver, show);
    writer.finish()
}
