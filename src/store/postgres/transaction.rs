//! One transaction, begun together with its settings on the server.
//!
//! The administrator of a server, a database or a role can set defaults for everybody: an isolation level, read only,
//! time limits. Therefore each of our transactions sets everything that it needs, and sets it locally: behind a
//! pooler, another client gets the connection next.

use postgres::types::{ToSql, Type};
use postgres::{Client, Error, Row};

/// A value of a statement, with its type.
pub(super) type Parameter<'p> = (&'p (dyn ToSql + Sync), Type);

/// The values of a statement.
pub(super) type Parameters<'p> = [Parameter<'p>];

/// The kind of a transaction, as far as the server has to know it at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A transaction that writes. Each statement sees the rows committed before it: after a wait for a lock it sees
    /// the rows written meanwhile, and a row just written by another transaction is no reason to fail.
    Write,
    /// A transaction that only reads; it needs no right to write.
    Read,
    /// A transaction in which all statements see the same instant.
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

/// PostgreSQL 17 can end whole transactions after a time. Where the setting is unknown, nothing is set.
const NO_TRANSACTION_TIMEOUT: &str = "select set_config('transaction_timeout', '0', true)
    where current_setting('transaction_timeout', true) is not null";

/// The statements that begin a transaction with these limits, sent together.
pub(super) fn beginning(mode: Mode, limits: &str) -> String {
    format!("begin {}; {limits}; {NO_TRANSACTION_TIMEOUT}", mode.words())
}

/// An open transaction, rolled back unless it is committed.
pub(super) struct Transaction<'a> {
    client: &'a mut Client,
    is_open: bool,
}

/// Begins a transaction in one round trip. If a part fails, the transaction is rolled back.
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

    /// The connection, for a COPY inside the transaction.
    pub(super) fn client(&mut self) -> &mut Client {
        self.client
    }

    /// Commits the transaction.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.client.batch_execute("COMMIT")
    }

    /// Ends a transaction that only read, or wrote with one statement; it has nothing to commit together.
    pub(super) fn leave(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.client.batch_execute("END")
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open && !self.client.is_closed() {
            // Where this fails, the connection is closed, and the transaction ends with it.
            let _ = self.client.batch_execute("rollback");
        }
    }
}
