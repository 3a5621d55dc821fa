//! The machine of the simulated processes: time, turns, and the events around them. Exactly one process runs at a
//! time. Between any two of its effects another one may continue, or it may be killed.

use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::check::Check;
use crate::counts::Counts;
use crate::history::{BEGINS_AT, Trouble};
use crate::random::Random;
use crate::record::Record;
use crate::servers::Servers;
use crate::truth::Truth;

/// The payload of the panic that ends a killed process.
#[derive(Debug)]
pub struct Killed;

/// An event of the host or of the network, at its time.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Our clock is set.
    Clock(i64),
    /// The host sleeps.
    Sleep(i64),
    /// A trouble begins.
    Disturb(u64, Trouble, u64),
    /// The trouble of this number ends.
    Calm(u64),
}

/// A simulated process.
#[derive(Debug)]
pub struct Process {
    /// The end of its wait; `None` if it does not wait.
    wakes_at: Option<i64>,
    is_over: bool,
    /// The number of its effects so far.
    effects: u64,
    killed_at: Option<u64>,
    /// Its beginning, by the true clock.
    pub started_at: i64,
    /// The rows that it was shown since its last commit.
    pub rows_in_hand: usize,
}

/// The present state of everything.
pub struct State {
    /// The true time.
    pub now: i64,
    /// The lead of our clock over the true time.
    pub skew: i64,
    /// The time that the host has slept so far.
    pub asleep: i64,
    /// The exchange.
    pub servers: Servers,
    /// The data of the exchange.
    pub truth: Truth,
    /// The invariants.
    pub check: Check,
    /// The record of the history.
    pub record: Record,
    /// The counts of events.
    pub counts: Counts,
    /// The names of the held locks.
    pub locks: Vec<String>,
    /// Whether the trouble is over.
    pub is_calm: bool,
    turns: Vec<(i64, Turn)>,
    turned: usize,
    /// The processes that run together, or the only one.
    pub processes: Vec<Process>,
    running: usize,
    seed: u64,
    random: Random,
}

/// The machine.
pub struct Machine {
    state: Mutex<State>,
    baton: Condvar,
}

/// The number of no process.
const NOBODY: usize = usize::MAX;

impl Machine {
    /// Makes a machine with these turns, in the order of time.
    pub fn new(
        seed: u64,
        servers: Servers,
        truth: Truth,
        check: Check,
        record: Record,
        turns: Vec<(i64, Turn)>,
    ) -> Arc<Machine> {
        let state = State {
            now: BEGINS_AT,
            skew: 0,
            asleep: 0,
            servers,
            truth,
            check,
            record,
            counts: Counts::default(),
            locks: Vec::new(),
            is_calm: false,
            turns,
            turned: 0,
            processes: Vec::new(),
            running: NOBODY,
            seed,
            random: Random::of(seed, &[0xba]),
        };
        Arc::new(Machine { state: Mutex::new(state), baton: Condvar::new() })
    }

    /// The present state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts processes, numbered from 0. Each waits for its turn, see [`Machine::join`].
    pub fn start(&self, all: impl IntoIterator<Item = (i64, Option<u64>)>) {
        let mut state = self.state();
        let now = state.now;
        let process = |(after, killed_at): (i64, Option<u64>)| Process {
            wakes_at: (after > 0).then_some(now + after),
            is_over: false,
            effects: 0,
            killed_at,
            started_at: now + after,
            rows_in_hand: 0,
        };
        state.processes = all.into_iter().map(process).collect();
        state.running = state.choose(NOBODY);
    }

    /// Waits until this process may begin.
    pub fn join(&self, process: usize) {
        let mut state = self.wait(self.state(), process);
        state.processes[process].started_at = state.now;
    }

    /// Ends this process.
    pub fn leave(&self, process: usize) {
        let mut state = self.state();
        state.processes[process].is_over = true;
        state.running = state.choose(process);
        drop(state);
        self.baton.notify_all();
    }

    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        process: usize,
    ) -> MutexGuard<'s, State> {
        while state.running != process {
            state = self.baton.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.processes[process].wakes_at = None;
        state
    }

    /// Hands over to the next process.
    fn pass_on<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        process: usize,
    ) -> MutexGuard<'s, State> {
        if state.processes.len() == 1 {
            if let Some(at) = state.processes[0].wakes_at.take() {
                state.advance(at);
            }
            return state;
        }
        let next = state.choose(process);
        if next == process {
            state.processes[process].wakes_at = None;
            return state;
        }
        state.running = next;
        state.counts.one("switches between processes");
        self.baton.notify_all();
        self.wait(state, process)
    }

    /// Between two effects of a process: it may be killed here, and another one may continue.
    pub fn effect(&self, process: usize) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let is_killed = state.count_effect(process);
        if is_killed {
            Machine::die(state, process);
        }
        if state.processes.len() > 1 && state.random.chance(300) {
            return self.pass_on(state, process);
        }
        state
    }

    /// Kills a process.
    pub fn die(mut state: MutexGuard<'_, State>, process: usize) -> ! {
        let in_hand = state.processes[process].rows_in_hand;
        state.counts.one("kills");
        if in_hand > 0 {
            state.counts.one("kills between rows and their commit");
        }
        let now = state.now;
        state.record.note(0xdead);
        state.record.tell(now, format_args!("  [{process}] is killed"));
        drop(state);
        resume_unwind(Box::new(Killed))
    }

    /// Lets a process wait.
    pub fn sleep(&self, process: usize, us: i64) {
        let mut state = self.effect(process);
        let wakes_at = state.now.saturating_add(us);
        state.processes[process].wakes_at = Some(wakes_at);
        drop(self.pass_on(state, process));
    }

    /// The state, when no process runs any more.
    pub fn into_state(self) -> State {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass until `at` without a process.
    pub fn idle_until(&self, at: i64) {
        self.state().pass(at, false);
    }
}

impl State {
    /// Our clock.
    pub fn ours(&self) -> i64 {
        self.now + self.skew
    }

    /// The time that the processes of our host have seen pass.
    pub fn elapsed(&self) -> i64 {
        self.now - BEGINS_AT - self.asleep
    }

    /// A random stream for these names.
    pub fn chance(&self, names: &[u64]) -> Random {
        Random::of(self.seed, names)
    }

    /// Lets time pass until the end of a wait. If the host sleeps meanwhile, the wait ends that much later.
    fn advance(&mut self, until: i64) {
        self.pass(until, true);
    }

    /// Lets time pass. With `is_waited_for`, sleep of the host extends it.
    fn pass(&mut self, until: i64, is_waited_for: bool) {
        let mut until = until;
        while let Some((at, turn)) = self.turns.get(self.turned).filter(|(at, _)| *at <= until) {
            let (at, turn) = (*at, turn.clone());
            self.turned += 1;
            self.now = self.now.max(at);
            let slept = self.take(turn);
            if is_waited_for {
                until += slept;
            }
        }
        self.now = self.now.max(until);
        self.servers.feed(self.now);
    }

    /// Applies a turn. Returns the time that the host slept.
    fn take(&mut self, turn: Turn) -> i64 {
        match turn {
            Turn::Clock(us) => {
                self.skew += us;
                self.counts.one("jumps of our clock");
                self.record
                    .tell(self.now, format_args!("our clock is turned by {} ms", us / 1_000));
            }
            Turn::Sleep(us) => {
                self.record
                    .tell(self.now, format_args!("the host sleeps for {} s", us / 1_000_000));
                // The waits continue after the sleep.
                self.asleep += us;
                self.now += us;
                for process in &mut self.processes {
                    if let Some(at) = &mut process.wakes_at {
                        *at += us;
                    }
                }
                self.counts.one("sleeps of the host");
                return us;
            }
            Turn::Disturb(id, trouble, per_mille) => {
                self.counts.one("troubles");
                self.record.tell(
                    self.now,
                    format_args!("trouble {id} begins ({per_mille} of 1000): {trouble:?}"),
                );
                self.servers.feed(self.now);
                self.servers.disturb(id, trouble, per_mille, self.now);
            }
            Turn::Calm(id) => {
                self.record.tell(self.now, format_args!("trouble {id} is over"));
                self.servers.calm(id);
            }
        }
        0
    }

    /// Ends all troubles, and drops those still to come.
    pub fn calm(&mut self) {
        self.is_calm = true;
        self.turned = self.turns.len();
        self.servers.calm_all();
    }

    fn count_effect(&mut self, process: usize) -> bool {
        let it = &mut self.processes[process];
        it.effects += 1;
        it.killed_at == Some(it.effects)
    }

    /// The process that continues: one of those that do not wait, else the first one to wake.
    fn choose(&mut self, _from: usize) -> usize {
        let now = self.now;
        let is_ready = |p: &Process| !p.is_over && p.wakes_at.is_none_or(|at| at <= now);
        let ready: Vec<usize> =
            (0..self.processes.len()).filter(|at| is_ready(&self.processes[*at])).collect();
        if !ready.is_empty() {
            return *self.random.pick(&ready);
        }
        let waiting = self.processes.iter().enumerate().filter(|(_, p)| !p.is_over);
        let first = waiting.filter_map(|(place, p)| Some((p.wakes_at?, place))).min();
        let Some((at, place)) = first else { return NOBODY };
        self.advance(at);
        place
    }
}
