//! The planner decides which markets are read alone and which together from the tape. Pure.
//!
//! A market read alone costs at least one request. The tape costs one request per thousand trades of the whole
//! exchange, whatever the number of its riders.

use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::job::Job;
use super::time::{CLOCK_SLACK, Timestamp};
use super::venue::TapeRate;

/// The facts beside the checkpoints that the planner uses.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    /// The clock of the exchange, as far as it is known.
    pub now: Timestamp,
    /// The trade rate of the tape.
    pub tape: TapeRate,
    /// The span below its beginning that a walk reads again.
    pub overlap: Duration,
    /// The start of a tape that was never read.
    pub tape_since: Timestamp,
}

/// Plans a pass over these markets. The checkpoint of the tape is among them if the tape was selected. The tape comes
/// first, then the stalest market, and at the end the markets that failed last time: a market that never answers must
/// not keep the others waiting.
pub fn plan(checkpoints: Vec<Checkpoint>, outlook: Outlook) -> Vec<Job> {
    let (mut tapes, markets): (Vec<_>, Vec<_>) =
        checkpoints.into_iter().partition(|row| row.scope.is_tape());
    let tape = tapes.pop();
    // A market with a walk to finish is not level, and a market that was never read has everything to read.
    let (mut level, mut alone): (Vec<_>, Vec<_>) =
        markets.into_iter().partition(|row| is_level(row, outlook));
    let riders = match &tape {
        Some(tape) => riders_of_all(tape, &mut level, outlook),
        None => riders_if_cheaper(&mut level, outlook),
    };
    alone.append(&mut level);
    let rank = |row: &Checkpoint| {
        (row.failures, row.complete_until.unwrap_or(row.first_selected_at), row.scope.clone())
    };
    alone.sort_by_cached_key(rank);
    let is_tape_read = tape.is_some() || !riders.is_empty();
    let tape = is_tape_read.then_some(Job::Tape { tape, riders });
    tape.into_iter().chain(alone.into_iter().map(Job::Market)).collect()
}

/// Whether the market can be a rider. A claim that lies in the future has to be corrected first, by a walk of its
/// own.
fn is_level(row: &Checkpoint, outlook: Outlook) -> bool {
    let is_possible = |until: Timestamp| until <= outlook.now.after(CLOCK_SLACK);
    let is_read = row.walk.is_none() && row.level_at.is_some();
    is_read && row.carried_until().is_some_and(is_possible)
}

/// The tape is read this much deeper for riders that are complete to just below its start.
const DEEPER_MAX: Duration = Duration::from_secs(30);

/// The riders if the tape is read anyway: every market that lacks nothing below the start of the tape, late trades
/// included. The tape looks for late trades no deeper than it has ever been read.
fn riders_of_all(
    tape: &Checkpoint,
    level: &mut Vec<Checkpoint>,
    outlook: Outlook,
) -> Vec<Checkpoint> {
    let begins = match &tape.walk {
        Some(open) => open.window.from(),
        None => tape.complete_until.or(Some(outlook.tape_since)),
    };
    let reread_from = |row: &Checkpoint, from: Option<Timestamp>, deeper: Duration| {
        from.map(|from| from.before(outlook.overlap + deeper)).max(row.complete_from)
    };
    let edge = match (&tape.walk, tape.complete_until) {
        (None, Some(_)) => reread_from(tape, begins, DEEPER_MAX),
        (Some(_), Some(_)) => reread_from(tape, begins, Duration::ZERO),
        (_, None) => begins,
    };
    level
        .extract_if(.., |row| edge <= reread_from(row, row.carried_until(), Duration::ZERO))
        .collect()
}

/// The freshest markets for which the tape takes fewer requests than single walks. The tape has to be read from the
/// end of the claim of the stalest rider, so each further rider makes it longer.
fn riders_if_cheaper(level: &mut Vec<Checkpoint>, outlook: Outlook) -> Vec<Checkpoint> {
    level.sort_by_key(|row| std::cmp::Reverse(row.carried_until()));
    let total = level.len();
    let mut best = (total, 0);
    for (at, row) in level.iter().enumerate() {
        let riders = at + 1;
        let from = row.carried_until().unwrap_or(outlook.now);
        let requests = tape_pages(outlook, from).saturating_add(total - riders);
        if requests <= best.0 {
            best = (requests, riders);
        }
    }
    if best.0 == total { Vec::new() } else { level.drain(..best.1).collect() }
}

/// The number of pages of the tape between `from` and now, with the overlap; at least one.
fn tape_pages(outlook: Outlook, from: Timestamp) -> usize {
    outlook.tape.pages(outlook.now.since(from) + outlook.overlap)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
