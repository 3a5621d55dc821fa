//! Properties of the walk: every fault of an exchange, a store and two passes, in any order. Every claimed trade must
//! be stored, whatever happened.

use std::time::Duration;

use std::collections::BTreeSet;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::checkpoint::{Checkpoint, Window};

#[path = "walk_model.rs"]
pub(in crate::domain) mod model;

use model::*;

/// The whole world, and the actions on it.
struct World {
    exchange: Exchange,
    store: Store,
    passes: [Option<Pass>; 2],
    rules: Rules,
    /// Whether an answer held less than the exchange has, or its date did not show that. Then a late trade within the
    /// overlap may be missing below a claim until the next walk has read it.
    is_misled: bool,
}

#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    /// Trades at one microsecond, that many quarters of a second ago; they are late beyond the settling time.
    Trades {
        count: usize,
        quarters_ago: u64,
        sort: Sort,
    },
    Read {
        pass: usize,
        pages: usize,
        trouble: Trouble,
    },
    Commit {
        pass: usize,
    },
    Crash {
        pass: usize,
    },
}

impl World {
    fn new((min, max, end): (Bound, Bound, ListEnd), terms: Terms) -> World {
        let mut exchange = Exchange { now: START, made: Vec::new(), min, max, end };
        for second in (0..20).rev() {
            exchange.now = START.before(Duration::from_secs(second));
            exchange.make(&market(), exchange.now, Sort::Readable);
        }
        let checkpoint = Checkpoint::first(market(), START);
        let store = Store { checkpoint, stored: BTreeSet::new(), runs: 0 };
        World { exchange, store, passes: [None, None], rules: rules(terms), is_misled: false }
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
        self.exchange.now = self.exchange.now.after(SETTLE + Duration::from_secs(1));
    }

    fn act(&mut self, act: &Act) {
        let World { exchange, store, passes, rules, is_misled } = self;
        match *act {
            Act::Wait(count) => exchange.now = exchange.now.after(quarters(count)),
            Act::Trades { count, quarters_ago, sort } => {
                let at = exchange.now.before(quarters(quarters_ago));
                (0..count).for_each(|_| exchange.make(&market(), at, sort));
            }
            Act::Read { pass, pages, trouble } => {
                *is_misled |= matches!(
                    trouble,
                    Trouble::FutureDate(_) | Trouble::Lagging(_) | Trouble::CutShort(_)
                );
                let pass = passes[pass].get_or_insert_with(|| Pass::begin(store, *rules));
                pass.read(exchange, trouble);
                (1..pages).for_each(|_| pass.read(exchange, Trouble::None));
            }
            Act::Commit { pass } => {
                if let Some(mut open) = passes[pass].take() {
                    open.commit(store, exchange.now);
                    if open.end.is_none() {
                        passes[pass] = Some(open);
                    }
                    self.assert_no_claim_ahead_of_rows();
                }
            }
            Act::Crash { pass } => passes[pass] = None,
        }
    }

    fn is_wanted(&self, row: &Made) -> bool {
        self.rules.since.is_none_or(|since| since <= row.at)
    }

    fn assert_no_claim_ahead_of_rows(&self) {
        let Some(until) = self.store.checkpoint.complete_until else { return };
        if self.is_misled {
            return;
        }
        for row in self.exchange.made.iter().filter(|row| self.is_wanted(row)) {
            let is_claimed = row.at < until && !row.is_late();
            assert!(!is_claimed || self.store.stored.contains(&row.id), "{until}: lost {row:?}");
        }
    }

    /// Runs passes without a fault until one is level; few are needed.
    fn heal(&mut self, pages: usize, pages_per_commit: usize) -> Option<End> {
        let mut end = None;
        // A gap between two pages that many bursts explain takes a pass of its own, and so does a list that ends with
        // an empty page.
        for _ in 0..3 + self.exchange.made.len() / ROWS {
            end = self.undisturbed_pass(pages, pages_per_commit).0.end;
            self.exchange.now = self.exchange.now.after(Duration::from_secs(1));
            if end == Some(End::Level) {
                break;
            }
        }
        end
    }

    /// Runs a pass without a fault over at most `pages` pages, with a commit after each `pages_per_commit`.
    fn undisturbed_pass(&mut self, pages: usize, pages_per_commit: usize) -> (Pass, usize) {
        let mut pass = Pass::begin(&mut self.store, self.rules);
        let mut inserted = 0;
        for page in 1..=pages {
            pass.read(&self.exchange, Trouble::None);
            if pass.end.is_some() || page % pages_per_commit == 0 || page == pages {
                let receipt = pass.commit(&mut self.store, self.exchange.now);
                inserted += receipt.inserted.len();
                self.assert_no_claim_ahead_of_rows();
            }
            if pass.end.is_some() {
                break;
            }
        }
        (pass, inserted)
    }

    /// A number of pages that is enough to read every trade once for the interrupted walk and once for the new one,
    /// with the questions that find a useless cursor and the end of the list. With steps it is as many for each step,
    /// and the overlap as often as the shortest step fits into it.
    fn pages_enough(&self) -> usize {
        let pages = self.exchange.made.len().div_ceil(ROWS);
        let age = self.exchange.now.since(START.before(Duration::from_secs(30)));
        self.rules.step.map_or(2 * pages + 10, |_| 12 * pages + 4 * seconds(age) + 10)
    }

    /// The number of pages of the busiest three seconds.
    fn pages_in_three_seconds(&self) -> usize {
        let span = Duration::from_secs(3);
        let rows_since = |from: Timestamp| {
            self.exchange
                .made
                .iter()
                .filter(|row| from <= row.at && row.at < from.after(span))
                .count()
        };
        let rows = self.exchange.made.iter().map(|row| rows_since(row.at.floor())).max();
        rows.unwrap_or(0).div_ceil(ROWS)
    }

    fn assert_everything_is_stored_once(&self) {
        let made = self.exchange.made.iter();
        let wanted: BTreeSet<String> =
            made.filter(|row| self.is_wanted(row)).map(|row| row.id.clone()).collect();
        // An unreadable event has no time, so it cannot be outside the window, and it may be kept from below.
        let unreadable = |id: &String| {
            let row = self.exchange.made.iter().find(|row| row.id == *id);
            row.is_some_and(|row| matches!(row.sort, Sort::Unreadable | Sort::Nameless))
        };
        let stored = &self.store.stored;
        assert_eq!(wanted.difference(stored).next(), None, "lost");
        let excess = stored.difference(&wanted).find(|id| !unreadable(id));
        assert_eq!(excess, None, "outside the window");
    }
}

pub(in crate::domain) fn seconds(span: Duration) -> usize {
    usize::try_from(span.as_secs()).unwrap()
}

pub(in crate::domain) fn habits() -> impl Strategy<Value = (Bound, Bound, ListEnd)> {
    (select(&BOUNDS[..]), select(&BOUNDS[..]), select(&LIST_ENDS[..]))
}

/// A step is at least a second long: a shorter one would end where it begins.
pub(in crate::domain) fn terms() -> impl Strategy<Value = Terms> {
    (prop::option::of(985_i64..1_005), prop::option::of(4..160_u64))
}

pub(in crate::domain) fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        8 => Just(Trouble::None),
        2 => Just(Trouble::CursorRefused),
        2 => Just(Trouble::CursorIgnored),
        1 => Just(Trouble::CursorRepeated),
        3 => Just(Trouble::Hiccup),
        2 => Just(Trouble::NoRows),
        2 => (1..3_usize).prop_map(Trouble::CutShort),
        2 => (1..8_u64).prop_map(Trouble::Lagging),
        2 => (1..6_usize).prop_map(Trouble::StepsBack),
        1 => Just(Trouble::RowsTwice),
        1 => Just(Trouble::Unsorted),
        1 => (1..30_u64).prop_map(Trouble::OldDate),
        1 => (1..400_u64).prop_map(Trouble::FutureDate),
    ]
}

fn trades(quarters_ago: Range<u64>, count_max: usize) -> impl Strategy<Value = Act> {
    let sort = prop_oneof![
        9 => Just(Sort::Readable),
        2 => Just(Sort::Unreadable),
    ];
    (1..=count_max, quarters_ago, sort).prop_map(|(count, quarters_ago, sort)| {
        // A pass has to read all unreadable rows of an instant, so there is only one: more might not fit into a pass.
        let count = if matches!(sort, Sort::Unreadable) { 1 } else { count };
        Act::Trades { count, quarters_ago, sort }
    })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..24_u64).prop_map(Act::Wait),
        1 => (24..160_u64).prop_map(Act::Wait),
        4 => trades(0..SETTLE_QUARTERS + 1, 8),
        1 => trades(SETTLE_QUARTERS + 1..LATE_MAX_QUARTERS + 1, 2),
        8 => (0..2_usize, 1..4_usize, trouble())
            .prop_map(|(pass, pages, trouble)| Act::Read { pass, pages, trouble }),
        5 => (0..2_usize).prop_map(|pass| Act::Commit { pass }),
        1 => (0..2_usize).prop_map(|pass| Act::Crash { pass }),
    ]
}

/// Any checkpoint, also one that no pass would leave.
fn state() -> impl Strategy<Value = Checkpoint> {
    let second = || 975_i64..1_005;
    let at = |instant: Option<i64>| instant.map(Timestamp::from_seconds);
    let cursor = prop_oneof![
        (second(), 0..10_000_usize).prop_map(|(at, id)| format!("{:020}/t{id:05}", at * 1_000_000)),
        select(&["", "0", CURSOR_TOP, "~"][..]).prop_map(str::to_owned),
    ];
    let low = prop::option::of((970_000..1_010_000_i64).prop_map(|ms| ms * 1_000));
    let walk = (prop::option::of(second()), second(), prop::option::of(cursor), low);
    let walk = walk.prop_map(move |(from, until, cursor, low)| {
        let window =
            Window::new(at(from.map(|from| from.min(until))), Timestamp::from_seconds(until));
        Some(OpenWalk {
            window: window?,
            cursor,
            low: low.map(Timestamp::from_micros),
            anchor: None,
        })
    });
    let complete = prop::option::of((prop::option::of(second()), second()));
    (complete, prop::option::weighted(0.9, walk), 0..2_u32).prop_map(
        move |(complete, walk, failures)| {
            let mut checkpoint = Checkpoint::first(market(), START);
            if let Some((from, until)) = complete {
                checkpoint.complete_from = at(from.map(|from| from.min(until)));
                checkpoint.complete_until = Some(Timestamp::from_seconds(until));
            }
            Checkpoint { walk: walk.flatten(), failures, ..checkpoint }
        },
    )
}

/// More cases than usual, because the worst faults need three conditions at once. No files of failed cases, because a
/// failing case is worth a transcript of its own.
pub(in crate::domain) fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1_000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_disorder_loses_or_doubles_a_trade(
        habits in habits(),
        terms in terms(),
        acts in vec(act(), 0..120),
        pages_per_commit in 1..9_usize,
    ) {
        let mut world = World::after(habits, terms, &acts);
        let end = world.heal(world.pages_enough(), pages_per_commit);
        prop_assert_eq!(end, Some(End::Level), "heals");
        world.assert_everything_is_stored_once();
        let held = world.store.checkpoint.clone();
        prop_assert_eq!((held.walk, held.failures), (None, 0));
        let (pass, inserted) = world.undisturbed_pass(world.pages_enough(), pages_per_commit);
        prop_assert_eq!((pass.end, inserted), (Some(End::Level), 0), "nothing is left");
        prop_assert_eq!(world.store.checkpoint.complete_until, held.complete_until);
    }

    // Going on by time reads up to three seconds again, and the question whether a list ends there as much again. A
    // pass has to read that many pages.
    #[test]
    fn passes_that_are_always_cut_short_get_there(
        habits in habits(),
        terms in terms(),
        acts in vec(act(), 0..60),
        pages_more in 0..3_usize,
    ) {
        let mut world = World::after(habits, terms, &acts);
        let passes_enough = world.pages_enough();
        let pages_per_pass = 2 * world.pages_in_three_seconds() + 4 + pages_more;
        let rows = world.exchange.made.iter().filter(|row| matches!(row.sort, Sort::Readable));
        let newest = rows.map(|row| row.at).max();
        let edge = newest.map(|at| at.min(world.exchange.now.floor().before(SETTLE)).floor());
        let gets_there = (0..passes_enough).any(|_| {
            world.undisturbed_pass(pages_per_pass, 1);
            world.store.checkpoint.complete_until >= edge
        });
        prop_assert!(gets_there, "{passes_enough} passes: {:?}", world.store.checkpoint);
        // Unreadable rows may lie above the newest trade.
        world.heal(world.pages_enough(), 1);
        world.assert_everything_is_stored_once();
    }

    #[test]
    fn a_healthy_exchange_is_read_to_the_end_from_any_state(
        habits in habits(),
        terms in terms(),
        acts in vec(trades(0..40, 8), 0..10),
        state in state(),
    ) {
        let mut world = World::after(habits, terms, &acts);
        let mut state = state;
        if let Some(walk) = &mut state.walk {
            // The position of the walk is an existing trade.
            let rows = world.exchange.made.iter().filter(|row| matches!(row.sort, Sort::Readable));
            walk.low = rows.map(|row| row.at).filter(|at| Some(*at) <= walk.low).max();
        }
        world.store.checkpoint = state;
        world.is_misled = true;
        let end = world.heal(2 * world.pages_enough(), 1);
        prop_assert_eq!(end, Some(End::Level));
    }
}
