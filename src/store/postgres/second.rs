//! The second connection of a store. It writes half of a big commit and commits it, while the first one writes the
//! other half: one server process alone does not keep two cores busy.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use postgres::{Client, Error};

use super::target::Target;
use super::transaction::{self, Transaction};
use super::{because, opening};
use crate::failure::{Failure, one_line};
use crate::store::engine::Access;

/// The attempt that errors name.
const WHAT: &str = "storing trades";

/// A transaction that has not begun after this time is given up. The first connection waits for it.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// A second connection, made when it is needed for the first time.
pub(super) enum SecondConnection {
    /// Not needed yet.
    Unused(Box<Target>),
    /// In use.
    Open(Box<Client>),
    /// It failed: the first connection does everything from then on.
    Failed,
}

impl SecondConnection {
    /// Begins a transaction, and connects before that if there is no connection yet. Returns whether it has begun. It
    /// is not waited for long: a pooler without a free connection lets us wait until the transaction of the first
    /// connection ends, and that one would wait for us.
    pub(super) fn begin(&mut self) -> bool {
        let known = match std::mem::replace(self, SecondConnection::Failed) {
            SecondConnection::Failed => return false,
            SecondConnection::Unused(target) => Err(target),
            SecondConnection::Open(client) => Ok(client),
        };
        let (begun, heard) = mpsc::channel();
        thread::spawn(move || {
            let client = known.or_else(|target| target.connect().map(Box::new));
            // If nobody listens any more, the connection is closed, and its transaction ends.
            let _ = begun.send(client.and_then(|mut client| {
                transaction::begin(&mut client, &opening(Access::Commit)).map_err(because(WHAT))?;
                Ok(client)
            }));
        });
        *self = match heard.recv_timeout(BEGIN_WITHIN) {
            Ok(Ok(client)) => SecondConnection::Open(client),
            Ok(Err(failure)) => SecondConnection::gone(&failure),
            Err(_) => {
                log::info!("a second connection took too long; going on with one connection");
                SecondConnection::Failed
            }
        };
        matches!(self, SecondConnection::Open(_))
    }

    fn gone(failure: &Failure) -> SecondConnection {
        log::info!("{}; going on with one connection", one_line(failure));
        SecondConnection::Failed
    }

    /// Does `work` in the begun transaction and commits it. Returns `None` if the connection failed.
    pub(super) fn commit<T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
    ) -> Option<T> {
        let SecondConnection::Open(client) = self else { return None };
        let mut transaction = Transaction::of_begun(client);
        let done = work(&mut transaction).and_then(|done| {
            transaction.commit()?;
            Ok(done)
        });
        match done.map_err(because(WHAT)) {
            Ok(done) => Some(done),
            Err(failure) => {
                *self = SecondConnection::gone(&failure);
                None
            }
        }
    }
}
