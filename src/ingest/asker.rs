//! Asks the exchange one question: no faster than the pace allows, as often as the policy allows, no longer than the
//! budget lasts. While the exchange wants to be left alone, only one probe in ten minutes is sent. All threads of a
//! pass share one `Asker`. `driver` decides the next step; this module carries it out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::said::tell;
use crate::clock::{Budget, Clock};
use crate::domain::evidence::ExchangeClock;
use crate::domain::exchange_record::ComeBack;
use crate::domain::tally::Retries;
use crate::domain::time::Timestamp;
use crate::driver::{Ask, Drive, Manners, Moment, Question, Stop};
use crate::failure::{Failure, one_line};
use crate::kalshi::Client;
use crate::pace::Pace;
use crate::retry::{Dice, Jitter, Policy};

/// The longest nap between two checks of the shared state.
const NAP_MAX: Duration = Duration::from_millis(50);

/// The parts that a question needs: client, limits, clock and policy.
pub struct Asker {
    client: Client,
    policy: Policy,
    budget: Budget,
    manners: Mutex<Manners>,
    dice: Dice,
    drive: Drive,
}

impl Asker {
    /// Makes an asker that uses `client`, no faster than `pace` and no longer than `budget`.
    pub fn new(client: Client, pace: Pace, policy: Policy, budget: Budget, dice: Dice) -> Asker {
        let manners = Mutex::new(Manners::new(pace));
        Asker { client, policy, budget, manners, dice, drive: Drive::default() }
    }

    /// Sets how the effects of a pass are carried out.
    #[must_use]
    pub fn driven(self, drive: Drive) -> Asker {
        Asker { drive, ..self }
    }

    /// How the effects of a pass are carried out.
    pub fn drive(&self) -> Drive {
        self.drive
    }

    /// The policy that says how often a request is sent.
    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// The client that sends the requests.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A new random sequence for one waiting thread.
    pub fn jitter(&self) -> Jitter {
        self.dice.jitter()
    }

    /// The time that is left of the pass.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The number of requests sent so far, retries included.
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    /// The number of requests sent again so far.
    pub fn retries(&self) -> Retries {
        self.manners(|manners, _| manners.retries())
    }

    /// The exchange's wall clock as its answers show it; our clock until the first answer.
    pub fn exchange_now(&self) -> Timestamp {
        self.client.exchange_now(self.budget.clock())
    }

    /// Whether the exchange refused this client altogether.
    pub fn is_forbidden(&self) -> bool {
        self.manners(|manners, _| manners.is_forbidden())
    }

    /// Takes over the exchange's clock as an earlier pass knew it.
    pub fn remember(&self, exchange_clock: ExchangeClock) {
        self.client.remember(exchange_clock);
    }

    /// Notes the time of a trade that this pass was shown.
    pub fn show(&self, traded_at: Timestamp) {
        self.client.show(traded_at);
    }

    /// The current knowledge of the exchange's clock.
    pub fn exchange_clock(&self) -> ExchangeClock {
        self.client.exchange_clock()
    }

    /// Asks once for an answer that is not needed: a refusal of it says nothing about other questions. `None` when
    /// there is no answer.
    pub fn ask_aside<T>(
        &self,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Option<T> {
        self.try_aside(request).unwrap_or_else(|failure| {
            log::debug!("{}; going on without", one_line(&failure));
            None
        })
    }

    /// Asks as [`Asker::ask_aside`] does, and returns the failure. `None` when the question was not sent.
    pub fn try_aside<T>(
        &self,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        // The question is not repeated, so it needs no jitter.
        self.carry_out(Question::aside(), &mut Jitter::seeded(0), request)
    }

    /// Asks at this pace from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.manners(|manners, _| manners.set_pace(pace));
    }

    /// The reason why no more questions are asked, or `None`. All threads see it within a moment.
    pub fn stopped(&self) -> Option<Stop> {
        self.manners(|manners, moment| manners.stopped(moment))
    }

    /// Takes over the time to come back that earlier passes were told.
    pub fn heed(&self, come_back: ComeBack) {
        tell(self.manners(|manners, moment| manners.heed(come_back, moment)));
    }

    /// The time to come back, as far as it is known now.
    pub fn come_back(&self) -> ComeBack {
        self.manners(|manners, _| manners.come_back())
    }

    /// Returns how many of the `wanted` markets that lists left out may be asked for alone. It takes them from the
    /// number that is left for this invocation.
    pub(super) fn take_doubts(&self, wanted: usize) -> usize {
        self.manners(|manners, _| manners.take_doubts(wanted))
    }

    /// Asks with as many attempts as the policy allows. `None` when the pass has to stop before anything else went
    /// wrong; [`Asker::stopped`] says why.
    pub fn ask<T>(
        &self,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.carry_out(Question::new(self.policy), jitter, request)
    }

    /// Asks with at most `attempts_max` attempts.
    pub fn ask_at_most<T>(
        &self,
        attempts_max: u32,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.carry_out(Question::new(Policy { attempts_max, ..self.policy }), jitter, request)
    }

    /// Asks, with as many attempts as the policy allows, a question that the exchange may refuse while it answers
    /// others: the refusal holds for this question alone.
    pub fn ask_apart<T>(
        &self,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.carry_out(Question::apart(self.policy), jitter, request)
    }

    fn carry_out<T>(
        &self,
        mut question: Question,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        loop {
            match self.manners(|manners, moment| question.next(manners, moment)) {
                Ask::Wait(wait) => self.nap(wait),
                Ask::Send(left) => match request(&self.client, left, self.budget.clock()) {
                    Ok(answer) => {
                        self.manners(|manners, _| question.answered(manners));
                        return Ok(Some(answer));
                    }
                    Err(failure) => tell(self.manners(|manners, moment| {
                        question.failed(failure, manners, jitter, moment)
                    })),
                },
                Ask::GiveUp(failure) => return failure.map_or(Ok(None), Err),
            }
        }
    }

    /// Rests for at most `wait`. News for the other threads may end the rest sooner.
    pub(super) fn nap(&self, wait: Duration) {
        self.budget.sleep(wait.min(NAP_MAX));
    }

    /// Reads or changes the state that all threads share, at this moment.
    pub(super) fn manners<T>(&self, with: impl FnOnce(&mut Manners, Moment) -> T) -> T {
        // Every state is usable, also the one that a panicking thread left.
        let mut manners = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = self.moment();
        with(&mut manners, moment)
    }

    /// The current moment, by the clock and the budget.
    pub(super) fn moment(&self) -> Moment {
        moment(&self.budget)
    }
}

/// The current moment, by this budget and its clock.
pub fn moment(budget: &Budget) -> Moment {
    let clock = budget.clock();
    Moment {
        elapsed: clock.elapsed(),
        now: clock.now(),
        left: budget.left(),
        is_stopped: budget.is_stopped(),
    }
}
