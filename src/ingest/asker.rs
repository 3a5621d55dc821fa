//! Asks the exchange one thing: no faster than the pace, as often as the policy allows, no longer
//! than the budget lasts, and not at all while the exchange wants to be left alone. All threads of a
//! pass share one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::SecondsFormat;

use super::inline::Drive;
use crate::clock::{Budget, Clock};
use crate::domain::evidence::ExchangeClock;
use crate::domain::exchange_record::{Asking, ComeBack};
use crate::domain::tally::Retries;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind, one_line};
use crate::kalshi::Client;
use crate::pace::Pace;
use crate::retry::{self, Decision, Dice, Jitter, Policy};

/// A request that the end of the pass cuts off sooner than this is no trouble of the exchange's.
const ANSWER_USUAL: Duration = Duration::from_secs(1);

/// A longer wait that the exchange asks for is no pause but a reason to leave, however much time the
/// command has: it holds a lock.
const WORTH_WAITING: Duration = Duration::from_secs(60);

/// The longest nap between two looks at what the others were told.
const NAP_MAX: Duration = Duration::from_millis(50);

/// Why nothing more is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Everything was done.
    Level,
    /// The time is over.
    OutOfTime,
    /// The program was asked to stop.
    Signal,
    /// The exchange refuses this client altogether.
    Forbidden,
    /// The exchange wants no request before this instant of our clock.
    ComeBackLater(Timestamp),
    /// The database takes nothing more.
    StoreGone,
}
/// Markets that lists leave out and that are asked for by themselves, in one invocation: a busy
/// exchange that forgets thousands must not cost two requests for each.
const DOUBTS_MAX: usize = 5;

/// Everything that asking takes.
pub struct Asker {
    client: Client,
    pace: Pace,
    policy: Policy,
    budget: Budget,
    dice: Dice,
    drive: Drive,
    retries: Mutex<Retries>,
    /// How many more markets may be asked for by themselves because lists leave them out.
    doubts: AtomicUsize,
    gate: Mutex<Gate>,
    /// Held by whoever asks while the next answer decides for all; true while that is so.
    probe: Mutex<bool>,
}

/// What the exchange said that holds for every request.
#[derive(Debug, Default)]
struct Gate {
    is_forbidden: bool,
    come_back: ComeBack,
    /// Set when nothing is to be asked before then.
    closed_until: Option<Timestamp>,
}

impl Asker {
    /// Asks through `client` no faster than `pace` and no longer than `budget`.
    pub fn new(client: Client, pace: Pace, policy: Policy, budget: Budget, dice: Dice) -> Asker {
        Asker {
            client,
            pace,
            policy,
            budget,
            dice,
            drive: Drive::default(),
            retries: Mutex::default(),
            doubts: AtomicUsize::new(DOUBTS_MAX),
            gate: Mutex::default(),
            probe: Mutex::default(),
        }
    }

    /// The same, whose walks are done so.
    #[must_use]
    pub fn driven(self, drive: Drive) -> Asker {
        Asker { drive, ..self }
    }

    /// How walks are done at the same time.
    pub fn drive(&self) -> Drive {
        self.drive
    }

    /// A sequence of its own for somebody who waits.
    pub fn jitter(&self) -> Jitter {
        self.dice.jitter()
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
        *locked(&self.retries)
    }

    /// The exchange's wall clock, as far as its answers told; ours until the first one.
    pub fn exchange_now(&self) -> Timestamp {
        self.client.exchange_now(self.budget.clock())
    }

    /// Whether the exchange refused this client altogether.
    pub fn is_forbidden(&self) -> bool {
        locked(&self.gate).is_forbidden
    }

    /// Takes over what an earlier pass knew of the exchange's clock.
    pub fn remember(&self, exchange_clock: ExchangeClock) {
        self.client.remember(exchange_clock);
    }

    /// What is known of the exchange's clock by now.
    pub fn exchange_clock(&self) -> ExchangeClock {
        self.client.exchange_clock()
    }

    /// Asks once what is not needed: a refusal says nothing about other questions. `None` when it cannot be had.
    pub fn ask_aside<T>(
        &self,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Option<T> {
        let clock = self.budget.clock();
        if self.is_forbidden()
            || !self.rest(self.pace.reserve(clock.elapsed()))
            || *locked(&self.probe)
        {
            return None;
        }
        match request(&self.client, self.budget.left(), clock) {
            Ok(answer) => Some(answer),
            Err(failure) => {
                log::debug!("{}; going on without", one_line(&failure));
                None
            }
        }
    }

    /// Why nothing more is asked, if so. All threads hear of it within a moment.
    pub fn stopped(&self) -> Option<Stop> {
        let gate = locked(&self.gate);
        if gate.is_forbidden {
            return Some(Stop::Forbidden);
        }
        if let Some(until) = gate.closed_until {
            return Some(Stop::ComeBackLater(until));
        }
        drop(gate);
        if self.budget.is_stopped() {
            return Some(Stop::Signal);
        }
        self.budget.is_over().then_some(Stop::OutOfTime)
    }

    /// Takes over what earlier passes heard of when to come back.
    pub fn heed(&self, come_back: ComeBack) {
        let mut gate = locked(&self.gate);
        gate.come_back = come_back;
        match come_back.asking(self.budget.clock().now()) {
            Asking::Freely => {}
            Asking::Probe => *locked(&self.probe) = true,
            Asking::NotBefore(at) => {
                let wish = come_back.at.unwrap_or(at);
                log::warn!(
                    "the exchange wants to be left alone until {}; asking nothing before {}",
                    second(wish),
                    second(at)
                );
                gate.closed_until = Some(at);
            }
        }
    }

    /// When to come back, as far as is known now.
    pub fn come_back(&self) -> ComeBack {
        locked(&self.gate).come_back
    }

    /// Of so many markets that lists leave out, how many may be asked for by themselves; those are
    /// taken from what is left for this invocation.
    pub(super) fn take_doubts(&self, wanted: usize) -> usize {
        let take = |left: usize| Some(left - left.min(wanted));
        let before = self.doubts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        before.unwrap_or(0).min(wanted)
    }

    /// Asks with as many attempts as the policy allows; `None` when it is time to leave before
    /// anything else went wrong: [`Asker::stopped`] says why.
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
            if !self.rest(wait) {
                break;
            }
            let probe = self.probe();
            if self.stopped().is_some() {
                break;
            }
            let sent_at = clock.elapsed();
            let answer = request(&self.client, self.budget.left(), clock);
            let took = clock.elapsed().saturating_sub(sent_at);
            if self.learn_from(&answer, probe) {
                return Ok(None);
            }
            let failure = match answer {
                Ok(answer) => return Ok(Some(answer)),
                Err(failure) => failure,
            };
            let left = self.budget.left();
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
                    let (is_time_left, reason) = (self.rest(wait), retry::reason(&failure));
                    last = Some(failure);
                    if !is_time_left {
                        break;
                    }
                    locked(&self.retries).add(reason);
                }
            }
        }
        match self.stopped() {
            Some(Stop::ComeBackLater(_)) => Ok(None),
            _ => last.map_or(Ok(None), Err),
        }
    }

    /// Sleeps unless something stops it; whether to go on.
    fn rest(&self, wait: Duration) -> bool {
        let clock = self.budget.clock();
        let wakes_at = clock.elapsed().saturating_add(wait);
        while self.stopped().is_none() {
            let rest = wakes_at.saturating_sub(clock.elapsed());
            if rest.is_zero() {
                return true;
            }
            self.budget.sleep(rest.min(NAP_MAX));
        }
        false
    }

    /// The right to ask alone, where the answer decides whether others may; waits for that of others.
    fn probe(&self) -> Option<MutexGuard<'_, bool>> {
        let probe = locked(&self.probe);
        (*probe).then_some(probe)
    }

    /// What one request was told holds for all; whether it is time to leave.
    fn learn_from<T>(
        &self,
        answer: &Result<T, Failure>,
        probe: Option<MutexGuard<'_, bool>>,
    ) -> bool {
        let now = self.budget.clock().elapsed();
        let Err(failure) = answer else {
            self.pace.accepted();
            self.answered(probe);
            return false;
        };
        if failure.status == Some(429) {
            self.pace.refused(now);
        }
        if failure.kind == Kind::ExchangeForbids {
            locked(&self.gate).is_forbidden = true;
        }
        if !failure.kind.is_temporary() {
            self.answered(probe);
            return false;
        }
        let left = self.budget.left();
        let is_too_long = |wait: Duration| wait > WORTH_WAITING || wait >= left;
        let wants_us_gone = failure.retry_after.is_some_and(is_too_long);
        if probe.is_some() || wants_us_gone && !self.budget.is_stopped() {
            self.close(failure);
            return true;
        }
        if let Some(wait) = failure.retry_after {
            self.pace.hold(now, wait);
        }
        false
    }

    /// The exchange answers, so it need not be left alone any more. What was sent before it said
    /// otherwise says nothing.
    fn answered(&self, probe: Option<MutexGuard<'_, bool>>) {
        let mut gate = locked(&self.gate);
        if gate.closed_until.is_none() {
            gate.come_back = ComeBack::default();
        }
        drop(gate);
        if let Some(mut probe) = probe {
            *probe = false;
        }
    }

    /// Nothing more is asked, by anybody.
    fn close(&self, failure: &Failure) {
        let now = self.budget.clock().now();
        let mut gate = locked(&self.gate);
        gate.come_back = match failure.retry_after {
            Some(wait) => ComeBack::told(wait, now),
            None => gate.come_back.probed(now),
        };
        let until = match gate.come_back.asking(now) {
            Asking::NotBefore(at) => at,
            Asking::Freely | Asking::Probe => now,
        };
        if gate.closed_until.replace(until).is_none() {
            let line = one_line(failure);
            log::warn!("{line}; leaving the exchange alone until {}", second(until));
        }
    }
}

/// Every state is a usable one, also the one that a panicking thread left.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn second(at: Timestamp) -> String {
    at.to_chrono().to_rfc3339_opts(SecondsFormat::Secs, true)
}
