//! What stops the database within a call: `SQLite` asks every so many of its steps whether to go on, and a
//! statement that is told no is rolled back with its transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;

/// Steps of one statement between two questions, counted over all that it is executed.
const STEPS: i32 = 20;
/// Nobody lies in wait.
const NEVER: i64 = i64::MAX;
/// Something was stopped.
const DONE: i64 = -1;

/// Lies in wait on one connection.
#[derive(Clone, Debug)]
pub struct Ambush {
    left: Arc<AtomicI64>,
}

impl Ambush {
    /// On this connection.
    pub fn on(connection: &mut Connection) -> rusqlite::Result<Ambush> {
        let left = Arc::new(AtomicI64::new(NEVER));
        let counted = Arc::clone(&left);
        let stops = move || {
            let left = counted.load(Ordering::Relaxed);
            if left == NEVER || left == DONE {
                return false;
            }
            // Once: what comes after it has to be rolled back.
            counted.store(left - 1, Ordering::Relaxed);
            left == 0
        };
        connection.progress_handler(STEPS, Some(stops))?;
        let spared = Arc::clone(&left);
        let lets_pass = move || {
            // What is being committed is not stopped any more: it would last, and nobody would know.
            if spared.load(Ordering::Relaxed) >= 0 {
                spared.store(NEVER, Ordering::Relaxed);
            }
            false
        };
        connection.commit_hook(Some(lets_pass))?;
        Ok(Ambush { left })
    }

    /// Stops what comes after so many questions.
    pub fn lay(&self, questions: i64) {
        self.left.store(questions, Ordering::Relaxed);
    }

    /// Whether it stopped anything since it was laid; it does not any more.
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
