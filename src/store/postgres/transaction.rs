//! One transaction, begun together with what it needs of the server.
//!
//! Whoever runs a server, a database or a role can give defaults to everybody: an isolation level,
//! read only, limits of time. Each of our transactions says for itself what it needs, and says it
//! locally: behind a pooler the next one to get the connection is somebody else.

use postgres::types::{ToSql, Type};
use postgres::{Client, Error, Row};

/// The values of a statement, with their types.
pub(super) type Parameters<'p> = [(&'p (dyn ToSql + Sync), Type)];

/// What a transaction does, as far as the server has to know it at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each statement sees what was committed before it: who waited for a lock sees what was
    /// written meanwhile, and a row that somebody else has just written is no reason to give up.
    Write,
    /// The same for what only asks; nobody needs the right to write for it.
    Read,
    /// All statements see the same instant.
    ReadAsOne,
}

impl Mode {
    fn words(self) -> &'static str {
        match self {
            Mode::Write => "isolation level read committed read write not deferrable",
            Mode::Read => "isolation level read committed read only not deferrable",
            Mode::ReadAsOne => "isolation level repeatable read read only not deferrable",
        }
    }
}

/// PostgreSQL 17 ends whole transactions; where it does not know the setting, nothing is set.
const NO_TRANSACTION_TIMEOUT: &str = "select set_config('transaction_timeout', '0', true)
    where current_setting('transaction_timeout', true) is not null";

/// What begins a transaction with these limits, to be sent in one piece.
pub(super) fn beginning(mode: Mode, limits: &str) -> String {
    format!("begin {}; {limits}; {NO_TRANSACTION_TIMEOUT}", mode.words())
}

/// A transaction that is open; given up unless it is committed.
pub(super) struct Transaction<'a> {
    client: &'a mut Client,
    is_open: bool,
}

/// Begins one, in one question to the server; what fails half-way is given up.
pub(super) fn begin(client: &mut Client, beginning: &str) -> Result<(), Error> {
    let mut transaction = Transaction::of_begun(client);
    transaction.batch_execute(beginning)?;
    transaction.is_open = false;
    Ok(())
}

impl<'a> Transaction<'a> {
    /// The transaction that was begun on this connection.
    pub(super) fn of_begun(client: &'a mut Client) -> Transaction<'a> {
        Transaction { client, is_open: true }
    }

    pub(super) fn query_typed(
        &mut self,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        self.client.query_typed(sql, parameters)
    }

    pub(super) fn query_typed_one(
        &mut self,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Row, Error> {
        self.client.query_typed_one(sql, parameters)
    }

    pub(super) fn execute_typed(
        &mut self,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> Result<u64, Error> {
        self.client.execute_typed(sql, parameters)
    }

    pub(super) fn batch_execute(&mut self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql)
    }

    /// Has all that it wrote happen together.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.client.batch_execute("COMMIT")
    }

    /// Leaves it where there is nothing to be kept together: it only read, or wrote once.
    pub(super) fn leave(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.client.batch_execute("END")
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open && !self.client.is_closed() {
            // Where this fails, the connection is gone and the transaction with it.
            let _ = self.client.batch_execute("rollback");
        }
    }
}
