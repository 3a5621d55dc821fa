//! Properties of the tape: markets are read alone and from the tape, in any order, by passes that know nothing of
//! each other, with any answers of the exchange. Every claimed trade must be stored.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::batch::{Batch, Committed};
use crate::domain::checkpoint::Retirement;
use crate::domain::job::Job;
use crate::domain::plan::{Outlook, plan};
use crate::domain::venue::TapeRate;
use crate::domain::walk::properties::model::{
    Bound, Exchange, LATE_MAX_QUARTERS, ListEnd, Made, ROWS, SETTLE, SETTLE_QUARTERS, START, Sort,
    Terms, Trouble, quarters, rules,
};
use crate::domain::walk::properties::{config, habits, seconds, terms, trouble};

#[path = "tape_model.rs"]
mod model;

use model::{Pass, Store};

/// The number of markets of the exchange. The tape has the index after the last of them.
const MARKETS: usize = 4;
/// The earliest start of the tape, in seconds before now.
const SINCE_AGO: u64 = 40;

/// The markets with a claim that a pass reads from the tape, and whether it reads the tape for itself too.
#[derive(Clone, Copy, Debug)]
struct Mix {
    riders: [bool; MARKETS],
    keeps_all: bool,
    /// The start of a tape that was never read, in seconds before now.
    since_ago: u64,
}

#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    /// Trades at one microsecond, that many quarters of a second ago; they are late beyond the settling time.
    Trades {
        market: usize,
        count: usize,
        quarters_ago: u64,
        sort: Sort,
    },
    /// Select the market, or the tape, from now on.
    Select(usize),
    SetRetirement(usize, Retirement),
    /// Read the market alone, without a fault.
    Level(usize),
    Read {
        pass: usize,
        reader: usize,
        pages: usize,
        trouble: Trouble,
        mix: Mix,
    },
    Commit {
        pass: usize,
    },
    Crash {
        pass: usize,
    },
}

/// The whole world, and the actions on it.
struct World {
    exchange: Exchange,
    store: Store,
    passes: [Option<Pass>; 2],
    rules: Rules,
    /// Whether an answer held less than the exchange has, or its date did not show that. The world of the walk has
    /// the same field.
    is_misled: bool,
}

const NAMES: [&str; MARKETS] = ["A", "B", "C", "D"];

fn scope(at: usize) -> Scope {
    NAMES.get(at).map_or(Scope::Tape, |text| Scope::parse(text).unwrap())
}

fn ticker(at: usize) -> Ticker {
    Ticker::new(NAMES[at]).unwrap()
}

impl World {
    fn new((min, max, end): (Bound, Bound, ListEnd), terms: Terms) -> World {
        let mut exchange = Exchange { now: START, made: Vec::new(), min, max, end };
        for second in (0..20).rev() {
            exchange.now = START.before(Duration::from_secs(second));
            exchange.make(&ticker(usize::from(second % 3 == 0)), exchange.now, Sort::Readable);
        }
        let (store, passes) = (Store::default(), [None, None]);
        let mut world = World { exchange, store, passes, rules: rules(terms), is_misled: false };
        (0..2).for_each(|market| world.act(&Act::Select(market)));
        world
    }

    /// The world after `acts`, when all trades are settled and no pass is in progress.
    fn after(habits: (Bound, Bound, ListEnd), terms: Terms, acts: &[Act]) -> World {
        let mut world = World::new(habits, terms);
        world.live_through(acts);
        world
    }

    fn live_through(&mut self, acts: &[Act]) {
        for act in acts {
            self.act(act);
        }
        self.passes = [None, None];
        // This is also after the latest possible `since`.
        self.exchange.now = self.exchange.now.after(SETTLE + Duration::from_secs(6));
        (0..MARKETS).for_each(|market| self.act(&Act::SetRetirement(market, Retirement::Reopen)));
    }

    fn act(&mut self, act: &Act) {
        let now = self.exchange.now;
        match *act {
            Act::Wait(count) => self.exchange.now = now.after(quarters(count)),
            Act::Trades { market, count, quarters_ago, sort } => {
                let (market, at) = (ticker(market), now.before(quarters(quarters_ago)));
                (0..count).for_each(|_| self.exchange.make(&market, at, sort));
            }
            Act::Select(market) => {
                let first = Checkpoint::first(scope(market), now);
                self.store.checkpoints.entry(scope(market)).or_insert(first);
            }
            Act::SetRetirement(market, retirement) => {
                let mut batch = Batch::default();
                batch.set_retirement(scope(market), retirement);
                let committed = Committed::new(self.store.checkpoints.values().cloned());
                self.store.commit(&batch.seal(&committed, 0, now));
            }
            Act::Level(market) => {
                if let Some(row) = self.store.checkpoints.get(&scope(market)).cloned() {
                    self.undisturbed(&[Job::Market(row)], 1);
                }
            }
            Act::Read { pass, reader, pages, trouble, mix } => {
                self.is_misled |= matches!(
                    trouble,
                    Trouble::FutureDate(_) | Trouble::Lagging(_) | Trouble::CutShort(_)
                );
                let mut open = self.passes[pass].take().unwrap_or_else(|| self.begin(mix));
                open.read(reader, &self.exchange, trouble);
                (1..pages).for_each(|_| open.read(reader, &self.exchange, Trouble::None));
                self.passes[pass] = Some(open);
            }
            Act::Commit { pass } => {
                if let Some(mut open) = self.passes[pass].take() {
                    open.commit(&mut self.store, now);
                    self.passes[pass] = Some(open).filter(|open| !open.is_over());
                    self.assert_no_claim_ahead_of_rows();
                }
            }
            Act::Crash { pass } => self.passes[pass] = None,
        }
    }

    /// Begins a pass over the selected scopes that are not retired, in a mix that no planner would choose.
    fn begin(&mut self, mix: Mix) -> Pass {
        let active = self.store.checkpoints.values().filter(|row| row.retired_at.is_none());
        let (mut tape, mut riders, mut jobs) = (None, Vec::new(), Vec::new());
        for row in active.cloned() {
            let is_complete = row.complete_until.is_some();
            let at = (0..MARKETS).find(|at| scope(*at) == row.scope);
            match at {
                None if mix.keeps_all => tape = Some(row),
                None => {}
                Some(at) if mix.riders[at] && is_complete => riders.push(row),
                Some(_) => jobs.push(Job::Market(row)),
            }
        }
        if tape.is_some() || !riders.is_empty() {
            jobs.push(Job::Tape { tape, riders });
        }
        let since = self.ago(mix.since_ago);
        Pass::begin(&mut self.store, &jobs, self.rules, since)
    }

    fn ago(&self, seconds: u64) -> Timestamp {
        self.exchange.now.before(Duration::from_secs(seconds)).floor()
    }

    fn claims(&self, row: &Made) -> impl Iterator<Item = &Checkpoint> {
        let checkpoints = [row.market.clone().into(), Scope::Tape];
        let held = checkpoints.map(|scope| self.store.checkpoints.get(&scope));
        let at = row.at;
        let is_above = move |held: &&Checkpoint| held.complete_from.is_none_or(|from| from <= at);
        held.into_iter().flatten().filter(is_above)
    }

    fn assert_no_claim_ahead_of_rows(&self) {
        if self.is_misled {
            return;
        }
        for row in self.exchange.made.iter().filter(|row| !row.is_late()) {
            for held in self.claims(row).filter(|held| Some(row.at) < held.complete_until) {
                assert!(self.store.stored.contains(&row.id), "{held:?}: lost {row:?}");
            }
        }
    }

    /// Reads these walks to their end without a fault, one page of each in turn. Returns the number of new rows.
    fn undisturbed(&mut self, jobs: &[Job], pages_per_commit: usize) -> usize {
        let since = self.ago(SINCE_AGO);
        let mut pass = Pass::begin(&mut self.store, jobs, self.rules, since);
        let mut inserted = 0;
        for page in 0..self.pages_enough() {
            let reader = page % pass.readers().max(1);
            pass.read(reader, &self.exchange, Trouble::None);
            if page % pages_per_commit == 0 || pass.is_over() {
                inserted += pass.commit(&mut self.store, self.exchange.now);
                self.assert_no_claim_ahead_of_rows();
            }
            if pass.is_over() {
                return inserted;
            }
        }
        panic!("it does not end: {pass:?}");
    }

    /// A pass in the mix of the planner.
    fn planned_pass(&mut self, tape_rate: f64, pages_per_commit: usize) -> usize {
        let (now, tape_since) = (self.exchange.now.floor(), self.ago(SINCE_AGO));
        let outlook =
            Outlook { now, tape: TapeRate::of(tape_rate), overlap: self.rules.overlap, tape_since };
        let active = self.store.checkpoints.values().filter(|row| row.retired_at.is_none());
        let jobs = plan(active.cloned().collect(), outlook);
        self.undisturbed(&jobs, pages_per_commit)
    }

    /// A number of pages that is enough, as for the walk, for each market and the tape.
    fn pages_enough(&self) -> usize {
        let pages = self.exchange.made.len().div_ceil(ROWS);
        let age = self.exchange.now.since(START.before(Duration::from_secs(SINCE_AGO)));
        (MARKETS + 2) * (20 * pages + 8 * seconds(age) + 10)
    }

    fn assert_everything_is_stored(&self) {
        for row in &self.exchange.made {
            for held in self.claims(row).filter(|held| held.complete_until.is_some()) {
                assert!(self.store.stored.contains(&row.id), "{held:?}: lost {row:?}");
            }
        }
    }

    fn assert_all_are_level(&self) {
        let is_read = |scope: &Scope| {
            let since = self.ago(SINCE_AGO - 10);
            let is_readable = |row: &&Made| {
                matches!(row.sort, Sort::Readable) && (!scope.is_tape() || since <= row.at)
            };
            let is_its = |row: &Made| scope.holds(&row.market);
            self.exchange.made.iter().filter(is_readable).any(is_its)
        };
        // Nothing can be claimed about a market without a readable trade and without a description.
        for held in self.store.checkpoints.values().filter(|held| is_read(&held.scope)) {
            assert!(held.level_at.is_some(), "{held:?}");
            assert_eq!((&held.walk, held.failures), (&None, 0), "{held:?}");
        }
    }
}

fn mix() -> impl Strategy<Value = Mix> {
    let since_ago = 0..SINCE_AGO;
    (any::<[bool; MARKETS]>(), any::<bool>(), since_ago)
        .prop_map(|(riders, keeps_all, since_ago)| Mix { riders, keeps_all, since_ago })
}

fn trades(quarters_ago: Range<u64>, count_max: usize) -> impl Strategy<Value = Act> {
    let sort = prop_oneof![
        9 => Just(Sort::Readable),
        1 => Just(Sort::Unreadable),
        1 => Just(Sort::Nameless),
    ];
    let trades = (0..MARKETS, 1..=count_max, quarters_ago, sort);
    trades.prop_map(|(market, count, quarters_ago, sort)| Act::Trades {
        market,
        count,
        quarters_ago,
        sort,
    })
}

fn read(trouble: impl Strategy<Value = Trouble>) -> impl Strategy<Value = Act> {
    (0..2_usize, 0..MARKETS, 1..6_usize, trouble, mix()).prop_map(
        |(pass, reader, pages, trouble, mix)| Act::Read { pass, reader, pages, trouble, mix },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let retirement = prop_oneof![Just(Retirement::Retire), Just(Retirement::Reopen)];
    prop_oneof![
        4 => (0..24_u64).prop_map(Act::Wait),
        1 => (24..160_u64).prop_map(Act::Wait),
        4 => trades(0..SETTLE_QUARTERS + 1, 8),
        2 => trades(SETTLE_QUARTERS + 1..LATE_MAX_QUARTERS + 1, 2),
        2 => (0..=MARKETS).prop_map(Act::Select),
        1 => (0..MARKETS, retirement).prop_map(|(market, retirement)| Act::SetRetirement(market, retirement)),
        2 => (0..MARKETS).prop_map(Act::Level),
        10 => read(trouble()),
        6 => (0..2_usize).prop_map(|pass| Act::Commit { pass }),
        1 => (0..2_usize).prop_map(|pass| Act::Crash { pass }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases, ..config() })]

    #[test]
    fn no_mixture_of_readings_loses_a_trade(
        habits in habits(),
        terms in terms(),
        acts in vec(act(), 0..120),
        tape_rate in 0.0..100.0_f64,
        pages_per_commit in 1..9_usize,
    ) {
        let mut world = World::after(habits, terms, &acts);
        // A market whose claim ends below the tape is read alone in a later pass.
        for _ in 0..4 {
            world.planned_pass(tape_rate, pages_per_commit);
        }
        world.assert_all_are_level();
        world.assert_everything_is_stored();
        let inserted = world.planned_pass(tape_rate, pages_per_commit);
        prop_assert_eq!(inserted, 0, "nothing is left");
    }
}
