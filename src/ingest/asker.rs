//! Asks the exchange one thing: no faster than the pace, as often as the policy allows, no longer
//! than the budget lasts, and not at all while the exchange wants to be left alone. All threads of a
//! pass share one. What is done next is for `driver` to say; here it is done.

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

/// The longest nap between two looks at what the others were told.
const NAP_MAX: Duration = Duration::from_millis(50);

/// Everything that asking takes.
pub struct Asker {
    client: Client,
    policy: Policy,
    budget: Budget,
    manners: Mutex<Manners>,
    dice: Dice,
    drive: Drive,
}

impl Asker {
    /// Asks through `client` no faster than `pace` and no longer than `budget`.
    pub fn new(client: Client, pace: Pace, policy: Policy, budget: Budget, dice: Dice) -> Asker {
        let manners = Mutex::new(Manners::new(pace));
        Asker { client, policy, budget, manners, dice, drive: Drive::default() }
    }

    /// The same, for passes that are driven so.
    #[must_use]
    pub fn driven(self, drive: Drive) -> Asker {
        Asker { drive, ..self }
    }

    /// Who carries out the effects of a pass.
    pub fn drive(&self) -> Drive {
        self.drive
    }

    /// How often it sends a request.
    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// What it asks.
    pub(super) fn client(&self) -> &Client {
        &self.client
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
        self.manners(|manners, _| manners.retries())
    }

    /// The exchange's wall clock, as far as its answers told; ours until the first one.
    pub fn exchange_now(&self) -> Timestamp {
        self.client.exchange_now(self.budget.clock())
    }

    /// Whether the exchange refused this client altogether.
    pub fn is_forbidden(&self) -> bool {
        self.manners(|manners, _| manners.is_forbidden())
    }

    /// Takes over what an earlier pass knew of the exchange's clock.
    pub fn remember(&self, exchange_clock: ExchangeClock) {
        self.client.remember(exchange_clock);
    }

    /// Takes note of when a trade was made that this pass was shown.
    pub fn show(&self, traded_at: Timestamp) {
        self.client.show(traded_at);
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
        // It is not asked again, so there is nothing to spread.
        let mut jitter = Jitter::seeded(0);
        self.carry_out(Question::aside(), &mut jitter, request).unwrap_or_else(|failure| {
            log::debug!("{}; going on without", one_line(&failure));
            None
        })
    }

    /// Why nothing more is asked, if so. All threads hear of it within a moment.
    pub fn stopped(&self) -> Option<Stop> {
        self.manners(|manners, moment| manners.stopped(moment))
    }

    /// Takes over what earlier passes heard of when to come back.
    pub fn heed(&self, come_back: ComeBack) {
        tell(self.manners(|manners, moment| manners.heed(come_back, moment)));
    }

    /// When to come back, as far as is known now.
    pub fn come_back(&self) -> ComeBack {
        self.manners(|manners, _| manners.come_back())
    }

    /// Of so many markets that lists leave out, how many may be asked for by themselves; those are
    /// taken from what is left for this invocation.
    pub(super) fn take_doubts(&self, wanted: usize) -> usize {
        self.manners(|manners, _| manners.take_doubts(wanted))
    }

    /// Asks with as many attempts as the policy allows; `None` when it is time to leave before
    /// anything else went wrong: [`Asker::stopped`] says why.
    pub fn ask<T>(
        &self,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.carry_out(Question::new(self.policy), jitter, request)
    }

    /// Asks with at most so many attempts.
    pub fn ask_at_most<T>(
        &self,
        attempts_max: u32,
        jitter: &mut Jitter,
        request: impl Fn(&Client, Duration, &dyn Clock) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.carry_out(Question::new(Policy { attempts_max, ..self.policy }), jitter, request)
    }

    /// Asks with as many attempts as the policy allows what may be refused while other questions are answered: the
    /// refusal holds for this question alone.
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

    /// Rests for so long at most; what the others were told meanwhile may end it sooner.
    pub(super) fn nap(&self, wait: Duration) {
        self.budget.sleep(wait.min(NAP_MAX));
    }

    /// Asks or tells what all threads share, at this moment.
    pub(super) fn manners<T>(&self, with: impl FnOnce(&mut Manners, Moment) -> T) -> T {
        // Every state is a usable one, also the one that a panicking thread left.
        let mut manners = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = self.moment();
        with(&mut manners, moment)
    }

    /// What the clock and the budget say.
    pub(super) fn moment(&self) -> Moment {
        moment(&self.budget)
    }
}

/// What the budget and its clock say.
pub fn moment(budget: &Budget) -> Moment {
    let clock = budget.clock();
    Moment {
        elapsed: clock.elapsed(),
        now: clock.now(),
        left: budget.left(),
        is_stopped: budget.is_stopped(),
    }
}
