//! The parts that one worker keeps from history to history: the database with its schema, emptied each time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store;
use rusqlite::{Connection, OpenFlags};

use crate::ambush::Ambush;
use crate::database::Stores;
use crate::process::Typed;
use crate::server::{Server, Terms};

/// The parts that the processes use.
pub struct Shared {
    /// The store of the processes.
    pub stores: Stores,
    /// The command lines that were parsed before.
    pub typed: Typed,
}

/// A database in memory and the connections to it.
pub struct Bench {
    /// The parts that the processes use.
    pub shared: Shared,
    /// The connection of the checks; `None` while a history runs.
    pub look: Option<Connection>,
    /// The tables of the schema that hold data.
    tables: Vec<String>,
}

const PAGE_BYTES: i64 = 1_024;

/// The number in the name of the next database in memory: each has a name of its own.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Bench {
    /// Makes a database in memory with the schema of this build.
    pub fn new() -> Result<Bench, String> {
        Bench::with_copy().map(|(bench, _)| bench)
    }

    /// Makes a new database on a real server, which is dropped with the value. The checks read a copy in memory.
    pub fn on_server(terms: Terms) -> Result<Bench, String> {
        let (mut bench, copy) = Bench::with_copy()?;
        bench.shared.stores = Stores::Server(Arc::new(Server::new(terms, copy)?));
        Ok(bench)
    }

    /// Makes a database in memory, and another connection to it.
    fn with_copy() -> Result<(Bench, Connection), String> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("file:/simulated-{number}?vfs=memdb");
        let open = || Connection::open_with_flags(&name, OpenFlags::default());
        let mut connection = open().map_err(words)?;
        // The pages are small: each commit copies the pages that it changes, and a history has few rows.
        connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(words)?;
        let ambush = Ambush::on(&mut connection).map_err(words)?;
        let mut store = store::on_sqlite(connection, VENUE.source);
        store.migrate(Timestamp::from_seconds(0)).map_err(words)?;
        let look = open().map_err(words)?;
        let tables = tables(&look).map_err(words)?;
        let stores = Stores::InMemory(Arc::new(Mutex::new(store)), ambush);
        let shared = Shared { stores, typed: Typed::default() };
        let bench = Bench { shared, look: Some(look), tables };
        Ok((bench, open().map_err(words)?))
    }

    /// Empties the database.
    pub fn reset(&mut self) -> Result<(), String> {
        let Some(look) = &mut self.look else { return Err("a history is at work".to_owned()) };
        if let Stores::Server(server) = &self.shared.stores {
            server.clear()?;
        }
        let work = |look: &mut Connection, known: &[String]| -> rusqlite::Result<()> {
            let transaction = look.transaction()?;
            for table in tables(&transaction)? {
                if known.contains(&table) {
                    transaction.prepare_cached(&format!("delete from \"{table}\""))?.execute([])?;
                } else {
                    transaction.execute_batch(&format!("drop table \"{table}\""))?;
                }
            }
            transaction.commit()
        };
        work(look, &self.tables).map_err(words)
    }
}

/// The tables that hold data.
pub fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "select name from sqlite_schema where type = 'table' \
               and name not like 'sqlite_%' and name <> 'kalshi_ingest_migrations'";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
