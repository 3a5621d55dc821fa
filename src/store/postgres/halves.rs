//! Rows that are written by two connections, half by each.

use std::ops::Range;
use std::thread;

use postgres::Error;

use super::second::Second;
use super::transaction::Transaction;

/// The least number of rows of which the second connection stores a half.
const SPLIT_ROWS_MIN: usize = 16_000;

/// Rows that were written in two halves.
pub(super) struct Halves<T> {
    /// The result of the lower half, or of all rows if there is no upper one.
    pub(super) lower: T,
    /// The result of the upper half.
    pub(super) upper: Option<T>,
    /// The rows that the second connection has committed.
    pub(super) ahead: Range<usize>,
    /// The position of the first row of the upper half.
    pub(super) middle: usize,
}

/// Writes rows that are sorted by id. If there are many, the second connection writes the upper half meanwhile, does
/// `along`, which belongs into the same transaction, and commits. So trades can be there before a claim about them, and
/// never after it. If the second connection fails, the first one writes all rows.
pub(super) fn in_two<R: Sync, T: Send>(
    transaction: &mut Transaction<'_>,
    second: &mut Second,
    rows: &[R],
    write: impl Fn(&mut Transaction<'_>, &[R]) -> Result<T, Error> + Sync,
    along: impl Fn(&mut Transaction<'_>, &[R], &T) -> Result<(), Error> + Sync,
) -> Result<Halves<T>, Error> {
    if rows.len() < SPLIT_ROWS_MIN || !second.begin() {
        let lower = write(transaction, rows)?;
        return Ok(Halves { lower, upper: None, ahead: 0..0, middle: rows.len() });
    }
    let middle = rows.len() / 2;
    let (lower_rows, upper_rows) = rows.split_at(middle);
    let (lower, upper) = thread::scope(|scope| {
        let ahead = scope.spawn(|| {
            second.commit(|transaction| {
                let written = write(transaction, upper_rows)?;
                along(transaction, upper_rows, &written)?;
                Ok(written)
            })
        });
        let lower = write(transaction, lower_rows);
        // A panic of the other thread counts as a failure of its connection.
        (lower, ahead.join().ok().flatten())
    });
    let lower = lower?;
    let (upper, ahead) = match upper {
        Some(upper) => (upper, middle..rows.len()),
        None => (write(transaction, upper_rows)?, 0..0),
    };
    Ok(Halves { lower, upper: Some(upper), ahead, middle })
}
