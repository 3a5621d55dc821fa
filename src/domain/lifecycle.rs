//! When to look at a market again, when it is gone, when it need not be read any more. Pure.

use std::time::Duration;

use super::checkpoint::{Checkpoint, Retirement};
use super::market::{Known, Market, Status};
use super::selection::Listed;
use super::ticker::Ticker;
use super::time::Timestamp;

/// A market that trades is looked at this often, unless a list shows it anyway.
const LOOK_LIVE: Duration = Duration::from_secs(15 * 60);
/// One that left the list of open markets, or was not found, is looked at this often at most…
const LOOK_MIN: Duration = Duration::from_secs(60);
/// …and one that takes long to settle at least this often.
const LOOK_MAX: Duration = Duration::from_secs(3_600);
/// What is over, gone or refused is left alone for so long at least…
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(3 * 60);
/// …and, being one of many, for so long at most.
const LOOK_RARELY: Duration = Duration::from_secs(7 * 86_400);
/// What ended within this time takes its turn first: it is more likely a mistake.
pub const ENDED_LATELY: Duration = Duration::from_secs(2 * 86_400);
/// So many are asked for again in one pass.
pub const AGAIN_MAX: usize = 100;
/// After trading on for so long without a trade, a market that was called settled is.
const SILENCE: Duration = Duration::from_secs(86_400);
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

/// How long to leave alone what was settled on at `began` and last looked at at `checked`: it may have
/// been a mistake. As long as it was so, so that a mistake is found out within as long as it lasted.
pub fn look_again_after(began: Timestamp, checked: Timestamp) -> Duration {
    checked.since(began).clamp(LOOK_AGAIN_MIN, LOOK_MAX)
}

/// Which of these markets that are over, or gone, are to be asked for again: those that ended lately before
/// all others, then those not looked at for longest. Nothing is over for good, but many are looked at
/// more rarely than few: all of them are one batch.
pub fn again(mut over: Vec<Known>, now: Timestamp, live_max: Duration) -> Vec<Known> {
    let are_many = over.len() >= AGAIN_MAX;
    over.retain(|known| {
        let age = now.since(known.ended_at.unwrap_or(known.checked_at));
        let rarely = if are_many { (age / 24).clamp(LOOK_MAX, LOOK_RARELY) } else { LOOK_MAX };
        let began = known.ended_at.unwrap_or(known.checked_at);
        let wait = known.checked_at.since(began).clamp(LOOK_AGAIN_MIN, rarely);
        known.status.is_over() && now.since(known.checked_at) >= wait
    });
    let rank = |known: &Known| {
        let is_old = known.ended_at.is_none_or(|at| now.since(at) > ENDED_LATELY);
        (is_old, known.checked_at, known.ticker.clone())
    };
    over.sort_by_cached_key(rank);
    // One request asks one tier: what settled so long ago has left the live one.
    let is_archived = |known: &Known| is_archived(known, now, live_max);
    let tier = over.first().map(is_archived);
    over.retain(|known| Some(is_archived(known)) == tier);
    over.truncate(AGAIN_MAX);
    over
}

/// Whether a settled market is to be looked for in the archive: the live tier holds none for longer than `live_max`.
pub fn is_archived(known: &Known, now: Timestamp, live_max: Duration) -> bool {
    known.settlement_time.is_some_and(|at| now.since(at) > live_max)
}

/// Whether a market is open now, as far as is known: a list of open ones has to show it.
pub fn is_open(known: &Known, now: Timestamp) -> bool {
    known.status == Status::Active
        && known.open_time.is_none_or(|at| at <= now)
        && known.close_time.is_some_and(|at| now < at)
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

/// Whether the market has to be retired or reopened.
///
/// It retires when it is over and everything that can have happened before its end, also late,
/// is stored; it is reopened when it trades after all.
pub fn retirement(
    known: Option<&Known>,
    listed: Listed,
    checkpoint: &Checkpoint,
    late_max: Duration,
) -> Option<Retirement> {
    let is_over = known.is_some_and(|known| known.status.is_over());
    let ended_at = known.and_then(ended_at);
    // Trades after the settlement say that it was none, until there have been none for long.
    let traded_at =
        checkpoint.last_trade_at.filter(|at| ended_at.is_some_and(|e| *at > e.after(late_max)));
    if checkpoint.retired_at.is_some() {
        let is_back = listed == Listed::Open || (known.is_some() && !is_over);
        return is_back.then_some(Retirement::Reopen);
    }
    known.filter(|_| is_over && listed == Listed::No)?;
    let silent_from = match traded_at {
        Some(at) => at.after(SILENCE),
        None => ended_at?.after(late_max),
    };
    let is_drained = checkpoint.walk.is_none()
        && checkpoint.level_at.is_some()
        && checkpoint.carried_until().is_some_and(|until| until >= silent_from);
    is_drained.then_some(Retirement::Retire)
}

/// When the market ended. A settlement that lies ahead is still to come, whatever the status says.
fn ended_at(known: &Known) -> Option<Timestamp> {
    known.settlement_time.or(known.ended_at)
}

/// Which of these retired markets trade after all, as the tape shows: the newest trade of each is later
/// than what was read of it.
pub fn traded_again(
    checkpoints: &[Checkpoint],
    newest: impl Fn(&Ticker) -> Option<Timestamp>,
) -> Vec<Ticker> {
    let back = |row: &Checkpoint| {
        let market = row.scope.market().filter(|_| row.retired_at.is_some())?;
        let is_back = newest(market).is_some_and(|at| Some(at) > row.carried_until());
        is_back.then(|| market.clone())
    };
    checkpoints.iter().filter_map(back).collect()
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
