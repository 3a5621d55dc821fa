//! The last overview of the database, shared by all requests. One thread reads the database, one read at a time.
//!
//! A database can accept a connection and then not answer. A request therefore waits for the thread, not for the
//! database, and no longer than a probe would wait.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::answers::View;
use crate::clock::Clock;
use crate::domain::overview::Overview;
use crate::domain::selection::Selection;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, one_line};
use crate::store::Store;

/// The age up to which an overview is used again: many requests at once cost the database one read.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// The database spends at most one part in this many of its time on overviews.
const SHARE: u32 = 10;
/// The time for which a request waits for a read.
const PATIENCE: Duration = Duration::from_secs(3);
/// The error for all clients. Only the log names the database and the user.
const UNREADABLE: &str = "the database cannot be read; the log of kalshi-ingest serve says why";
const SILENT: &str = "the database does not answer";

/// Opens the database for reading.
type Open<'a> = &'a dyn Fn() -> Result<Box<dyn Store>, Failure>;

pub(super) struct OverviewCache {
    clock: Arc<dyn Clock>,
    selection: Selection,
    shared: Mutex<Shared>,
    changed: Condvar,
}

#[derive(Default)]
struct Shared {
    /// Whether a request waits for a read.
    is_wanted: bool,
    last: Option<Cached>,
}

struct Cached {
    view: Arc<View>,
    /// The beginning of the read, and the end of the time for which its answer is used.
    begun_at: Duration,
    fresh_until: Duration,
}

impl OverviewCache {
    /// Starts the thread that reads until the process ends.
    pub(super) fn start(
        open: impl Fn() -> Result<Box<dyn Store>, Failure> + Send + 'static,
        selection: Selection,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Arc<OverviewCache>> {
        let (shared, changed) = (Mutex::default(), Condvar::new());
        let cache = Arc::new(OverviewCache { clock, selection, shared, changed });
        let at_work = Arc::clone(&cache);
        thread::Builder::new().name("overviews".to_owned()).spawn(move || at_work.work(&open))?;
        Ok(cache)
    }

    /// The present overview, or one of a moment ago; an error if the database does not answer.
    pub(super) fn view(&self) -> Arc<View> {
        let asked_at = self.clock.elapsed();
        let mut shared = self.shared();
        loop {
            let is_new = |last: &&Cached| asked_at < last.fresh_until || asked_at <= last.begun_at;
            if let Some(last) = shared.last.as_ref().filter(is_new) {
                return Arc::clone(&last.view);
            }
            let waited = self.clock.elapsed().saturating_sub(asked_at);
            let Some(left) = PATIENCE.checked_sub(waited).filter(|left| !left.is_zero()) else {
                let now = self.clock.now();
                return Arc::new(View::new(Err(SILENT.to_owned()), &self.selection, now));
            };
            shared.is_wanted = true;
            self.changed.notify_all();
            let waiting = self.changed.wait_timeout(shared, left);
            shared = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads whenever a request waits for it.
    fn work(&self, open: Open<'_>) {
        let mut reader = Reader::default();
        loop {
            let mut shared = self.shared();
            while !shared.is_wanted {
                shared = self.changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
            }
            shared.is_wanted = false;
            drop(shared);
            let (begun_at, now) = (self.clock.elapsed(), self.clock.now());
            let overview = reader.overview(open, now);
            let view = Arc::new(View::new(overview, &self.selection, now));
            let ended_at = self.clock.elapsed();
            let fresh_for = FRESH_FOR.max(ended_at.saturating_sub(begun_at) * SHARE);
            let fresh_until = ended_at + fresh_for;
            self.shared().last = Some(Cached { view, begun_at, fresh_until });
            self.changed.notify_all();
        }
    }
}

#[derive(Default)]
struct Reader {
    store: Option<Box<dyn Store>>,
    /// The last error; it is logged when it changes.
    trouble: Option<String>,
}

impl Reader {
    fn overview(&mut self, open: Open<'_>, now: Timestamp) -> Result<Overview, String> {
        match self.read(open, now) {
            Ok(overview) => {
                if self.trouble.take().is_some() {
                    log::info!("the database can be read again");
                }
                Ok(overview)
            }
            Err(failure) => {
                let words = one_line(&failure);
                if self.trouble.as_ref() != Some(&words) {
                    log::error!("{words}");
                }
                self.trouble = Some(words);
                Err(UNREADABLE.to_owned())
            }
        }
    }

    fn read(&mut self, open: Open<'_>, now: Timestamp) -> Result<Overview, Failure> {
        // A connection that was idle for long may be closed without notice, and a connection in an unknown state is
        // not used again.
        if let Some(mut store) = self.store.take()
            && let Ok(overview) = store.overview(now)
        {
            self.store = Some(store);
            return Ok(overview);
        }
        let mut store = open()?;
        store.check_schema()?;
        let overview = store.overview(now)?;
        self.store = Some(store);
        Ok(overview)
    }
}
