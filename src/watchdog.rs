//! The last resort: a pass that exceeds its time, or does not stop on request, is ended from outside.
//!
//! A database that accepts a connection and then does not answer would hold a pass for ever, and with it the lock. So
//! would a log pipe that is never read: a thread then hangs in the middle of a line, and blocks all others that want
//! to write. Therefore the watchdog itself writes nothing, takes no lock and leaves nothing to be flushed. The process
//! may die at any instant, so there is nothing to save first.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::clock::{Clock, StopFlag};
use crate::config::{OnSignal, Patience};
use crate::exit::Exit;

/// The time that a pass may take beyond its deadline: for connecting, the last commit, the closing record.
const OVERTIME_MAX: Duration = Duration::from_secs(45);
/// The time that a pass may take after a signal: for the present batch.
const STOP_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
/// The time for the last message, by the machine's clock.
const WORDS_MAX: Duration = Duration::from_secs(1);

/// Passes signals to the program as its command needs them, and starts a watchdog where the command has a time limit.
pub fn guard(patience: Patience, stop: &StopFlag, clock: &Arc<dyn Clock>) {
    let longest = match patience {
        Patience { longest, on_signal: OnSignal::FinishBatch } => {
            heed_signals(stop);
            // A command without a limit is still ended if it does not stop in time after a signal.
            longest.unwrap_or(Duration::MAX)
        }
        Patience { longest: Some(longest), on_signal: OnSignal::EndAtOnce } => longest,
        Patience { longest: None, on_signal: OnSignal::EndAtOnce } => return,
    };
    start(longest, stop.clone(), Arc::clone(clock));
}

/// Passes SIGINT and SIGTERM to the command, which then ends.
fn heed_signals(stop: &StopFlag) {
    for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
        if let Err(error) = signal_hook::flag::register_usize(signal, stop.number(), number) {
            log::warn!("signal {number} will not be waited for: {error}");
        }
    }
}

/// Watches, in a thread of its own, until the process ends.
fn start(longest: Duration, stop: StopFlag, clock: Arc<dyn Clock>) {
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
            } else if now.saturating_sub(started_at) > longest.saturating_add(OVERTIME_MAX) {
                say_last_words();
                end(Exit::Database);
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(guard) {
        log::warn!("a pass that hangs will not be ended: {error}");
    }
}

/// Logs the reason, in a thread that may hang in it. The watchdog waits for that thread only for a moment.
fn say_last_words() {
    let (said, heard) = sync_channel(1);
    let words = move || {
        log::error!(
            "given up {} s after the time it may take: the database does not answer, or nobody reads \
             what is printed; check the database's load, locks and disk",
            OVERTIME_MAX.as_secs()
        );
        // The receiver may be gone.
        let _ = said.send(());
    };
    if thread::Builder::new().name("last words".to_owned()).spawn(words).is_ok() {
        // A message that is late or never comes is not waited for.
        let _ = heard.recv_timeout(WORDS_MAX);
    }
}

/// Ends the process without a message, a lock or a buffer: the usual exit flushes printed text, and would hang where
/// the pass hangs.
fn end(exit: Exit) -> ! {
    signal_hook::low_level::exit(i32::from(exit.code()))
}
