//! The faults of an answer, and the plan that gives them to trades requests. The plan for other requests goes by path,
//! see `path_faults`.

use std::collections::VecDeque;

use crate::random::SplitMix64;

/// One fault of a request. Those about rows and cursors concern the trades endpoints only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No fault: a correct answer.
    None,
    /// This status, from 400 on; the body is HTML from 500 on and a JSON error below.
    Status(u16),
    /// 429 as the exchange sends it, with or without the header that it does not send.
    TooMany {
        /// The `Retry-After` header.
        retry_after: Option<RetryAfter>,
    },
    /// This status, from 500 on, with a header that asks to wait for a while.
    LeaveAlone {
        /// The status, such as 503.
        status: u16,
        /// The `Retry-After` header.
        retry_after: RetryAfter,
    },
    /// The connection is reset (RST) after the request, before any byte of an answer.
    Reset,
    /// The connection is closed in order (FIN) after the request, before any byte of an answer.
    Closed,
    /// The connection is reset in the middle of the answer's headers.
    ResetMidHeaders,
    /// A correct answer whose body ends half-way; then the connection is closed.
    Truncated,
    /// 200 with bytes that are neither JSON nor UTF-8.
    Garbage,
    /// 200 with valid JSON that has no `trades`, and no other list that was asked for.
    NotTrades,
    /// A correct answer whose body arrives slowly.
    SlowBody {
        /// The number of bytes between two pauses; 0 counts as 1.
        bytes_per_step: usize,
        /// The length of a pause, in milliseconds.
        pause_ms: u64,
    },
    /// No answer for this long, then the connection is closed.
    Hang {
        /// The time without an answer, in milliseconds.
        ms: u64,
    },
    /// 200 with a body of this many bytes, valid JSON from 38 bytes on.
    Huge {
        /// The length of the body, in bytes.
        bytes: u64,
    },
    /// A correct page whose cursor is the one of the request, so that the walk goes in a circle. A request without a
    /// cursor gets the correct cursor.
    RepeatCursor,
    /// 400 if the request has a cursor; a correct answer if not.
    RefusedCursor,
    /// The first page, whatever cursor the request has.
    IgnoredCursor,
    /// A correct page with each row twice, one after the other.
    DuplicatedRows,
    /// A correct page with its rows shuffled.
    Unordered,
    /// A page without rows but with a cursor; the next page has the missing rows. Each such cursor differs from all
    /// others. For trades, markets and events.
    EmptyPageWithCursor,
    /// 200 with an empty list that has no cursor: of markets, events, series or trades.
    EmptyList,
    /// A correct answer to the same request without its filters: as if the exchange did not know these parameters.
    IgnoredFilters,
    /// 302 to the same request with one more parameter.
    Redirect,
    /// A correct answer that promises to keep the connection and then closes it.
    CloseAfter,
}

/// The value of a `Retry-After` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// A date, this many seconds after the exchange's present time.
    HttpDate(u64),
    /// This text, which need not be valid.
    Words(&'static str),
}

/// Chooses the fault of each request: first from the script, then at random.
#[derive(Default)]
pub(crate) struct FaultPlan {
    script: VecDeque<Fault>,
    random: Option<RandomFaults>,
}

struct RandomFaults {
    seed: u64,
    per_mille: u32,
    kinds: Vec<Fault>,
}

impl FaultPlan {
    pub(crate) fn script(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.script.extend(faults);
    }

    pub(crate) fn random(&mut self, seed: u64, per_mille: u32, kinds: &[Fault]) {
        let is_on = 0 < per_mille && !kinds.is_empty();
        self.random = is_on.then(|| RandomFaults { seed, per_mille, kinds: kinds.to_vec() });
    }

    pub(crate) fn clear(&mut self) {
        *self = FaultPlan::default();
    }

    pub(crate) fn next(&mut self, request_number: u64) -> Fault {
        if let Some(fault) = self.script.pop_front() {
            return fault;
        }
        let Some(plan) = &self.random else { return Fault::None };
        // Each request has its own random stream, so that threads that race for a number do not change the fault of
        // that number.
        let mut random = SplitMix64::named(plan.seed, &request_number.to_string());
        if random.is_in_thousand(plan.per_mille) {
            plan.kinds[random.index(plan.kinds.len())]
        } else {
            Fault::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_comes_first_and_once() {
        let mut plan = FaultPlan::default();
        plan.random(1, 1000, &[Fault::Garbage]);
        plan.script([Fault::None, Fault::Reset]);
        let drawn: Vec<Fault> = (1..=4).map(|number| plan.next(number)).collect();
        assert_eq!(drawn, [Fault::None, Fault::Reset, Fault::Garbage, Fault::Garbage]);
        plan.clear();
        assert_eq!(plan.next(5), Fault::None);
    }

    #[test]
    fn chance_follows_from_seed_and_number() {
        let draw = |seed| {
            let mut plan = FaultPlan::default();
            plan.random(seed, 250, &[Fault::Reset, Fault::Garbage]);
            (0..1000).map(|number| plan.next(number)).collect::<Vec<_>>()
        };
        let first = draw(1);
        assert_eq!(first, draw(1));
        assert_ne!(first, draw(2));
        for kind in [Fault::Reset, Fault::Garbage] {
            let hits = first.iter().filter(|fault| **fault == kind).count();
            assert!((75..175).contains(&hits), "{kind:?} hit {hits} of 1000");
        }
    }
}
