//! The planner: the markets that are read alone, the riders of the tape, and the order.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::checkpoint::{OpenWalk, Window};
use super::super::evidence::Anchor;
use super::super::scope::Scope;
use super::super::ticker::Ticker;
use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// An average evening: the tape has 7 pages for three minutes.
const OUTLOOK: Outlook = Outlook {
    now: NOW,
    tape: TapeRate::of(2_144.0 / 60.0),
    overlap: Duration::from_secs(120),
    tape_since: Timestamp::from_seconds(1_000_000 - 3_600),
};

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.second() - seconds)
}

fn fresh(name: &str) -> Checkpoint {
    Checkpoint::first(Scope::parse(name).unwrap(), ago(0))
}

/// The same checkpoint, read to its end if it has a claim.
fn read(row: Checkpoint) -> Checkpoint {
    let at = row.complete_until;
    Checkpoint { level_at: at, anchor: at.map(|at| Anchor { at, id: None }), ..row }
}

/// A level market that is complete up to `seconds_ago` seconds ago.
fn level(name: &str, seconds_ago: i64) -> Checkpoint {
    read(Checkpoint { complete_until: Some(ago(seconds_ago)), ..fresh(name) })
}

fn open(row: Checkpoint, from: Option<i64>) -> Checkpoint {
    let window = Window::new(from.map(ago), ago(0)).unwrap();
    Checkpoint { walk: Some(OpenWalk { window, cursor: None, low: None, anchor: None }), ..row }
}

fn claiming_from(row: Checkpoint, seconds_ago: i64) -> Checkpoint {
    Checkpoint { complete_from: Some(ago(seconds_ago)), ..row }
}

/// The jobs as text: `[* A B]` for the tape and its riders, then the markets read alone.
fn text(jobs: &[Job]) -> String {
    let name = |row: &Checkpoint| row.scope.to_string();
    let words = jobs.iter().map(|job| match job {
        Job::Market(row) => name(row),
        Job::Tape { tape, riders } => {
            let mut riders: Vec<String> = riders.iter().map(name).collect();
            riders.sort();
            let names: Vec<String> = tape.iter().map(name).chain(riders).collect();
            format!("[{}]", names.join(" "))
        }
        Job::Slice { slice, .. } => panic!("a slice is of no pass: {slice:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// This many level markets, all complete up to a minute ago.
fn many(count: usize) -> Vec<Checkpoint> {
    (0..count).map(|at| level(&format!("M{at:04}"), 60)).collect()
}

#[test]
fn many_level_markets_ride_on_the_tape_and_few_are_read_alone() {
    // A minute and the overlap hold 6,432 trades, which are 7 pages.
    for (count, readings, why) in [
        (0, 0, "nothing to do"),
        (1, 1, "a tape for one is never cheaper"),
        (3, 3, "3 requests instead of 7"),
        (7, 7, "as many: a market alone fails alone"),
        (8, 1, "7 requests instead of 8"),
        (1_000, 1, "7 requests instead of 1,000"),
    ] {
        let planned = plan(many(count), OUTLOOK);
        assert_eq!(planned.len(), readings, "{count} markets: {why}");
        let is_tape = matches!(planned.first(), Some(Job::Tape { tape: None, .. }));
        assert_eq!(is_tape, count > 7, "{count} markets: {why}");
    }
    let busiest = Outlook { tape: TapeRate::of(4_000.0 / 60.0), ..OUTLOOK };
    assert_eq!(plan(many(12), busiest).len(), 12, "12 pages as long as nobody has counted");
    assert_eq!(plan(many(13), busiest).len(), 1, "and then it is cheaper");
    let mut markets = many(9);
    markets.push(level("A", 90));
    assert_eq!(plan(markets, OUTLOOK).len(), 1, "one page more for one market more: it rides");
    for tape_rate in [f64::MAX, f64::INFINITY, 1e30] {
        let flood = Outlook { tape: TapeRate::of(tape_rate), ..OUTLOOK };
        assert_eq!(plan(many(20), flood).len(), 20, "more pages than can be counted are too many");
    }
    let still = Outlook { tape: TapeRate::of(0.0), ..OUTLOOK };
    assert_eq!(plan(many(2), still).len(), 1, "one page at least, for two markets");
}

#[test]
fn the_tape_reaches_as_far_down_as_it_pays() {
    let mut markets = many(20);
    markets.push(level("HOUR", 3_600));
    markets.push(level("DAY", 86_400));
    let planned = plan(markets, OUTLOOK);
    assert_eq!(planned.len(), 3, "the hour would cost 126 pages more, the day 3,000");
    assert!(text(&planned).ends_with("] DAY HOUR"), "{}", text(&planned));
    let mut markets = many(20);
    markets.extend((0..130).map(|at| level(&format!("HOUR{at}"), 3_600)));
    assert_eq!(plan(markets, OUTLOOK).len(), 1, "for 130 markets the hour pays");
}

#[test]
fn what_is_not_level_is_read_alone_whoever_rides() {
    let mut markets = many(20);
    markets.push(fresh("NEW"));
    markets.push(open(level("OPEN", 60), Some(60)));
    markets.push(open(fresh("FIRST"), None));
    let planned = text(&plan(markets.clone(), OUTLOOK));
    assert!(
        planned.starts_with("[M0000 ") && planned.ends_with("M0019] OPEN FIRST NEW"),
        "{planned}"
    );
    markets.push(level("*", 60));
    let planned = text(&plan(markets, OUTLOOK));
    assert!(
        planned.starts_with("[* M0000 ") && planned.ends_with("M0019] OPEN FIRST NEW"),
        "{planned}"
    );
}

#[test]
fn a_tape_that_was_selected_is_read_once_and_takes_along_whoever_it_covers() {
    let of_tape =
        |tape: &Checkpoint, row: Checkpoint| text(&plan(vec![row, tape.clone()], OUTLOOK));
    let tape = level("*", 600);
    assert_eq!(text(&plan(vec![tape.clone()], OUTLOOK)), "[*]", "without riders");
    for (row, planned, why) in [
        (level("A", 60), "[* A]", "one rider is enough"),
        (level("A", 600), "[* A]", "the tape begins there"),
        (level("A", 630), "[* A]", "or a little deeper"),
        (level("A", 631), "[*] A", "there would be a gap"),
        (claiming_from(level("A", 631), 750), "[* A]", "but not within the overlap of the tape"),
        (claiming_from(level("A", 631), 751), "[*] A", "below it there would"),
        (
            level("A", -60),
            "[*] A",
            "what lies ahead of the clock cannot be true: it is put right alone",
        ),
    ] {
        assert_eq!(of_tape(&tape, row), planned, "{why}");
    }
    let young = claiming_from(level("*", 600), 630);
    for (row, planned, why) in [
        (level("A", 510), "[* A]", "its overlap ends where the tape was first read"),
        (level("A", 511), "[*] A", "a part of its overlap was never read"),
        (claiming_from(level("A", 511), 630), "[* A]", "it claims no more"),
        (claiming_from(level("A", 511), 631), "[*] A", "a second of its overlap was never read"),
    ] {
        assert_eq!(of_tape(&young, row), planned, "{why}");
    }
    let new = fresh("*");
    for (row, planned, why) in [
        (level("A", 3_480), "[* A]", "an hour ago, and its overlap"),
        (level("A", 3_481), "[*] A", "there is no overlap below the first window"),
        (claiming_from(level("A", 3_590), 3_600), "[* A]", "it claims nothing below"),
        (level("A", 3_601), "[*] A", "below where the tape begins"),
    ] {
        assert_eq!(of_tape(&new, row), planned, "{why}");
    }
    let inherited = open(level("*", 60), Some(600));
    assert_eq!(of_tape(&inherited, level("A", 599)), "[* A]", "its window began there");
    assert_eq!(of_tape(&inherited, level("A", 601)), "[*] A", "not below");
    let unbounded = open(fresh("*"), None);
    assert_eq!(of_tape(&unbounded, level("A", 90_000)), "[* A]", "it has no lower edge");
}

#[test]
fn the_stalest_come_first_and_those_that_fail_last() {
    let failing = |row: Checkpoint, failures| Checkpoint { failures, ..row };
    let markets = vec![
        failing(level("FAILS-TWICE", 900), 2),
        level("B", 60),
        failing(level("FAILS", 50), 1),
        fresh("NEW"),
        level("STALE", 700),
        level("A", 60),
    ];
    let planned = text(&plan(markets, OUTLOOK));
    assert_eq!(planned, "STALE A B NEW FAILS FAILS-TWICE", "the same order whatever came in");
}

/// A random checkpoint of a market.
fn row() -> impl Strategy<Value = Checkpoint> {
    let until = prop::option::weighted(0.9, prop_oneof![-100..200_i64, 0..9_000_i64]);
    (until, prop::option::of(0..9_000_i64), any::<u8>(), 0..2_u32).prop_map(
        |(until, from, walk, failures)| {
            let complete_from = from.filter(|_| until.is_some()).map(ago).min(until.map(ago));
            let complete_until = until.map(ago);
            let row = read(Checkpoint { complete_from, complete_until, failures, ..fresh("M") });
            if walk < 30 { open(row, until.map(|until| until.max(0))) } else { row }
        },
    )
}

/// Random checkpoints with names in their order. The last one is the tape, if it was selected.
fn rows() -> impl Strategy<Value = Vec<Checkpoint>> {
    (vec(row(), 0..40), prop::option::of(row())).prop_map(|(rows, tape)| {
        let named =
            |(at, row)| Checkpoint { scope: Ticker::new(&format!("M{at}")).unwrap().into(), ..row };
        let tape = tape.map(|row| Checkpoint { scope: Scope::Tape, ..row });
        rows.into_iter().enumerate().map(named).chain(tape).collect()
    })
}

fn parts(jobs: &[Job]) -> (Vec<&Checkpoint>, Vec<&Checkpoint>, usize) {
    let (mut riders, mut alone, mut tapes) = (Vec::new(), Vec::new(), 0);
    for job in jobs {
        match job {
            Job::Market(row) => alone.push(row),
            Job::Tape { riders: aboard, .. } => {
                riders.extend(aboard);
                tapes += 1;
            }
            Job::Slice { slice, .. } => panic!("a slice is of no pass: {slice:?}"),
        }
    }
    (riders, alone, tapes)
}

/// The number of requests if the `riders` freshest markets are read from the tape and the rest alone. The rate is in
/// quarters of a trade a second.
fn requests(untils: &[Timestamp], riders: usize, rate_quarters: u32, overlap: u32) -> usize {
    let Some(stalest) = riders.checked_sub(1).map(|last| untils[last]) else { return untils.len() };
    let span = NOW.since(stalest).as_secs() + u64::from(overlap);
    let pages = (span * u64::from(rate_quarters)).div_ceil(4_000).max(1);
    usize::try_from(pages).unwrap() + untils.len() - riders
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_market_is_read_once_by_the_fewest_requests(
        rows in rows(),
        rate_quarters in 0..400_u32,
        overlap in 0..300_u32,
    ) {
        let tape = TapeRate::of(f64::from(rate_quarters) / 4.0);
        let outlook =
            Outlook { tape, overlap: Duration::from_secs(overlap.into()), ..OUTLOOK };
        let planned = plan(rows.clone(), outlook);
        let (riders, alone, tapes) = parts(&planned);
        let name = |row: &&Checkpoint| row.scope.clone();
        let mut read: Vec<Scope> = riders.iter().chain(&alone).map(name).collect();
        let is_tape_selected = rows.last().is_some_and(|row| row.scope.is_tape());
        if is_tape_selected {
            read.push(Scope::Tape);
        }
        let all: BTreeSet<Scope> = rows.iter().map(|row| row.scope.clone()).collect();
        prop_assert_eq!(read.len(), all.len(), "nobody twice");
        prop_assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), all, "nobody left out");
        let latest = NOW.after(CLOCK_SLACK);
        let is_level = |row: &&Checkpoint| {
            row.walk.is_none() && row.complete_until.is_some_and(|until| until <= latest)
        };
        prop_assert!(riders.iter().all(is_level), "there would be a gap");
        let rank = |row: &&Checkpoint| {
            (row.failures, row.complete_until.unwrap_or(row.first_selected_at))
        };
        prop_assert!(alone.iter().is_sorted_by_key(rank), "stalest first, failing last");
        prop_assert_eq!(tapes, usize::from(is_tape_selected || !riders.is_empty()));
        let is_first = planned.iter().skip(1).all(|job| matches!(job, Job::Market(_)));
        prop_assert!(is_first, "many wait for the tape");
        if is_tape_selected {
            return Ok(());
        }
        let mut untils: Vec<Timestamp> =
            rows.iter().filter(is_level).filter_map(|row| row.complete_until).collect();
        untils.sort_by_key(|until| std::cmp::Reverse(*until));
        let chosen = requests(&untils, riders.len(), rate_quarters, overlap);
        for count in 0..=untils.len() {
            let others = requests(&untils, count, rate_quarters, overlap);
            prop_assert!(chosen <= others, "{} riders: {chosen}, {count}: {others}", riders.len());
        }
        let freshest: Vec<Timestamp> = untils[..riders.len()].to_vec();
        let chosen: Vec<Timestamp> = riders.iter().filter_map(|row| row.complete_until).collect();
        prop_assert_eq!(chosen, freshest, "each rider makes the tape as long as the stalest is stale");
    }

    #[test]
    fn no_figure_is_too_large(
        untils in vec(any::<i64>(), 2..5),
        now in any::<i64>(),
        tape_rate in any::<f64>(),
        overlap in 0..3_650 * 86_400_u64,
    ) {
        let (now, overlap) = (Timestamp::from_micros(now), Duration::from_secs(overlap));
        let row = |(at, until): (usize, &i64)| {
            let complete_until = Some(Timestamp::from_micros(*until));
            read(Checkpoint { complete_until, ..fresh(&format!("M{at}")) })
        };
        let rows: Vec<Checkpoint> = untils.iter().enumerate().map(row).collect();
        let outlook = Outlook { now, tape: TapeRate::of(tape_rate), overlap, tape_since: now };
        let planned = plan(rows, outlook);
        let (riders, alone, _) = parts(&planned);
        prop_assert_eq!(riders.len() + alone.len(), untils.len());
    }
}
