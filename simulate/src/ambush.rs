//! What stops the database within a call: `SQLite` asks every so many of its steps whether to go on, and a
//! statement that is told no is rolled back with its transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;

/// Steps of one statement between two questions, counted over all that it is executed.
const STEPS: i32 = 20;
/// Nobody lies in wait.
const NEVER: i64 = i64::MAX;

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
            if left == NEVER {
                return false;
            }
            counted.store(left.saturating_sub(1), Ordering::Relaxed);
            left <= 0
        };
        connection.progress_handler(STEPS, Some(stops))?;
        Ok(Ambush { left })
    }

    /// Stops what comes after so many questions.
    pub fn lay(&self, questions: i64) {
        self.left.store(questions, Ordering::Relaxed);
    }

    /// Whether it stopped anything since it was laid; it does not any more.
    pub fn lift(&self) -> bool {
        self.left.swap(NEVER, Ordering::Relaxed) < 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stopped_is_rolled_back() {
        let mut connection = Connection::open_in_memory().unwrap();
        let ambush = Ambush::on(&mut connection).unwrap();
        connection.execute_batch("create table t (n integer)").unwrap();
        let mut write = || {
            let transaction = connection.transaction()?;
            for n in 0..100 {
                transaction.prepare_cached("insert into t values (?1)")?.execute([n])?;
            }
            transaction.commit()
        };
        ambush.lay(3);
        assert!(write().is_err());
        assert!(ambush.lift());
        ambush.lay(1_000_000);
        write().unwrap();
        assert!(!ambush.lift());
        let count: i64 =
            connection.query_row("select count(*) from t", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 100);
    }
}
