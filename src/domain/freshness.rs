//! The freshness of a market, judged from its checkpoint alone.

use std::time::Duration;

use super::checkpoint::{Checkpoint, Claim, Correction};
use super::evidence::ExchangeClock;
use super::exchange_record::offset_us;
use super::time::{CLOCK_SLACK, Timestamp};

/// The state of a market, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Complete up to less than the SLA ago.
    Fresh,
    /// Within the SLA, but a walk is still to be finished.
    Behind,
    /// Within the SLA, but the last pass failed on it.
    Failing,
    /// Staler than its SLA: the breach that exit status 3 stands for.
    Stale,
    /// Settled and fully drained: it is not read, and it cannot breach.
    Retired,
}

impl State {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Behind => "behind",
            State::Failing => "failing",
            State::Stale => "stale",
            State::Retired => "retired",
        }
    }
}

/// The two clocks that measure staleness. They need not agree.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The clock of the exchange: `complete_until` is its time.
    pub exchange: Timestamp,
    /// Our clock: `first_selected_at` is our time.
    pub ours: Timestamp,
}

impl Now {
    /// The earlier of the two clocks. A claim by either clock is then not judged too late.
    pub fn earlier(self) -> Timestamp {
        self.exchange.min(self.ours)
    }

    /// The clocks without a request to the exchange: our clock, and the offset that the last pass recorded, in
    /// seconds.
    pub fn by_record(ours: Timestamp, offset_seconds: Option<f64>) -> Now {
        let known = ExchangeClock::remembered(None, offset_seconds.and_then(offset_us));
        Now { exchange: known.now(ours), ours }
    }
}

/// The time since the exchange last named the members of a watch, if it is longer than the SLA. The instant is
/// evidence, so the earlier of the two clocks judges it.
pub fn unresolved_for(resolved_at: Timestamp, sla: Duration, now: Now) -> Option<Duration> {
    let staleness = now.earlier().since(resolved_at);
    (staleness > sla).then_some(staleness)
}

/// The time since the market was last known complete; zero for a retired one.
///
/// A market is known up to its claim, or up to the instant of its heard silence. A claim that lies in the future (the
/// date of one answer was wrong) is not believed. A market without a credible claim
/// counts from its last completed window, or else from its first selection, so that a first pass is not a breach.
pub fn staleness(checkpoint: &Checkpoint, now: Now) -> Duration {
    let possible = |at: &Timestamp| *at <= now.exchange.after(CLOCK_SLACK);
    let claimed = checkpoint.complete_until.filter(possible);
    let checked = checkpoint.checked_until.filter(possible);
    match (checkpoint.retired_at, claimed.max(checked)) {
        (Some(_), _) => Duration::ZERO,
        (None, Some(until)) => now.exchange.since(until),
        (None, None) => {
            // A claim that cannot be true still shows that the market was read once.
            let since = checkpoint.last_success_at.unwrap_or(checkpoint.first_selected_at);
            now.ours.since(since)
        }
    }
}

/// Takes a heard silence. Returns the new `checked_until` if it is later than the known one, and a correction if the
/// recorded one lies ahead of the clock of the exchange.
pub fn check(
    checkpoint: &Checkpoint,
    heard: Option<Timestamp>,
    exchange_now: Timestamp,
) -> (Option<Timestamp>, Option<Correction>) {
    let latest = exchange_now.after(CLOCK_SLACK);
    let heard = heard.filter(|until| *until <= latest);
    let false_one = checkpoint.checked_until.filter(|until| *until > latest);
    let correction = false_one.map(|claimed| Correction {
        claim: Claim::CheckedUntil,
        claimed,
        proven: None,
        reason: "it lies ahead of the exchange's clock",
    });
    let known = checkpoint.complete_until.max(checkpoint.checked_until.filter(|at| *at <= latest));
    (heard.filter(|until| Some(*until) > known), correction)
}

/// The amount that is still to be read of a market that was never level, if known. No trade is older than
/// `first_trades`.
pub fn left(
    checkpoint: &Checkpoint,
    exchange_now: Timestamp,
    first_trades: Timestamp,
) -> Option<Duration> {
    if checkpoint.level_at.is_some() {
        return None;
    }
    let until = checkpoint.complete_until;
    let Some(walk) = &checkpoint.walk else { return until.map(|until| exchange_now.since(until)) };
    let above = exchange_now.since(walk.window.until());
    let begins = walk.window.from().unwrap_or(first_trades);
    Some(above.saturating_add(walk.low.unwrap_or(walk.window.until()).since(begins)))
}

/// Whether the first reading of a market is not finished and makes progress: the amount left became smaller within
/// the SLA.
fn is_getting_on(checkpoint: &Checkpoint, now: Now, sla: Duration) -> bool {
    checkpoint.level_at.is_none()
        && checkpoint.left.is_some_and(|left| now.ours.since(left.since) <= sla)
}

/// The state of a market. A breach outranks its explanation.
pub fn state(checkpoint: &Checkpoint, now: Now, sla: Duration) -> State {
    if checkpoint.retired_at.is_some() {
        State::Retired
    } else if staleness(checkpoint, now) > sla && !is_getting_on(checkpoint, now, sla) {
        State::Stale
    } else if checkpoint.failures > 0 {
        State::Failing
    } else if checkpoint.level_at.is_none() || checkpoint.walk.is_some() {
        State::Behind
    } else {
        State::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checkpoint::{Left, OpenWalk, Window};
    use crate::domain::ticker::Ticker;

    #[test]
    fn each_instant_is_judged_by_the_clock_it_was_told_by() {
        let at = Timestamp::from_seconds;
        let never = Checkpoint::first(Ticker::new("KX").unwrap(), at(1_000));
        let read = Checkpoint { complete_until: Some(at(4_600)), ..never.clone() };
        // The exchange is an hour ahead of us.
        let now = Now { exchange: at(4_610), ours: at(1_010) };
        assert_eq!(staleness(&never, now), Duration::from_secs(10));
        assert_eq!(staleness(&read, now), Duration::from_secs(10));
        // An answer from the future claimed tomorrow: the last reading counts instead.
        let complete_until = Some(at(90_000));
        let misdated =
            Checkpoint { complete_until, last_success_at: Some(at(900)), ..read.clone() };
        assert_eq!(staleness(&misdated, now), Duration::from_secs(110));
        // A heard silence counts as well, and is not believed from the future either.
        for (checked, stale) in [(4_607, 3), (4_500, 10), (90_000, 10)] {
            let heard = Checkpoint { checked_until: Some(at(checked)), ..read.clone() };
            assert_eq!(staleness(&heard, now), Duration::from_secs(stale), "{checked}");
        }
    }

    #[test]
    fn what_was_heard_moves_freshness_on_and_never_beyond_now() {
        let at = Timestamp::from_seconds;
        let row = |checked: Option<i64>| Checkpoint {
            complete_until: Some(at(1_000)),
            checked_until: checked.map(at),
            ..Checkpoint::first(Ticker::new("KX").unwrap(), at(0))
        };
        for (before, heard, until, is_corrected, why) in [
            (None, Some(1_100), Some(1_100), false, "silence up to a moment ago"),
            (Some(1_150), Some(1_100), None, false, "kept as a maximum"),
            (None, Some(1_000), None, false, "the claim says as much"),
            (None, None, None, false, "nothing was heard"),
            (None, Some(9_000), None, false, "from the future"),
            (Some(9_000), Some(1_100), Some(1_100), true, "noted from the future: lowered"),
            (Some(9_000), None, None, true, "also when nothing was heard"),
            (Some(1_210), None, None, false, "as far as two clocks may differ"),
            (None, Some(1_210), Some(1_210), false, "also when it was just heard"),
        ] {
            let (checked, correction) = check(&row(before), heard.map(at), at(1_200));
            assert_eq!((checked, correction.is_some()), (until.map(at), is_corrected), "{why}");
        }
    }

    #[test]
    fn a_market_that_was_never_level_is_behind_as_long_as_less_is_left() {
        let at = Timestamp::from_seconds;
        let sla = Duration::from_secs(300);
        let left = |since: i64| Some(Left { span: Duration::from_secs(9), since: at(since) });
        let first = Checkpoint::first(Ticker::new("KX").unwrap(), at(0));
        let reading = Checkpoint { complete_until: Some(at(100)), left: left(9_800), ..first };
        for (row, expected, why) in [
            (reading.clone(), State::Behind, "it got on within the SLA"),
            (Checkpoint { left: left(9_600), ..reading.clone() }, State::Stale, "it did not"),
            (Checkpoint { left: None, ..reading.clone() }, State::Stale, "nobody knows"),
            (Checkpoint { level_at: Some(at(1)), ..reading }, State::Stale, "it was level once"),
        ] {
            let now = Now::by_record(at(10_000), None);
            assert_eq!(state(&row, now, sla), expected, "{why}");
        }
    }

    #[test]
    fn what_is_left_lies_above_the_claim_and_below_what_an_open_walk_has_read() {
        let at = |second: u64| Timestamp::from_seconds(0).after(Duration::from_secs(second));
        let never = Checkpoint::first(Ticker::new("KX").unwrap(), at(1));
        let read = Checkpoint { complete_until: Some(at(700)), ..never.clone() };
        let open = |from: Option<u64>, low: Option<u64>| {
            let window = Window::new(from.map(at), at(900)).unwrap();
            let walk = OpenWalk { window, cursor: None, low: low.map(at), anchor: None };
            Checkpoint { walk: Some(walk), ..read.clone() }
        };
        for (row, seconds, why) in [
            (never.clone(), None, "nobody knows"),
            (read.clone(), Some(300), "all above the claim"),
            (open(Some(700), None), Some(300), "nothing of the window is read"),
            (open(Some(700), Some(750)), Some(150), "above it, and what the walk has not come to"),
            (open(None, Some(800)), Some(100 + 800), "down to where trading began"),
            (Checkpoint { level_at: Some(at(1)), ..read.clone() }, None, "it was level once"),
        ] {
            let left = left(&row, at(1_000), at(0)).map(|span| span.as_secs());
            assert_eq!(left, seconds, "{why}");
        }
    }

    #[test]
    fn every_state_has_a_word() {
        let states = [State::Fresh, State::Behind, State::Failing, State::Stale, State::Retired];
        let words = ["fresh", "behind", "failing", "stale", "retired"];
        assert_eq!(states.map(State::as_str), words);
    }

    #[test]
    fn one_word_says_what_matters_most() {
        let at = Timestamp::from_seconds;
        let sla = Duration::from_secs(300);
        let never = Checkpoint::first(Ticker::new("KX").unwrap(), at(1_000));
        let (complete_until, level_at) = (Some(at(1_000)), Some(at(1)));
        let read = Checkpoint { complete_until, level_at, ..never.clone() };
        let walk = OpenWalk {
            window: Window::new(None, at(1_100)).unwrap(),
            cursor: None,
            low: None,
            anchor: None,
        };
        let open = Checkpoint { walk: Some(walk), ..read.clone() };
        let failed = Checkpoint { failures: 1, ..read.clone() };
        let retired = Checkpoint { retired_at: Some(at(1)), ..read.clone() };
        for (checkpoint, now, expected, why) in [
            (&never, 1_300, State::Behind, "first selected at most an SLA ago"),
            (&never, 1_301, State::Stale, "never drained, and selected too long ago"),
            (&read, 1_300, State::Fresh, "exactly the SLA is no breach"),
            (&read, 1_301, State::Stale, "one second over"),
            (&open, 1_100, State::Behind, "an interrupted walk waits"),
            (&failed, 1_100, State::Failing, "failed within the SLA"),
            (&failed, 2_000, State::Stale, "a breach outranks its cause"),
            (&retired, 9_999_999, State::Retired, "cannot breach"),
        ] {
            let now = Now::by_record(at(now), None);
            assert_eq!(state(checkpoint, now, sla), expected, "{why}");
        }
    }
}
