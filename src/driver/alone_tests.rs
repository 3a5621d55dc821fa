//! Whole passes, without an exchange, a database, a clock or a thread.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::stage::{Fault, Stage, ms, ticker};
use super::super::{Ended, Outcome, Stop};
use crate::domain::job::Job;
use crate::domain::page::Guard;
use crate::failure::Kind;

const MARKETS: [&str; 5] = ["KXA", "KXB", "KXC", "KXD", "KXE"];

/// A world of five markets that were never read, and the jobs to read them.
fn five(trades: usize) -> (Stage, Vec<Job>) {
    let mut stage = Stage::new(&MARKETS, trades);
    let jobs = MARKETS.iter().map(|market| Job::Market(stage.fresh(market))).collect();
    (stage, jobs)
}

fn levels(outcome: &Outcome) -> usize {
    outcome.done.iter().filter(|done| matches!(done.ended, Ended::Level)).count()
}

#[test]
fn the_same_seed_asks_the_same_and_another_one_in_another_order() {
    let order = |seed| {
        let (mut stage, jobs) = five(30);
        let outcome = stage.pass(jobs, seed);
        assert_eq!((levels(&outcome), outcome.unread, outcome.stop), (5, 0, Stop::Level));
        assert!(stage.is_whole());
        stage.asked
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn out_of_time_in_the_middle_everything_that_was_heard_is_stored() {
    let (mut stage, jobs) = five(30);
    (stage.answer_takes, stage.budget) = (ms(100), ms(1_050));
    let outcome = stage.pass(jobs, 1);
    assert_eq!(outcome.stop, Stop::OutOfTime);
    assert_eq!(stage.asked.len(), 11, "a hundred milliseconds each");
    assert_eq!(outcome.tally.pages, 11);
    assert!(outcome.unread > 0 && levels(&outcome) < 5);
    let out_of_time = |done: &super::super::Done| matches!(done.ended, Ended::OutOfTime);
    assert!(outcome.done.iter().any(out_of_time), "those at work are no failures");
    assert!(stage.checkpoints.values().all(|row| row.failures == 0));
    assert_eq!(u64::try_from(stage.stored.len()).unwrap(), outcome.tally.events_ingested);
    // The next pass continues from there.
    (stage.elapsed, stage.answer_takes) = (ms(0), ms(1));
    let jobs = stage.checkpoints.values().cloned().map(Job::Market).collect();
    let outcome = stage.pass(jobs, 1);
    assert_eq!((levels(&outcome), stage.is_whole()), (5, true));
}

#[test]
fn a_store_that_is_gone_ends_the_pass_at_once() {
    let (mut stage, jobs) = five(200);
    (stage.answer_takes, stage.commits_max) = (ms(100), 2);
    let mut outcome = stage.pass(jobs, 1);
    assert_eq!(outcome.stop, Stop::StoreGone);
    assert_eq!(stage.commits.len(), 2, "and nothing is tried after that");
    let stored = u64::try_from(stage.stored.len()).unwrap();
    assert_eq!(outcome.tally.events_ingested, stored, "what it took is counted");
    assert_eq!(outcome.broken_off().map(|failure| failure.kind), Some(Kind::StoreInterrupted));
}

#[test]
fn a_useless_tape_is_replaced_market_by_market() {
    for fault in [Fault::Foreign, Fault::Status(404, None)] {
        let mut stage = Stage::new(&MARKETS, 30);
        let riders = MARKETS.iter().map(|market| stage.level(market, 75)).collect();
        stage.tape = fault;
        let outcome = stage.pass(vec![Job::Tape { tape: None, riders }], 1);
        assert_eq!(outcome.done.len(), 6);
        assert_eq!((levels(&outcome), outcome.unread), (5, 0));
        let tape = outcome.done.iter().find(|done| done.scope.is_tape()).unwrap();
        assert!(tape.scopes.is_empty(), "for its riders it was not over");
        assert!(matches!(tape.ended, Ended::Guarded(Guard::ForeignRows) | Ended::Failed(_)));
        let failures: Vec<u32> = stage.checkpoints.values().map(|row| row.failures).collect();
        assert_eq!(failures, [0; 5]);
    }
    let mut stage = Stage::new(&MARKETS, 30);
    let riders = MARKETS.iter().map(|market| stage.level(market, 75)).collect();
    stage.tape = Fault::Status(503, None);
    let outcome = stage.pass(vec![Job::Tape { tape: None, riders }], 1);
    assert_eq!(outcome.done.len(), 1, "who does not answer is asked by nobody");
    assert!(stage.checkpoints.values().all(|row| row.failures == 1));
}

#[test]
fn a_refused_cursor_is_walked_around_by_time() {
    let mut stage = Stage::new(&["KXA"], 30);
    let jobs = vec![Job::Market(stage.fresh("KXA"))];
    stage.faults = [Fault::None, Fault::CursorRefused].into();
    let outcome = stage.pass(jobs, 1);
    assert_eq!(stage.said, ["it knows no such cursor; going on by time"]);
    assert!(stage.asked[1].0.cursor.is_some() && stage.asked[2].0.cursor.is_none());
    assert_eq!((levels(&outcome), stage.is_whole()), (1, true));
}

#[test]
fn a_429_slows_everybody_down_for_as_long_as_it_says() {
    let (mut stage, jobs) = five(30);
    stage.faults = [Fault::None, Fault::Status(429, Some(ms(7_000)))].into();
    let outcome = stage.pass(jobs, 1);
    assert_eq!((levels(&outcome), stage.is_whole()), (5, true));
    assert_eq!(stage.manners.retries().total(), 1);
    // Requests that had their place in the queue already are sent. After them no request is sent for seven seconds.
    let refused_at = stage.asked[1].1 + stage.answer_takes;
    let held =
        stage.asked.iter().filter(|(_, at)| refused_at < *at && *at < refused_at + ms(7_000));
    assert!(held.count() < stage.workers, "{:?}", stage.asked);
}

#[test]
fn who_is_sent_away_for_long_leaves_and_keeps_what_was_read() {
    let (mut stage, jobs) = five(30);
    stage.faults = [Fault::None, Fault::None, Fault::Status(503, Some(ms(600_000)))].into();
    let outcome = stage.pass(jobs, 1);
    assert!(matches!(outcome.stop, Stop::ComeBackLater(_)));
    assert_eq!((stage.asked.len(), outcome.tally.pages, stage.stored.len()), (3, 2, 8));
    assert!(stage.checkpoints.values().all(|row| row.failures == 0), "nobody failed");
}

#[test]
fn a_signal_ends_it_after_the_batch_in_hand() {
    let (mut stage, jobs) = five(200);
    (stage.answer_takes, stage.signal_at) = (ms(20), Some(ms(400)));
    let outcome = stage.pass(jobs, 1);
    assert_eq!(outcome.stop, Stop::Signal);
    assert_eq!(stage.asked.len(), 20);
    assert!(!stage.commits.is_empty());
    let lost = 20 - outcome.tally.pages;
    assert!(lost <= u64::try_from(stage.workers).unwrap(), "only what was on its way: {lost}");
}

#[test]
fn a_batch_is_committed_when_it_is_large_or_old() {
    let mut stage = Stage::new(&["KXA"], 110_000);
    (stage.rows_per_page, stage.answer_takes) = (1_000, ms(1));
    let jobs = vec![Job::Market(stage.fresh("KXA"))];
    stage.pass(jobs, 1);
    let rows: Vec<usize> = stage.commits.iter().map(|(rows, _)| *rows).collect();
    assert_eq!(rows.iter().sum::<usize>(), 110_000);
    assert_eq!(rows[..2], [50_000, 50_000], "as soon as there are fifty thousand");

    let mut stage = Stage::new(&["KXA"], 60);
    stage.answer_takes = ms(140);
    let jobs = vec![Job::Market(stage.fresh("KXA"))];
    stage.pass(jobs, 1);
    let begun: Vec<u128> = stage.commits.iter().map(|(_, at)| at.as_millis()).collect();
    let spans: Vec<u128> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(spans[..2].iter().all(|span| (500..900).contains(span)), "{begun:?}");
}

#[test]
fn a_market_that_is_refused_does_not_keep_the_others() {
    let (mut stage, jobs) = five(10);
    stage.faults = [Fault::Status(404, None)].into();
    let outcome = stage.pass(jobs, 1);
    assert_eq!((levels(&outcome), outcome.done.len()), (4, 5));
    assert_eq!(stage.checkpoints.values().map(|row| row.failures).sum::<u32>(), 1);

    let (mut stage, jobs) = five(10);
    stage.faults = [Fault::Status(403, None)].into();
    let outcome = stage.pass(jobs, 1);
    assert_eq!((outcome.stop, stage.asked.len()), (Stop::Forbidden, 1), "but this holds for all");
}

fn fault() -> impl Strategy<Value = Fault> {
    let wait = prop::option::of((0..70_000_u64).prop_map(ms));
    prop_oneof![
        6 => Just(Fault::None),
        1 => (prop::sample::select(vec![429, 503, 404, 403]), wait)
            .prop_map(|(status, wait)| Fault::Status(status, wait)),
        1 => Just(Fault::Silence),
        1 => Just(Fault::CursorRefused),
        1 => Just(Fault::Foreign),
    ]
}

proptest! {
    /// The exchange, the store, the clock and the order may do anything. A pass still ends within its budget plus the
    /// time of the work that it had begun, stores every trade that it counts, and claims no trade that is not stored.
    /// Later passes without a fault store all trades.
    #[test]
    fn no_order_and_no_fault_loses_a_trade(
        seed in any::<u64>(),
        faults in vec(fault(), 0..40),
        (workers, trades) in (1..6_usize, 1..60_usize),
        (answer_takes, commit_takes) in (1..400_u64, 1..300_u64),
        budget in 500..20_000_u64,
        signal_at in prop::option::weighted(0.2, (0..10_000_u64).prop_map(ms)),
        commits_max in prop_oneof![3 => Just(usize::MAX), 1 => 0..4_usize],
        is_of_tape in any::<bool>(),
    ) {
        let mut stage = Stage::new(&MARKETS, trades);
        stage.faults = faults.into();
        (stage.workers, stage.signal_at, stage.commits_max) = (workers, signal_at, commits_max);
        (stage.answer_takes, stage.commit_takes) = (ms(answer_takes), ms(commit_takes));
        stage.budget = ms(budget);
        let jobs = if is_of_tape {
            // Everything below that is stored already.
            let riders = MARKETS.iter().map(|market| stage.level(market, 500)).collect();
            vec![Job::Tape { tape: None, riders }]
        } else {
            MARKETS.iter().map(|market| Job::Market(stage.fresh(market))).collect()
        };
        let outcome = stage.pass(jobs, seed);
        let late_max = ms(answer_takes + 2 * commit_takes + 550);
        prop_assert!(stage.elapsed <= ms(budget) + late_max, "it ended at {:?}", stage.elapsed);
        let stored = u64::try_from(stage.stored.len()).unwrap();
        prop_assert_eq!(outcome.tally.events_ingested, stored);
        prop_assert!(outcome.done.len() <= 6);
        let ended: usize = outcome.done.iter().map(|done| done.scopes.len()).sum();
        prop_assert_eq!(ended + outcome.unread, 5);
        for (scope, row) in &stage.checkpoints {
            let Some(until) = row.complete_until else { continue };
            let is_claimed = |at| at < until;
            let missing = stage.trades.iter().find(|trade| {
                scope.is_market(&trade.market)
                    && is_claimed(trade.traded_at)
                    && !stage.stored.contains(&*trade.trade_id)
                    && !is_of_tape
            });
            prop_assert!(missing.is_none(), "claimed and not stored: {missing:?}");
        }
        for seed in 0..3 {
            (stage.elapsed, stage.budget, stage.signal_at) = (ms(0), ms(1_000_000), None);
            (stage.commits_max, stage.manners) = (usize::MAX, Stage::new(&[], 0).manners);
            stage.faults.clear();
            stage.pass(stage.checkpoints.values().cloned().map(Job::Market).collect(), seed);
        }
        prop_assert!(stage.is_whole(), "{:?}", stage.checkpoints);
        prop_assert!(stage.checkpoints.contains_key(&ticker("KXA").into()));
    }
}
