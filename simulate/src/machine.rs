//! The machine that the simulated processes run on: time, who runs, and what happens around them. Exactly one
//! process runs at a time; between any two of its effects another may go on, and it may be killed.

use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::check::Check;
use crate::counts::Counts;
use crate::history::{BEGINS_AT, Trouble};
use crate::random::Random;
use crate::record::Record;
use crate::servers::Servers;
use crate::truth::Truth;

/// What a killed process unwinds with.
#[derive(Debug)]
pub struct Killed;

/// What happens to the host and to the wires, at its time.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Our clock is set.
    Clock(i64),
    /// The host sleeps.
    Sleep(i64),
    /// A trouble begins.
    Disturb(u64, Trouble, u64),
    /// It ends.
    Calm(u64),
}

/// A simulated process.
#[derive(Debug)]
pub struct Process {
    /// Until when it waits; `None`: it does not.
    wakes_at: Option<i64>,
    is_over: bool,
    /// Effects so far.
    effects: u64,
    killed_at: Option<u64>,
    /// When it began, by the true clock.
    pub started_at: i64,
    /// Rows that it was shown since its last commit.
    pub rows_in_hand: usize,
}

/// Everything that is so now.
pub struct State {
    /// The true time.
    pub now: i64,
    /// How far our clock is ahead of it.
    pub skew: i64,
    /// How long the host has slept so far.
    pub asleep: i64,
    /// The exchange.
    pub servers: Servers,
    /// What it has.
    pub truth: Truth,
    /// What must hold.
    pub check: Check,
    /// What is written down.
    pub record: Record,
    /// What happened, in numbers.
    pub counts: Counts,
    /// Locks that are held, by name.
    pub locks: Vec<String>,
    /// The trouble is over.
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

/// Nobody.
const NOBODY: usize = usize::MAX;

impl Machine {
    /// A machine on which this happens, in the order of time.
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

    /// What is so now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets processes begin; they are numbered from 0. Each waits for its turn, see [`Machine::join`].
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

    /// This process is over.
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

    /// Hands over to whoever is next.
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

    /// Between two effects of a process: it may be killed, and another may go on.
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

    /// A process is killed.
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

    /// A process waits.
    pub fn sleep(&self, process: usize, us: i64) {
        let mut state = self.effect(process);
        let wakes_at = state.now.saturating_add(us);
        state.processes[process].wakes_at = Some(wakes_at);
        drop(self.pass_on(state, process));
    }

    /// What is left when nothing runs any more.
    pub fn into_state(self) -> State {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing runs until then.
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

    /// A stream of chance that depends on the number of things done so far.
    pub fn chance(&self, names: &[u64]) -> Random {
        Random::of(self.seed, names)
    }

    /// A process waits until then: a host that sleeps meanwhile wakes it so much later.
    fn advance(&mut self, until: i64) {
        self.pass(until, true);
    }

    /// Time passes.
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

    /// Lets something happen; how long the host slept.
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
                // What was to be waited for is waited for afterwards.
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

    /// Everything that goes wrong has ended, whatever was still to come.
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

    /// Who goes on: one of those that wait for nothing, else whoever wakes first.
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
