//! Where all who ask are answered: one look at the database at a time, for all of them together.
//!
//! A database can accept and then say nothing for as long as it likes. The looks are therefore done
//! by a thread of its own, and nobody waits for it longer than a probe would.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::answers::View;
use crate::clock::Clock;
use crate::domain::overview::Overview;
use crate::domain::selection::Selection;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, one_line};
use crate::store::{DatabaseUrl, Store};

/// How old an answer may be: many who ask at once cost the database one look.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// The part of its time that a database spends on being looked at, at most.
const SHARE: u32 = 10;
/// How long somebody waits for a look.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is said to whoever asks: where the database is and who we are there is for the log.
const UNREADABLE: &str = "the database cannot be read; the log of kalshi-ingest serve says why";
const SILENT: &str = "the database does not answer";

pub(super) struct Desk {
    clock: Arc<dyn Clock>,
    selection: Selection,
    board: Mutex<Board>,
    changed: Condvar,
}

#[derive(Default)]
struct Board {
    /// Somebody waits for a look.
    is_wanted: bool,
    last: Option<Look>,
}

struct Look {
    view: Arc<View>,
    /// When it was begun, and until when it will do.
    begun_at: Duration,
    fresh_until: Duration,
}

impl Desk {
    /// A desk with somebody at it, for as long as the process lives.
    pub(super) fn open(
        database: DatabaseUrl,
        selection: Selection,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Arc<Desk>> {
        let (board, changed) = (Mutex::default(), Condvar::new());
        let desk = Arc::new(Desk { clock, selection, board, changed });
        let at_work = Arc::clone(&desk);
        thread::Builder::new().name("looks".to_owned()).spawn(move || at_work.work(&database))?;
        Ok(desk)
    }

    /// What the database says now, or a moment ago; that it does not answer, if it does not.
    pub(super) fn look(&self) -> Arc<View> {
        let asked_at = self.clock.elapsed();
        let mut board = self.board();
        loop {
            let is_new = |look: &&Look| asked_at < look.fresh_until || asked_at <= look.begun_at;
            if let Some(look) = board.last.as_ref().filter(is_new) {
                return Arc::clone(&look.view);
            }
            let waited = self.clock.elapsed().saturating_sub(asked_at);
            let Some(left) = PATIENCE.checked_sub(waited).filter(|left| !left.is_zero()) else {
                let now = self.clock.now();
                return Arc::new(View::new(Err(SILENT.to_owned()), &self.selection, now));
            };
            board.is_wanted = true;
            self.changed.notify_all();
            let waiting = self.changed.wait_timeout(board, left);
            board = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whenever somebody wants it.
    fn work(&self, database: &DatabaseUrl) {
        let mut seat = Seat::default();
        loop {
            let mut board = self.board();
            while !board.is_wanted {
                board = self.changed.wait(board).unwrap_or_else(PoisonError::into_inner);
            }
            board.is_wanted = false;
            drop(board);
            let (begun_at, now) = (self.clock.elapsed(), self.clock.now());
            let overview = seat.look(database, now);
            let view = Arc::new(View::new(overview, &self.selection, now));
            let ended_at = self.clock.elapsed();
            let fresh_for = FRESH_FOR.max(ended_at.saturating_sub(begun_at) * SHARE);
            let fresh_until = ended_at + fresh_for;
            self.board().last = Some(Look { view, begun_at, fresh_until });
            self.changed.notify_all();
        }
    }
}

#[derive(Default)]
struct Seat {
    store: Option<Box<dyn Store>>,
    /// What was wrong the last time: told when it changes.
    trouble: Option<String>,
}

impl Seat {
    fn look(&mut self, database: &DatabaseUrl, now: Timestamp) -> Result<Overview, String> {
        match self.read(database, now) {
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

    fn read(&mut self, database: &DatabaseUrl, now: Timestamp) -> Result<Overview, Failure> {
        // A connection that was idle for long may be gone without a word, and one in an unknown
        // state is not asked again.
        if let Some(mut store) = self.store.take()
            && let Ok(overview) = store.overview(now)
        {
            self.store = Some(store);
            return Ok(overview);
        }
        let mut store = database.open_to_read()?;
        store.check_schema()?;
        let overview = store.overview(now)?;
        self.store = Some(store);
        Ok(overview)
    }
}
