//! How fresh a market is, judged from its checkpoint alone.

use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::time::{CLOCK_SLACK, Timestamp};

/// How a market stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Complete up to less than the SLA ago.
    Fresh,
    /// Within the SLA, but still being drained.
    Behind,
    /// Within the SLA, but the last pass failed on it.
    Failing,
    /// Staler than its SLA: the breach that exit status 3 stands for.
    Stale,
    /// Settled and fully drained: left alone, cannot breach.
    Retired,
}

impl State {
    /// As printed.
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

/// The two clocks that staleness is told by; they need not agree.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The exchange's: `complete_until` is its time.
    pub exchange: Timestamp,
    /// Ours: `first_selected_at` is our time.
    pub ours: Timestamp,
}

impl Now {
    /// The earlier of the two: what is claimed by either clock is not judged too late.
    pub fn earlier(self) -> Timestamp {
        self.exchange.min(self.ours)
    }

    /// One clock for both, where the exchange is not asked.
    pub fn by_our_clock(ours: Timestamp) -> Now {
        Now { exchange: ours, ours }
    }
}

/// How long ago the market was last known complete; zero for a retired one.
///
/// A market that was never drained counts from the moment it was first selected, so that a
/// first pass is not a breach.
pub fn staleness(checkpoint: &Checkpoint, now: Now) -> Duration {
    match (checkpoint.retired_at, checkpoint.complete_until) {
        (Some(_), _) => Duration::ZERO,
        // Usually the first is the longer; the second catches a claim made by a misdated answer.
        (None, Some(until)) => {
            let unseen = checkpoint.complete_as_of.map(|as_of| now.ours.since(as_of));
            now.exchange.since(until).max(unseen.unwrap_or_default())
        }
        (None, None) => now.ours.since(checkpoint.first_selected_at),
    }
}

/// Whether what the checkpoint claims can be true: no more can be complete than there was when it
/// was read, whatever one answer's date said.
pub fn is_possible(checkpoint: &Checkpoint, now: Now) -> bool {
    checkpoint.complete_until.zip(checkpoint.complete_as_of).is_none_or(|(until, as_of)| {
        until <= now.exchange.before(now.ours.since(as_of)).after(CLOCK_SLACK)
    })
}

/// The state of a market; a breach outranks what explains it.
pub fn state(checkpoint: &Checkpoint, now: Now, sla: Duration) -> State {
    if checkpoint.retired_at.is_some() {
        State::Retired
    } else if staleness(checkpoint, now) > sla {
        State::Stale
    } else if checkpoint.failures > 0 {
        State::Failing
    } else if checkpoint.complete_until.is_none() || checkpoint.walk.is_some() {
        State::Behind
    } else {
        State::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checkpoint::{OpenWalk, Window};
    use crate::domain::trade::Ticker;

    #[test]
    fn each_instant_is_judged_by_the_clock_it_was_told_by() {
        let at = Timestamp::from_seconds;
        let never = Checkpoint::first(Ticker::new("KX").unwrap(), at(1_000));
        let read = Checkpoint { complete_until: Some(at(4_600)), ..never.clone() };
        // The exchange is an hour ahead of us.
        let now = Now { exchange: at(4_610), ours: at(1_010) };
        assert_eq!(staleness(&never, now), Duration::from_secs(10));
        assert_eq!(staleness(&read, now), Duration::from_secs(10));
        // An answer from the future completed tomorrow: nobody has looked since.
        let complete_until = Some(at(90_000));
        let misdated = Checkpoint { complete_until, complete_as_of: Some(at(900)), ..read };
        assert_eq!(staleness(&misdated, now), Duration::from_secs(110));
    }

    #[test]
    fn no_more_can_be_complete_than_there_was_when_it_was_read() {
        let at = Timestamp::from_seconds;
        let never = Checkpoint::first(Ticker::new("KX").unwrap(), at(1_000));
        // The exchange is an hour ahead of us; read a minute ago.
        let now = Now { exchange: at(5_060), ours: at(1_460) };
        for (until, is_so, why) in [
            (4_990, true, "settled when it was read"),
            (5_005, true, "clocks tell whole seconds"),
            (5_060, false, "nobody has seen the last minute"),
            (90_000, false, "an answer from the future"),
        ] {
            let complete_until = Some(at(until));
            let row =
                Checkpoint { complete_until, complete_as_of: Some(at(1_400)), ..never.clone() };
            assert_eq!(is_possible(&row, now), is_so, "{why}");
        }
        assert!(is_possible(&never, now), "it claims nothing");
    }

    #[test]
    fn one_word_says_what_matters_most() {
        let at = Timestamp::from_seconds;
        let sla = Duration::from_secs(300);
        let never = Checkpoint::first(Ticker::new("KX").unwrap(), at(1_000));
        let read = Checkpoint { complete_until: Some(at(1_000)), ..never.clone() };
        let walk = OpenWalk {
            window: Window::new(None, at(1_100)).unwrap(),
            cursor: None,
            low: None,
            opened_at: None,
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
            let now = Now::by_our_clock(at(now));
            assert_eq!(state(checkpoint, now, sla), expected, "{why}");
        }
    }
}
