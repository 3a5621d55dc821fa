//! One signal that ends every wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct StopSignal {
    is_stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    pub(crate) fn stop(&self) {
        *self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this time, or until a stop.
    pub(crate) fn pause(&self, duration: Duration) {
        let is_stopped = self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
        // The caller's next step finds out whether the time or a stop ended the wait.
        drop(self.changed.wait_timeout_while(is_stopped, duration, |is_stopped| !*is_stopped));
    }
}
