//! Asks the exchange one thing: no faster than the pace, as often as the policy allows, no longer
//! than the budget lasts. All threads of a pass share one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Budget, Clock};
use crate::domain::tally::Retries;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind, one_line};
use crate::kalshi::Client;
use crate::pace::Pace;
use crate::retry::{self, Decision, Jitter, Policy};

/// A request that the end of the pass cuts off sooner than this is no trouble of the exchange's.
const ANSWER_USUAL: Duration = Duration::from_secs(1);

/// Markets that lists leave out and that are asked for by themselves, in one invocation: a busy
/// exchange that forgets thousands must not cost two requests for each.
const DOUBTS_MAX: usize = 5;

/// Everything that asking takes.
pub struct Asker {
    client: Client,
    pace: Pace,
    policy: Policy,
    budget: Budget,
    retries: Mutex<Retries>,
    /// How many more markets may be asked for by themselves because lists leave them out.
    doubts: AtomicUsize,
    /// Set when the exchange refuses this client altogether: nobody needs to ask again.
    is_forbidden: AtomicBool,
}

impl Asker {
    /// Asks through `client` no faster than `pace` and no longer than `budget`.
    pub fn new(client: Client, pace: Pace, policy: Policy, budget: Budget) -> Asker {
        Asker {
            client,
            pace,
            policy,
            budget,
            retries: Mutex::default(),
            doubts: AtomicUsize::new(DOUBTS_MAX),
            is_forbidden: AtomicBool::new(false),
        }
    }

    /// What is left of the pass.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Requests sent so far, retries included.
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    /// Requests sent again so far.
    pub fn retries(&self) -> Retries {
        *self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange's wall clock, as far as its answers told; ours until the first one.
    pub fn exchange_now(&self) -> Timestamp {
        self.client.exchange_now(self.budget.clock())
    }

    /// Whether the exchange refused this client altogether.
    pub fn is_forbidden(&self) -> bool {
        self.is_forbidden.load(Ordering::Relaxed)
    }

    /// Of so many markets that lists leave out, how many may be asked for by themselves; those are
    /// taken from what is left for this invocation.
    pub(super) fn take_doubts(&self, wanted: usize) -> usize {
        let take = |left: usize| Some(left - left.min(wanted));
        let before = self.doubts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        before.unwrap_or(0).min(wanted)
    }

    /// Asks with as many attempts as the policy allows; `None` when the time is over before
    /// anything went wrong.
    pub fn ask<T>(
        &self,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.ask_with(self.policy, jitter, request)
    }

    /// Asks with at most so many attempts.
    pub fn ask_at_most<T>(
        &self,
        attempts_max: u32,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.ask_with(Policy { attempts_max, ..self.policy }, jitter, request)
    }

    fn ask_with<T>(
        &self,
        policy: Policy,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let clock = self.budget.clock();
        let mut last = None;
        for attempt in 1.. {
            let wait = self.pace.reserve(clock.elapsed());
            if !self.budget.sleep(wait) || self.is_forbidden() {
                break;
            }
            let sent_at = clock.elapsed();
            let failure = match request(&self.client, self.budget.left(), clock) {
                Ok(answer) => {
                    self.pace.accepted();
                    return Ok(Some(answer));
                }
                Err(failure) => failure,
            };
            self.take_to_heart(&failure);
            let left = self.budget.left();
            let took = clock.elapsed().saturating_sub(sent_at);
            if left.is_zero() && failure.status.is_none() && took < ANSWER_USUAL {
                // Our own time was over before an answer could be expected.
                break;
            }
            match policy.decide(&failure, attempt, left, jitter.next_fraction()) {
                Decision::GiveUp => return Err(failure),
                Decision::Wait(wait) => {
                    log::warn!(
                        "{}; trying again in {:.1} s (attempt {attempt} of {})",
                        one_line(&failure),
                        wait.as_secs_f64(),
                        policy.attempts_max,
                    );
                    if !self.budget.sleep(wait) {
                        return Err(failure);
                    }
                    let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
                    retries.add(retry::reason(&failure));
                    drop(retries);
                    last = Some(failure);
                }
            }
        }
        last.map_or(Ok(None), Err)
    }

    /// What one request was told holds for all.
    fn take_to_heart(&self, failure: &Failure) {
        let now = self.budget.clock().elapsed();
        if failure.status == Some(429) {
            self.pace.refused(now);
        }
        if let Some(wait) = failure.retry_after {
            self.pace.hold(now, wait);
        }
        if failure.kind == Kind::ExchangeForbids {
            self.is_forbidden.store(true, Ordering::Relaxed);
        }
    }
}
