//! Stops the database within a call. `SQLite` asks a handler at regular intervals whether to continue; a statement
//! that the handler stops is rolled back with its transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;

/// The steps of one statement between two calls of the handler, counted over all its executions.
const STEPS: i32 = 20;
/// No stop is planned.
const NEVER: i64 = i64::MAX;
/// A statement was stopped.
const DONE: i64 = -1;

/// Stops statements on one connection.
#[derive(Clone, Debug)]
pub struct Ambush {
    left: Arc<AtomicI64>,
}

impl Ambush {
    /// Installs the handler on this connection.
    pub fn on(connection: &mut Connection) -> rusqlite::Result<Ambush> {
        let left = Arc::new(AtomicI64::new(NEVER));
        let counted = Arc::clone(&left);
        let stops = move || {
            let left = counted.load(Ordering::Relaxed);
            if left == NEVER || left == DONE {
                return false;
            }
            // It stops only once: the statements after that have to roll back.
            counted.store(left - 1, Ordering::Relaxed);
            left == 0
        };
        connection.progress_handler(STEPS, Some(stops))?;
        let spared = Arc::clone(&left);
        let lets_pass = move || {
            // A commit that has begun is not stopped: it would take effect, and the process would not know.
            if spared.load(Ordering::Relaxed) >= 0 {
                spared.store(NEVER, Ordering::Relaxed);
            }
            false
        };
        connection.commit_hook(Some(lets_pass))?;
        Ok(Ambush { left })
    }

    /// Plans a stop after so many calls of the handler.
    pub fn lay(&self, questions: i64) {
        self.left.store(questions, Ordering::Relaxed);
    }

    /// Whether a statement was stopped since the stop was planned. Removes the plan.
    pub fn lift(&self) -> bool {
        self.left.swap(NEVER, Ordering::Relaxed) == DONE
    }
}

#[cfg(test)]
mod tests {
    use kalshi_ingest::domain::time::Timestamp;
    use kalshi_ingest::kalshi::VENUE;

    use super::*;

    #[test]
    fn whatever_is_stopped_leaves_nothing_open_and_nothing_half_done() {
        let open = || Connection::open("file:/ambushed?vfs=memdb").unwrap();
        let (mut connection, look) = (open(), open());
        let ambush = Ambush::on(&mut connection).unwrap();
        let mut store = kalshi_ingest::store::on_sqlite(connection, VENUE.source);
        let now = Timestamp::from_seconds(1_800_000_000);
        store.migrate(now).unwrap();
        let runs = || {
            let sql = "select count(*) from ingestion_runs";
            look.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let (mut done, mut stopped) = (0, 0);
        for number in 0..300 {
            ambush.lay(if number % 3 == 0 { 0 } else { number % 60 });
            let begun = store.begin_run("run", now);
            let is_stopped = ambush.lift();
            stopped += i64::from(is_stopped);
            done += i64::from(begun.is_ok());
            assert_eq!(begun.is_err(), is_stopped, "{number}: {begun:?}");
            assert_eq!(runs(), done, "{number}");
            look.execute("create table if not exists free (n integer)", []).unwrap();
            look.execute("insert into free values (1)", []).unwrap();
        }
        assert!(stopped > 0 && done > 0, "{stopped} of {done}");
    }
}
