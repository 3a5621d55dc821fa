//! Decides when to look at a market again, when it is gone, and when it need not be read any more. Pure.

use std::time::Duration;

use super::checkpoint::{Checkpoint, Retirement};
use super::market::{Known, Market, Status};
use super::selection::Listed;
use super::ticker::Ticker;
use super::time::Timestamp;

/// The period of looks at a market that trades, unless a list shows the market anyway.
const LOOK_LIVE: Duration = Duration::from_secs(15 * 60);
/// The shortest wait between looks at a market that left the list of open markets or was not found.
const LOOK_MIN: Duration = Duration::from_secs(60);
/// The longest wait between looks at a market that takes long to settle.
const LOOK_MAX: Duration = Duration::from_secs(3_600);
/// The shortest wait before a market or a name that is over, gone or refused is asked for again.
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(3 * 60);
/// The longest wait before a market that is over is asked for again, if there are many of them.
const LOOK_RARELY: Duration = Duration::from_secs(7 * 86_400);
/// Markets that ended within this time are asked for first: their end is more likely a mistake.
pub const ENDED_LATELY: Duration = Duration::from_secs(2 * 86_400);
/// The number of markets that are asked for again in one pass.
pub const AGAIN_MAX: usize = 100;
/// If a market traded after its settlement, the settlement is believed only after this long without a trade.
const SILENCE: Duration = Duration::from_secs(86_400);
/// The time that a market has to be missing before that is believed: lists are cached, and a market may be unknown
/// for a moment.
const MISSING_MIN: Duration = Duration::from_secs(5 * 60);

/// Whether a selected market has to be asked for by name.
///
/// A market that was never seen is asked for at once, and a market that is over never again. After its close a market
/// is asked for ever more rarely. `is_departed` says that the market has left a list of open markets that was just
/// read.
pub fn is_due(known: Option<&Known>, listed: Listed, is_departed: bool, now: Timestamp) -> bool {
    if listed == Listed::Open {
        return false;
    }
    let Some(known) = known else { return true };
    let usual = if is_departed { LOOK_MIN } else { LOOK_LIVE };
    is_due_after_list(known, now)
        || (!known.status.is_over() && now.since(known.checked_at) >= usual)
}

/// Whether a market has to be asked for by name although everything that the exchange lists as changed was just read.
/// A silent change is on no such list, and a late settlement must not depend on one list.
pub fn is_due_after_list(known: &Known, now: Timestamp) -> bool {
    if known.status.is_over() {
        return false;
    }
    // The change that the market waits for. An answer from a cache, or a clock that is ahead, may have been too early
    // for it.
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

/// Whether the market opened or closed since the last look. The exchange lists no such change.
fn is_silently_changed(known: &Known, now: Timestamp) -> bool {
    let has_passed =
        |at: Option<Timestamp>| at.is_some_and(|at| known.checked_at < at && at <= now);
    match known.status {
        Status::Initialized => has_passed(known.open_time),
        Status::Active | Status::Inactive => has_passed(known.close_time),
        _ => false,
    }
}

/// The wait before a decision is checked again, because it may have been a mistake. It was made at `began` and last
/// checked at `checked`. The wait is the time between the two, within limits, so a mistake lasts about twice that time
/// at most.
pub fn look_again_after(began: Timestamp, checked: Timestamp) -> Duration {
    checked.since(began).clamp(LOOK_AGAIN_MIN, LOOK_MAX)
}

/// The markets that are over, or gone, and are to be asked for again: first those that ended lately, then those not
/// looked at for longest. No end is final, but many markets are asked for more rarely than few, because all of them
/// are one batch.
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
    // One request asks one tier, and a market that settled long ago has left the live tier.
    let is_archived = |known: &Known| is_archived(known, now, live_max);
    let tier = over.first().map(is_archived);
    over.retain(|known| Some(is_archived(known)) == tier);
    over.truncate(AGAIN_MAX);
    over
}

/// Whether a settled market is to be looked for in the archive: the live tier holds no market for longer than
/// `live_max`.
pub fn is_archived(known: &Known, now: Timestamp, live_max: Duration) -> bool {
    known.settlement_time.is_some_and(|at| now.since(at) > live_max)
}

/// Whether a market is open now, as far as is known. A list of open markets has to show it then.
pub fn is_open(known: &Known, now: Timestamp) -> bool {
    known.status == Status::Active
        && known.open_time.is_none_or(|at| at <= now)
        && known.close_time.is_some_and(|at| now < at)
}

/// Whether a market that was not found now is gone for good.
pub fn is_gone(known: &Known, now: Timestamp) -> bool {
    known.missing_since.is_some_and(|since| now.since(since) >= MISSING_MIN)
}

/// Whether a sighting changes a value that a pass decides by, or one that belongs to the history.
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
/// It retires when it is over and every trade before its end, late ones included, is stored. It is reopened when it
/// trades again.
pub fn retirement(
    known: Option<&Known>,
    listed: Listed,
    checkpoint: &Checkpoint,
    late_max: Duration,
) -> Option<Retirement> {
    let is_over = known.is_some_and(|known| known.status.is_over());
    let ended_at = known.and_then(ended_at);
    // A trade after the settlement contradicts the settlement, until there was no trade for a long time.
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

/// The end of the market. A settlement time in the future is still to come, whatever the status says.
fn ended_at(known: &Known) -> Option<Timestamp> {
    known.settlement_time.or(known.ended_at)
}

/// The retired markets that trade again, as the tape shows: the newest trade of each is later than the trades that
/// were read of it.
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
