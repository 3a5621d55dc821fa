//! When to look at a market again, when it is gone, when it need not be read any more. Pure.

use std::time::Duration;

use super::checkpoint::{Checkpoint, Standing};
use super::market::{Known, Market, Status};
use super::selection::Listed;
use super::time::Timestamp;

/// A market that trades is looked at this often, unless a list shows it anyway.
const LOOK_LIVE: Duration = Duration::from_secs(15 * 60);
/// One that left the list of open markets, or was not found, is looked at this often at most…
const LOOK_MIN: Duration = Duration::from_secs(60);
/// …and one that takes long to settle at least this often.
const LOOK_MAX: Duration = Duration::from_secs(3_600);
/// How long a market has to stay unknown before that is believed: lists are cached, and a market may
/// be unknown for a moment.
const MISSING_MIN: Duration = Duration::from_secs(5 * 60);

/// Whether a selected market has to be asked for by name.
///
/// One never seen: at once. One that is over: never again. One past its close: the longer
/// that is ago, the more rarely. `is_departed` says that a list of open markets was just
/// read in which it had stood.
pub fn is_due(known: Option<&Known>, listed: Listed, is_departed: bool, now: Timestamp) -> bool {
    if listed == Listed::Open {
        return false;
    }
    let Some(known) = known else { return true };
    let usual = if is_departed { LOOK_MIN } else { LOOK_LIVE };
    is_due_after_list(known, now)
        || (!known.status.is_over() && now.since(known.checked_at) >= usual)
}

/// Whether a market has to be asked for by name although everything that the exchange lists as
/// changed was just read: what happens silently is on no such list, and late settlements are
/// not left to one.
pub fn is_due_after_list(known: &Known, now: Timestamp) -> bool {
    if known.status.is_over() {
        return false;
    }
    // What it waits for: an answer from a cache, or a clock that is ahead, may have been too early.
    let turn = match known.status {
        Status::Initialized => known.open_time.or(known.close_time),
        _ => known.close_time,
    };
    let since_turn = turn.filter(|turn| *turn <= now).map(|turn| now.since(turn));
    let wait = match (known.missing_since, since_turn) {
        (Some(_), _) => LOOK_MIN,
        (None, Some(past)) => (past / 10).clamp(LOOK_MIN, LOOK_MAX),
        (None, None) => Duration::MAX,
    };
    now.since(known.checked_at) >= wait || is_silently_changed(known, now)
}

/// Markets open and close without a word: whether that happened since the last look.
fn is_silently_changed(known: &Known, now: Timestamp) -> bool {
    let has_passed =
        |at: Option<Timestamp>| at.is_some_and(|at| known.checked_at < at && at <= now);
    match known.status {
        Status::Initialized => has_passed(known.open_time),
        Status::Active | Status::Inactive => has_passed(known.close_time),
        _ => false,
    }
}

/// Whether a market that was not found now is gone for good.
pub fn is_gone(known: &Known, now: Timestamp) -> bool {
    known.missing_since.is_some_and(|since| now.since(since) >= MISSING_MIN)
}

/// Whether a sighting says anything that a pass would decide by, or a reader of the history would miss.
pub fn is_news(known: Option<&Known>, market: &Market) -> bool {
    known.is_none_or(|known| {
        known.status != market.status
            || known.open_time != market.open_time
            || known.close_time != market.close_time
            || known.settlement_time != market.settlement_time
            || known.missing_since.is_some()
            || (!known.has_series && market.series.is_some())
    })
}

/// Whether the market's checkpoint has to change its standing.
///
/// It retires when it is over and everything that can have happened before its end, also late,
/// is stored; it is reopened when it trades after all.
pub fn standing(
    known: Option<&Known>,
    listed: Listed,
    checkpoint: &Checkpoint,
    late_max: Duration,
) -> Option<Standing> {
    let is_over = known.is_some_and(|known| known.status.is_over());
    if checkpoint.retired_at.is_some() {
        let is_back = listed == Listed::Open || (known.is_some() && !is_over);
        return is_back.then_some(Standing::Reopened);
    }
    let known = known.filter(|_| is_over && listed == Listed::No)?;
    let ended_at = match (known.ended_at, known.settlement_time) {
        (Some(seen), Some(settled)) => seen.min(settled),
        (seen, settled) => seen.or(settled)?,
    };
    let is_drained = checkpoint.walk.is_none()
        && checkpoint.carried_until().is_some_and(|until| until >= ended_at.after(late_max));
    is_drained.then_some(Standing::Retired)
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
