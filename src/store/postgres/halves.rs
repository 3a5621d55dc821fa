//! Rows that are written by two connections, half by each.

use std::ops::Range;
use std::thread;

use postgres::Error;

use super::second::SecondConnection;
use super::transaction::Transaction;
use crate::domain::trade::Rejected;

/// The least number of rows of which the second connection stores a half.
const SPLIT_ROWS_MIN: usize = 16_000;

/// The result of writing rows.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The positions of the rows whose trade was new, sorted.
    pub(super) new: Vec<usize>,
    /// The events that contradict stored trades.
    pub(super) conflicting: Vec<Rejected>,
}

/// Writes rows that are sorted by id. If there are many, the second connection writes the upper half meanwhile, does
/// `along`, which belongs into the same transaction, and commits. So trades can be there before a claim about them, and
/// never after it. If the second connection fails, the first one writes all rows.
///
/// Returns the result for all rows, and the range of those that the second connection has committed.
pub(super) fn in_two<R: Sync>(
    transaction: &mut Transaction<'_>,
    second: &mut SecondConnection,
    rows: &[R],
    write: impl Fn(&mut Transaction<'_>, &[R]) -> Result<Kept, Error> + Sync,
    along: impl Fn(&mut Transaction<'_>, &[R], &Kept) -> Result<(), Error> + Sync,
) -> Result<(Kept, Range<usize>), Error> {
    if rows.len() < SPLIT_ROWS_MIN || !second.begin() {
        return Ok((write(transaction, rows)?, 0..0));
    }
    let middle = rows.len() / 2;
    let (lower, upper) = rows.split_at(middle);
    let (kept, ahead) = thread::scope(|scope| {
        let ahead = scope.spawn(|| {
            second.commit(|transaction| {
                let kept = write(transaction, upper)?;
                along(transaction, upper, &kept)?;
                Ok(kept)
            })
        });
        let kept = write(transaction, lower);
        // A panic of the other thread counts as a failure of its connection.
        (kept, ahead.join().ok().flatten())
    });
    let mut kept = kept?;
    let (others, ahead) = match ahead {
        Some(others) => (others, middle..rows.len()),
        None => (write(transaction, upper)?, 0..0),
    };
    kept.new.extend(others.new.into_iter().map(|at| at + middle));
    kept.conflicting.extend(others.conflicting);
    Ok((kept, ahead))
}
