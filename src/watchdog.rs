//! The last resort: a pass that outlives its time, or a request to stop, is ended from outside.
//!
//! A database that accepts a connection and then says nothing would hold a pass for ever, and
//! with it the lock. So would a pipe for the log that nobody reads: a thread hangs in the middle of
//! a line then, and holds whatever else wants to write. Therefore the watchdog itself writes
//! nothing, takes no lock and leaves nothing to be flushed. Death at any instant is safe, so
//! there is nothing to save first.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::clock::{Clock, StopFlag};
use crate::exit::Exit;

/// What a pass may take beyond its deadline: connecting, the last commit, the closing record.
const OVERTIME_MAX: Duration = Duration::from_secs(45);
/// What it may take after a signal: the batch in hand.
const STOP_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
/// What its last words may take, by the machine's clock.
const WORDS_MAX: Duration = Duration::from_secs(1);

/// Stands by, in a thread of its own, until the process ends.
pub fn start(deadline: Duration, stop: StopFlag, clock: Arc<dyn Clock>) {
    let guard = move || {
        let started_at = clock.elapsed();
        let mut asked_at = None;
        loop {
            clock.poll(POLL);
            let now = clock.elapsed();
            if let Some(signal) = stop.signal() {
                if now.saturating_sub(*asked_at.get_or_insert(now)) > STOP_MAX {
                    end(Exit::of_signal(signal));
                }
            } else if now.saturating_sub(started_at) > deadline.saturating_add(OVERTIME_MAX) {
                say_last_words();
                end(Exit::Database);
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(guard) {
        log::warn!("a pass that hangs will not be ended: {error}");
    }
}

/// Says why, in a thread that may hang in it; nobody waits for that thread longer than a moment.
fn say_last_words() {
    let (said, heard) = sync_channel(1);
    let words = move || {
        log::error!(
            "given up {} s after the time it may take: the database does not answer, or nobody reads \
             what is printed; check the database's load, locks and disk",
            OVERTIME_MAX.as_secs()
        );
        // Nobody may be waiting any more.
        let _ = said.send(());
    };
    if thread::Builder::new().name("last words".to_owned()).spawn(words).is_ok() {
        // Too late or never: it is not waited for.
        let _ = heard.recv_timeout(WORDS_MAX);
    }
}

/// Without a word, a lock or a buffer: the usual way to exit flushes what is printed, and would hang
/// where the pass hangs.
fn end(exit: Exit) -> ! {
    signal_hook::low_level::exit(i32::from(exit.code()))
}
