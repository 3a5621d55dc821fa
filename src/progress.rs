//! A progress bar on a terminal, and nothing elsewhere.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::ingest::PassProgress;

/// The bar on the screen. Log lines are printed above it and not into it.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The bar of a pass: markets done, trades stored. `None` where it would be invisible, because a hidden bar also has a
/// thread that ticks. See docs/upstream.md#indicatif-the-thread-of-a-hidden-bar
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// Starts a bar for a pass over `markets` markets. There is none unless stderr is a terminal, there is a backlog
    /// and the user did not ask for quiet.
    pub fn start(markets: usize, is_wanted: bool) -> Bar {
        if !is_wanted || !io::stderr().is_terminal() {
            return Bar(None);
        }
        let bar = ProgressBar::new(u64::try_from(markets).unwrap_or(u64::MAX));
        bar.enable_steady_tick(Duration::from_millis(200));
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        let bar = Bar(Some(bar));
        bar.looks_like("{bar:24} {pos}/{len} markets, {msg}, {elapsed}");
        bar
    }

    fn looks_like(&self, template: &str) {
        // The template is a constant; if it were wrong, the plain bar would be enough.
        if let (Some(bar), Ok(style)) = (&self.0, ProgressStyle::with_template(template)) {
            bar.set_style(style);
        }
    }

    fn set(&self, done: usize, message: impl FnOnce() -> String) {
        let Some(bar) = &self.0 else { return };
        bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        bar.set_message(message());
    }

    /// Updates the bar.
    pub fn show(&self, pass_progress: PassProgress<'_>) {
        let PassProgress { tally, markets_done } = pass_progress;
        self.set(markets_done, || {
            let trades = tally.events_ingested + tally.events_duplicate;
            format!("{trades} trades, {} pages", tally.pages)
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let Some(bar) = &self.0 else { return };
        bar.finish_and_clear();
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Standard error, with the bar hidden while a line is written.
pub struct AboveTheBar;

impl Write for AboveTheBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match shown {
            Some(bar) => bar.suspend(|| io::stderr().write_all(bytes))?,
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The bar of a backfill: slices done, trades stored, time left. Without a terminal it is one line each minute.
pub struct SliceBar {
    bar: Bar,
    total: usize,
    started: Instant,
    said: Cell<Instant>,
}

/// The time between two lines where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(60);

impl SliceBar {
    /// Starts a bar for `total` slices.
    pub fn start(total: usize) -> SliceBar {
        let bar = Bar::start(total, log::log_enabled!(log::Level::Info));
        bar.looks_like("{bar:24} {pos}/{len} slices, {msg}, {elapsed}, {eta} left");
        let now = Instant::now();
        SliceBar { bar, total, started: now, said: Cell::new(now) }
    }

    /// Updates the bar.
    pub fn show(&self, pass_progress: PassProgress<'_>) {
        let PassProgress { tally, markets_done } = pass_progress;
        let trades = tally.events_ingested + tally.events_duplicate;
        let took = self.started.elapsed();
        let rate = u128::from(trades) * 1_000 / took.as_millis().max(1);
        self.bar.set(markets_done, || format!("{trades} trades, {rate} a second"));
        if !io::stderr().is_terminal() && self.said.get().elapsed() >= LINE_EVERY {
            self.said.set(Instant::now());
            let left = match u32::try_from(markets_done) {
                Ok(done @ 1..) => {
                    let rest = u32::try_from(self.total - markets_done).unwrap_or(u32::MAX);
                    format!("some {} s left", (took / done * rest).as_secs())
                }
                _ => "time left unknown".to_owned(),
            };
            log::info!(
                "{markets_done} of {} slices done, {trades} trades, {rate} a second, {left}",
                self.total
            );
        }
    }
}
