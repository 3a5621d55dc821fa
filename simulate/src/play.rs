//! Plays a history: applies its events, runs its commands and checks the invariants.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use crate::bench::Bench;
use crate::check::Check;
use crate::counts::Counts;
use crate::database::Stores;
use crate::draw::{command, instant, sla_flags};
use crate::history::{
    Amendment, BEGINS_AT, Command, HOUR, History, MINUTE, Profile, SECOND, Step, Trouble, What,
};
use crate::machine::{Machine, State, Turn};
use crate::process::{self, Came, Ended};
use crate::record::Record;
use crate::servers::{Event, Servers};
use crate::truth::{Lifespan, Truth};
use crate::world::{odd_of, otherwise, trades_of};

/// The result of a history.
#[derive(Debug)]
pub struct Outcome {
    /// A digest of all events.
    pub digest: u64,
    /// The first violated invariant, if any.
    pub broken: Option<String>,
    /// The story of the history, if it was wanted.
    pub story: Vec<String>,
    /// The counts of events.
    pub counts: Counts,
}

/// The delay after which cron does not start a pass at all.
const STALE_START: i64 = 55 * SECOND;
/// The time that a command may take beyond its deadline: for an answer on its way, and the last statements to the
/// database.
const GRACE: i64 = 15 * SECOND;
/// The default overlap of passes.
const OVERLAP: i64 = 120 * SECOND;
/// The default deadline of a pass.
const DEADLINE: i64 = 50 * SECOND;

/// The number of passes after the trouble until everything is stored and fresh.
const PASSES: u32 = 3;
/// The number of passes after the trouble when they meet holes.
const PASSES_MAX: u32 = 6;

/// Plays a history.
pub fn play(history: &History, bench: &mut Bench, is_told: bool) -> Outcome {
    match try_play(history, bench, is_told) {
        Ok(outcome) => outcome,
        Err(wrong) => Outcome {
            digest: 0,
            broken: Some(format!("the simulation itself failed: {wrong}")),
            story: Vec::new(),
            counts: Counts::default(),
        },
    }
}

fn try_play(history: &History, bench: &mut Bench, is_told: bool) -> Result<Outcome, String> {
    bench.reset()?;
    let look = bench.look.take().ok_or("a history is at work")?;
    let (feed, truth, turns) = expand(history);
    let servers = Servers::new(&history.rules, feed, history.seed);
    let (mut check, record) = (Check::new(look), Record::new(is_told));
    let differ = |step: &Step| {
        matches!(
            step.what,
            What::Disturb {
                trouble: Trouble::Lagging(_) | Trouble::Frozen | Trouble::Cached { .. },
                ..
            }
        )
    };
    if history.steps.iter().any(differ) {
        check.reread = OVERLAP;
    }
    check.is_hiding = history.steps.iter().any(Step::hides_markets);
    check.sla = history.sla;
    for step in &history.steps {
        match &step.what {
            What::Run(command) => check.selected.push(command.clone()),
            What::Together(all) => check.selected.extend(all.iter().map(|(_, c)| c.clone())),
            _ => {}
        }
    }
    check.selected.push(command("run", &history.selection, &[]));
    check.selected.sort_by(|a, b| a.selection().cmp(b.selection()));
    check.selected.dedup_by(|a, b| a.selection() == b.selection());
    let machine = Machine::new(history.seed, servers, truth, check, record, turns);
    machine.idle_until(BEGINS_AT);
    let is_turned = history.steps.iter().any(|step| matches!(step.what, What::Turn { .. }));
    let begun = HashMap::new();
    let mut player = Player { machine, bench, history, begun, is_steady: !is_turned };
    for step in &history.steps {
        player.step(step);
        if player.is_broken() {
            break;
        }
    }
    if !player.is_broken() {
        player.finale();
    }
    let Player { machine, bench, .. } = player;
    let machine = Arc::into_inner(machine).ok_or("a process has outlived its history")?;
    let mut state = machine.into_state();
    state.check.rows_are_true(&state.truth);
    state.counts.one("histories");
    state.counts.merge(&state.servers.happened);
    let corrections = state.check.count("claim_corrections");
    state.counts.more("retractions", corrections);
    state.counts.more("trades of the exchange", u64::try_from(state.truth.len()).unwrap_or(0));
    let broken = state.check.broken.take();
    bench.look = Some(state.check.into_connection());
    let (digest, story) = state.record.finish();
    Ok(Outcome { digest, broken, story, counts: state.counts })
}

/// The events of the exchange, its data, and the events of the host.
type Expanded = (Vec<(i64, Event)>, Truth, Vec<(i64, Turn)>);

fn expand(history: &History) -> Expanded {
    let (mut feed, mut truth, mut turns) = (Vec::new(), Truth::default(), Vec::new());
    if history.rules.cutoff_s > 0 {
        truth.archive(i64::MIN, history.rules.cutoff_s * SECOND);
    }
    for step in &history.steps {
        let at = BEGINS_AT + step.at;
        match &step.what {
            What::Open { ticker, lasts } => {
                truth.open(ticker, at, at + lasts);
                feed.push((at, Event::Open { ticker: ticker.clone(), closes_at: at + lasts }));
            }
            What::Trades { .. } => {
                for (trade, shown_at) in trades_of(history.seed, step) {
                    feed.push((shown_at, Event::Show(Box::new(trade.clone()))));
                    truth.add(trade, shown_at);
                }
            }
            What::Settle { ticker } => feed.push((at, Event::Settle(ticker.clone()))),
            What::Remove { ticker } => {
                truth.change(ticker, |lifespan| lifespan.vanishes = Some(at));
                feed.push((at, Event::Remove(ticker.clone())));
            }
            What::Amend { ticker, amendment } => {
                truth.change(ticker, |lifespan| amend(lifespan, amendment));
                feed.push((at, Event::Amend(ticker.clone(), amendment.clone())));
            }
            What::Again { of, place, otherwise: how } => {
                let Some(step) = history.steps.iter().find(|step| step.id == *of) else { continue };
                let made = trades_of(history.seed, step);
                let Some((trade, _)) = made.get(place % made.len().max(1)) else { continue };
                let again = otherwise(trade, *how);
                if truth.add_again(again.clone(), at) {
                    feed.push((at, Event::Show(Box::new(again))));
                }
            }
            What::Odd { .. } => {
                let Some((odd, json)) = odd_of(step) else { continue };
                let (ticker, id) = (odd.ticker.clone(), odd.tag.clone());
                let created_us = odd.created_us;
                feed.push((odd.shown_at, Event::Odd { ticker, created_us, id, json }));
                truth.add_odd(odd);
            }
            What::Cutoff { before } => {
                truth.archive(at, BEGINS_AT + before);
                feed.push((at, Event::Cutoff(BEGINS_AT + before)));
            }
            What::Turn { us } => turns.push((at, Turn::Clock(*us))),
            What::Suspend { us } => turns.push((at, Turn::Sleep(*us))),
            What::Disturb { trouble, per_mille, lasts } => {
                turns.push((at, Turn::Disturb(step.id, trouble.clone(), *per_mille)));
                turns.push((at + lasts, Turn::Calm(step.id)));
            }
            What::Run(_) | What::Together(_) => {}
        }
    }
    feed.sort_by_key(|(at, _)| *at);
    turns.sort_by_key(|(at, _)| *at);
    (feed, truth, turns)
}

fn amend(lifespan: &mut Lifespan, amendment: &Amendment) {
    match amendment {
        Amendment::Title(title) => lifespan.title = Some(title.clone()),
        Amendment::Grid(_) => {}
        Amendment::Close(at) => lifespan.closes = BEGINS_AT + at,
    }
}

struct Player<'a> {
    machine: Arc<Machine>,
    bench: &'a mut Bench,
    history: &'a History,
    /// The time at which each selection was first read to the end.
    begun: HashMap<Vec<String>, i64>,
    /// Whether our clock is never set. Heard instants are judged by our clock where no other is known.
    is_steady: bool,
}

impl Player<'_> {
    fn is_broken(&self) -> bool {
        self.machine.state().check.broken.is_some()
    }

    fn step(&mut self, step: &Step) {
        let at = BEGINS_AT + step.at;
        match &step.what {
            What::Run(command) => {
                self.machine.idle_until(at);
                let is_late = self.machine.state().now > at + STALE_START;
                if is_late && command.is("run") {
                    self.machine.state().counts.one("passes that cron left out");
                    return;
                }
                self.run(command);
            }
            What::Together(commands) => {
                self.machine.idle_until(at);
                self.run_together(commands);
            }
            _ => {}
        }
    }

    fn run(&mut self, command: &Command) -> Came {
        self.machine.start([(0, command.killed_at)]);
        let before = self.machine.state().check.version();
        let came = process::run(&self.machine, 0, &self.bench.shared, command);
        let mut state = self.machine.state();
        // The data of a server is copied here after each command, which also counts as a write.
        let is_here = matches!(self.bench.shared.stores, Stores::InMemory(..));
        if is_here && command.only_reads() && state.check.version() != before {
            state.check.fail(format!("{command} wrote to the database"));
        }
        drop(state);
        self.judge(command, &came);
        came
    }

    fn run_together(&mut self, commands: &[(i64, Command)]) {
        self.machine.start(commands.iter().map(|(after, command)| (*after, command.killed_at)));
        let (machine, shared) = (&self.machine, &self.bench.shared);
        let came: Vec<Came> = thread::scope(|scope| {
            let all: Vec<_> = (0..commands.len())
                .map(|number| {
                    let command = &commands[number].1;
                    scope.spawn(move || process::run(machine, number, shared, command))
                })
                .collect();
            let panicked = || Ended::Panicked("the process's thread".to_owned());
            all.into_iter()
                .map(|one| one.join().unwrap_or_else(|_| Came { ended: panicked(), took: 0 }))
                .collect()
        });
        for ((_, command), came) in commands.iter().zip(&came) {
            self.judge(command, came);
        }
    }

    /// Checks that a command ended in an allowed way.
    fn judge(&mut self, command: &Command, came: &Came) {
        let mut state = self.machine.state();
        let is_pass = command.is("run");
        let is_share = command.args.iter().any(|arg| arg == "--shard");
        if is_pass {
            state.counts.one("passes");
        }
        match &came.ended {
            Ended::Exit(code) => {
                let name = command.name();
                state.counts.one(&format!("exit: {name} {code}"));
            }
            Ended::Killed => {}
            Ended::Panicked(words) => state.check.fail(format!("{command} panicked: {words}")),
        }
        if is_pass && came.took > DEADLINE + GRACE {
            state.check.fail(format!("{command} took {} s", came.took / SECOND));
        }
        let is_good = came.ended == Ended::Exit(0);
        // A hole needs another pass for a second question. An SLA of two minutes may be too short for that.
        let is_calm = self.history.profile == Profile::Calm && self.history.sla >= 5 * MINUTE;
        if is_pass && !is_good && is_calm {
            state.check.fail(format!("nothing went wrong, and {command}: {:?}", came.ended));
        }
        if command.name().starts_with("completeness") || command.is("backfill") {
            let state = &mut *state;
            state.check.complete_slices(&state.truth);
        }
        let says_fresh = is_pass || command.is("status --check") && self.is_steady;
        if is_good && says_fresh && !is_share {
            let (now, state) = (state.now, &mut *state);
            let selection = command.selection();
            let began = if is_pass {
                *self.begun.entry(selection.to_vec()).or_insert(now)
            } else {
                self.begun.get(selection).copied().unwrap_or(now)
            };
            let markets = selected(selection, state, now - state.check.unseen_max(), began);
            state.check.fresh(&state.truth, &markets, began, now);
        }
    }

    /// The end, without trouble: after three passes, or more if they meet holes, everything is stored and fresh, and
    /// the score is 1.
    fn finale(&mut self) {
        let begins_at = BEGINS_AT + self.history.ends_at;
        self.machine.idle_until(begins_at);
        self.machine.state().calm();
        let mut at = (begins_at + self.history.rest).max(self.machine.state().now);
        let sla = sla_flags(self.history.sla);
        let pass = command("run", &self.history.selection, &[&sla[0], &sla[1]]);
        let mut last = None;
        for number in 1..=PASSES_MAX {
            // A pass that met a span without trades, where many were to be expected, leaves it to the next pass.
            if number > PASSES && !self.machine.state().check.is_at_a_hole() {
                break;
            }
            self.machine.idle_until(at);
            let began = self.machine.state().now;
            last = Some((began, self.run(&pass)));
            at += MINUTE;
            if self.is_broken() {
                return;
            }
        }
        let Some((began, came)) = last else { return };
        {
            let mut state = self.machine.state();
            let state = &mut *state;
            let since = self.begun.get(pass.selection()).copied().unwrap_or(began);
            let markets = selected(pass.selection(), state, began, since);
            state.check.whole(&state.truth, &markets, began);
            if came.ended != Ended::Exit(0) {
                state.check.fail(format!("three passes after the trouble: {:?}", came.ended));
            }
        }
        // The exchange's figures are by the hour, and the tape is claimed from an hour before the first pass.
        let is_all = self.history.selection.iter().any(|flag| flag == "--all");
        let claimed = self.machine.state().check.tape_from().filter(|_| is_all);
        let since = claimed.map_or(0, |at| at - BEGINS_AT).max(0);
        let hour = (since + HOUR - 1).div_euclid(HOUR) * HOUR;
        let (from, to) = (instant(hour), instant(hour + HOUR));
        let closed_at = BEGINS_AT + hour + HOUR + 5 * MINUTE;
        self.machine.idle_until((at + 2 * MINUTE).max(closed_at));
        let window: &[&str] = if is_all { &["--from", &from, "--to", &to] } else { &[] };
        // Markets that closed before the selection was first read are the past, which a user has to ask for. Trades
        // shown after the last pass, in an hour that had begun by then, count as the past, too.
        let is_late = is_all && at < BEGINS_AT + hour + HOUR;
        let heal: &[&str] = if self.has_past() || is_late { &["--heal"] } else { &[] };
        let flags = [&["--min-score", "1"], window, heal].concat();
        // The clock is set right here, so that none of our records lies in the future.
        self.machine.state().skew = 0;
        let score = command("completeness", &self.history.selection, &flags);
        let came = self.run(&score);
        let mut state = self.machine.state();
        let state = &mut *state;
        let low = state.check.low_score(&state.truth);
        let mut markets = state.truth.markets();
        let is_short = came.ended == Ended::Exit(6)
            && low.is_none()
            && markets.any(|(name, _)| state.truth.is_counted_otherwise(name));
        drop(markets);
        if came.ended != Ended::Exit(0) && !is_short {
            let low = low.unwrap_or_else(|| "no market".to_owned());
            let ended = format!("completeness at the end: {:?}, {low} is below 1", came.ended);
            state.check.fail(ended);
        }
        let now = state.now;
        let markets = selected(score.selection(), state, now, now);
        state.check.titles(&state.truth, &markets);
    }
}

impl Player<'_> {
    /// Whether a market of the selection had closed before any pass read the whole selection to the end.
    fn has_past(&self) -> bool {
        let since = self.begun.get(&self.history.selection);
        let state = self.machine.state();
        let is_past = |lifespan: &Lifespan| since.is_none_or(|since| lifespan.closes < *since);
        state.truth.is_archiving() || state.truth.markets().any(|(_, lifespan)| is_past(lifespan))
    }
}

/// The markets that these flags stand for, of those that were visible at `seen_by` and had not closed when the
/// selection was first read: those that had closed are the past, which only `backfill` reads. A removed market stays
/// selected if it was ever read.
fn selected(selection: &[String], state: &State, seen_by: i64, since: i64) -> Vec<String> {
    let flag = |name: &str| {
        let place = selection.iter().position(|arg| arg == name)?;
        selection.get(place + 1).map(String::as_str)
    };
    if selection.iter().any(|arg| arg == "--all") {
        return vec!["*".to_owned()];
    }
    let named = flag("--market").into_iter().flat_map(|names| names.split(',')).map(str::to_owned);
    let starts: Vec<String> = [flag("--series"), flag("--event")]
        .into_iter()
        .flatten()
        .map(|name| format!("{name}-"))
        .collect();
    let seen = state.truth.markets().filter(|(name, lifespan)| {
        lifespan.opened <= seen_by
            && lifespan.closes >= since
            && (lifespan.vanishes.is_none() || state.check.has_read(name))
            && starts.iter().any(|start| name.starts_with(start.as_str()))
    });
    named.chain(seen.map(|(name, ..)| name.to_owned())).collect()
}
