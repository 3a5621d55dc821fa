//! A transaction whose own statements are compiled once, like all others: a pass runs a few of them each second.

use std::ops::Deref;

use rusqlite::Connection;

/// A transaction, rolled back unless it is committed.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    is_over: bool,
}

impl<'c> Transaction<'c> {
    /// Begins a transaction that is the only writer from its beginning on.
    pub(super) fn to_write(connection: &'c Connection) -> rusqlite::Result<Transaction<'c>> {
        Transaction::begin(connection, "begin immediate")
    }

    /// Begins a transaction in which all statements see one state.
    pub(super) fn to_read(connection: &'c Connection) -> rusqlite::Result<Transaction<'c>> {
        Transaction::begin(connection, "begin")
    }

    fn begin(connection: &'c Connection, sql: &str) -> rusqlite::Result<Transaction<'c>> {
        // An interrupted statement may have begun the transaction all the same.
        let begun = Transaction { connection, is_over: false };
        connection.prepare_cached(sql)?.execute([])?;
        Ok(begun)
    }

    /// Commits the transaction.
    pub(super) fn commit(mut self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("commit")?.execute([])?;
        self.is_over = true;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After some errors SQLite has rolled back by itself.
        if !self.is_over && !self.connection.is_autocommit() {
            // There is no caller to report an error to. A transaction that cannot be rolled back ends with the
            // connection.
            let _ = self
                .connection
                .prepare_cached("rollback")
                .and_then(|mut statement| statement.execute([]));
        }
    }
}
