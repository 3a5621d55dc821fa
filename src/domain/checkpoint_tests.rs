//! The rules by which a checkpoint moves.

use super::*;
use crate::domain::ticker::Ticker;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn window(from: Option<i64>, until: i64) -> Window {
    Window::new(from.map(at), at(until)).unwrap()
}

fn completed(window: Window) -> Progress {
    Progress::Completed(Completed {
        window: Some(window),
        anchor: None,
        footing: None,
        level: None,
        is_ridden: false,
    })
}

fn first() -> Checkpoint {
    Checkpoint::first(Ticker::new("KX").unwrap(), at(1))
}

#[test]
fn a_window_has_whole_seconds_and_runs_forward() {
    let half = Timestamp::from_micros(1_500_000);
    assert!(Window::new(Some(half), at(9)).is_none(), "a fraction below");
    assert!(Window::new(None, half).is_none(), "a fraction above");
    assert!(Window::new(Some(at(9)), at(8)).is_none(), "backwards");
    assert!(Window::new(Some(at(9)), at(9)).is_some(), "empty is fine");
}

#[test]
fn the_lower_edge_is_that_of_the_first_window() {
    let change = Change {
        progress: vec![completed(window(Some(10), 20)), completed(window(Some(20), 30))],
        ..Change::default()
    };
    let next = first().after(&change, 1, at(31)).0;
    assert_eq!((next.complete_from, next.complete_until), (Some(at(10)), Some(at(30))));
}

#[test]
fn completeness_never_moves_back() {
    let mut checkpoint = first();
    for (until, held) in [(60, 60), (120, 120), (90, 120)] {
        let progress = vec![completed(window(Some(10), until))];
        checkpoint = checkpoint.after(&Change { progress, ..Change::default() }, 1, at(200)).0;
        assert_eq!(checkpoint.complete_until, Some(at(held)), "after {until}");
    }
}

#[test]
fn a_cursor_that_a_failure_followed_is_forgotten() {
    let walk = OpenWalk {
        window: window(None, 60),
        cursor: Some("c1".into()),
        low: Some(at(30)),
        anchor: None,
    };
    let went_on = Change { progress: vec![Progress::Continues(walk.clone())], ..Change::default() };
    let open = first().after(&went_on, 1, at(62)).0;
    assert_eq!(open.walk, Some(walk.clone()));
    let failed = Change { error: Some("gone".into()), ..Change::default() };
    let after = open.after(&failed, 1, at(63)).0.walk;
    assert_eq!(after, Some(OpenWalk { cursor: None, ..walk.clone() }), "time leads on");
    let again = open.after(&failed, 1, at(63)).0.after(&went_on, 1, at(64)).0.walk;
    assert_eq!(again, Some(walk), "a new one is as good as any");
}

#[test]
fn a_failure_is_remembered_until_a_window_is_complete() {
    let failed = Change { error: Some("gone".into()), ..Change::default() };
    let twice = first().after(&failed, 1, at(2)).0.after(&failed, 1, at(3)).0;
    assert_eq!((twice.failures, twice.last_error.as_deref()), (2, Some("gone")));
    let done = Change { progress: vec![completed(window(None, 60))], ..Change::default() };
    let healed = twice.after(&done, 1, at(4)).0;
    assert_eq!((healed.failures, healed.last_error), (0, None));
}

fn after(row: &Checkpoint, run: i64, progress: Progress) -> Checkpoint {
    row.after(&Change { progress: vec![progress], ..Change::default() }, run, at(99)).0
}

fn silent(until: i64) -> Progress {
    let level = Some(TopEdge { quiet_until: Some(at(until)) });
    Progress::Completed(Completed {
        window: None,
        anchor: None,
        footing: None,
        level,
        is_ridden: false,
    })
}

#[test]
fn silence_is_carried_as_far_as_two_passes_agree() {
    let once = after(&first(), 1, silent(60));
    assert_eq!((once.carried_until, once.quiet.map(|quiet| quiet.until)), (None, Some(at(60))));
    let same = after(&once, 1, silent(70));
    assert_eq!(same, Checkpoint { version: 2, ..once.clone() }, "the same pass is one witness");
    let twice = after(&once, 2, silent(120));
    assert_eq!(twice.carried_until, Some(at(60)), "the earlier of the two");
    let older = after(&twice, 3, silent(30));
    assert_eq!(older.carried_until, Some(at(60)), "an old answer takes nothing back");
    let news = TopEdge { quiet_until: None };
    let Progress::Completed(silence) = silent(1) else { unreachable!() };
    let news = Completed { level: Some(news), ..silence };
    let traded = after(&twice, 3, Progress::Completed(news));
    assert_eq!((traded.quiet, traded.carried_until), (None, Some(at(60))));
}

#[test]
fn a_false_claim_takes_along_all_that_rests_on_it() {
    let row = Checkpoint {
        complete_from: Some(at(10)),
        complete_until: Some(at(60)),
        checked_until: Some(at(80)),
        carried_until: Some(at(70)),
        quiet: Some(Quiet { until: at(80), run: 1 }),
        ..first()
    };
    let corrected = |claim, proven: Option<i64>| {
        let (proven, reason) = (proven.map(at), "it is false");
        after(&row, 2, Progress::Corrected(Correction { claim, claimed: at(60), proven, reason }))
    };
    let edges = |row: &Checkpoint| (row.complete_from, row.complete_until);
    let lowered = corrected(Claim::CompleteUntil, Some(40));
    assert_eq!(edges(&lowered), (Some(at(10)), Some(at(40))));
    let heard = (lowered.checked_until, lowered.carried_until, lowered.quiet);
    assert_eq!(heard, (None, None, None), "silence was heard above that claim");
    let below = corrected(Claim::CompleteUntil, Some(5));
    assert_eq!(edges(&below), (Some(at(5)), Some(at(5))), "nothing is left of it");
    assert_eq!(edges(&corrected(Claim::CompleteUntil, None)), (None, None));
    assert_eq!(edges(&corrected(Claim::CompleteFrom, Some(20))), (Some(at(20)), Some(at(60))));
    let checked = corrected(Claim::CheckedUntil, Some(50));
    assert_eq!((checked.checked_until, checked.carried_until), (Some(at(50)), Some(at(70))));
    let lost = corrected(Claim::Anchor(None), None);
    assert_eq!((lost.anchor, lost.carried_until, lost.quiet), (None, None, None));
    let columns = [Claim::CompleteUntil, Claim::CompleteFrom, Claim::CheckedUntil];
    let columns = columns.map(|claim| claim.as_str());
    assert_eq!(columns, ["complete_until", "complete_from", "checked_until"]);
    assert_eq!(Claim::Anchor(None).as_str(), "anchor_at");
}

#[test]
fn what_is_left_is_noted_when_it_becomes_less_and_forgotten_once_level() {
    let left = |row: &Checkpoint, seconds: u64, now: i64| {
        let left = Some(Duration::from_secs(seconds));
        row.after(&Change { left, ..Change::default() }, 1, at(now)).0
    };
    let noted = |row: &Checkpoint| row.left.map(|left| (left.span.as_secs(), left.since));
    let begun = left(&first(), 100, 10);
    assert_eq!((noted(&begun), begun.version), (Some((100, at(10))), 1));
    assert_eq!(noted(&left(&begun, 100, 20)), Some((100, at(10))), "as much as before");
    assert_eq!(noted(&left(&begun, 120, 20)), Some((100, at(10))), "more");
    let less = left(&begun, 90, 20);
    assert_eq!(noted(&less), Some((90, at(20))));
    assert_eq!(noted(&left(&after(&less, 1, silent(30)), 80, 40)), None);
    assert_eq!(Left::of_seconds(1.5, at(1)).map(|left| left.span.as_millis()), Some(1_500));
    assert_eq!(Left::of_seconds(-1.0, at(1)), None, "somebody else wrote that");
}

#[test]
fn a_market_is_known_by_its_claim_or_by_what_was_heard() {
    let known = |until: Option<i64>, checked: Option<i64>| {
        let (complete_until, checked_until) = (until.map(at), checked.map(at));
        Checkpoint { complete_until, checked_until, ..first() }.known_until()
    };
    assert_eq!(known(None, None), None);
    assert_eq!(known(Some(60), Some(50)), Some(at(60)));
    assert_eq!(known(Some(60), Some(70)), Some(at(70)));
    assert_eq!(known(None, Some(70)), Some(at(70)));
}

/// A market that never traded counts as complete up to the instant on which two passes agreed, and as far as the tape
/// goes on from there.
#[test]
fn the_claim_of_a_silent_market_carries_it_nowhere() {
    let claimed = Completed {
        window: Some(window(None, 100)),
        anchor: None,
        footing: None,
        level: Some(TopEdge { quiet_until: Some(at(105)) }),
        is_ridden: false,
    };
    let once = after(&first(), 1, Progress::Completed(claimed.clone()));
    assert_eq!((once.complete_until, once.carried_until()), (Some(at(100)), None), "one pass");
    let later = Completed { window: Some(window(Some(100), 160)), ..claimed.clone() };
    let twice = after(&once, 2, Progress::Completed(later));
    assert_eq!((twice.complete_until, twice.carried_until()), (Some(at(160)), Some(at(105))));
    for (from, carried, why) in [
        (Some(105), 220, "the tape goes on there"),
        (Some(60), 220, "and below"),
        (Some(106), 105, "there is a gap"),
    ] {
        let window = Some(window(from, 220));
        let alone = Completed { window, level: None, ..claimed.clone() };
        let carried_alone = after(&twice, 3, Progress::Completed(alone.clone())).carried_until();
        assert_eq!(carried_alone, Some(at(105)), "one pass alone");
        let rode = Completed { is_ridden: true, ..alone };
        let rode = after(&twice, 3, Progress::Completed(rode));
        assert_eq!(rode.carried_until(), Some(at(carried)), "{why}");
    }
    let anchor = Some(Anchor { at: at(150), id: None });
    let traded = after(&twice, 3, Progress::Completed(Completed { anchor, ..claimed }));
    assert_eq!(traded.carried_until(), Some(at(160)), "a claim that rests on a trade");
}

#[test]
fn who_was_silent_and_speaks_is_read_for_the_first_time_again() {
    let row = Checkpoint { complete_until: Some(at(60)), level_at: Some(at(60)), ..first() };
    let spoke = after(&row, 2, Progress::Spoke);
    assert_eq!((spoke.complete_until, spoke.level_at), (Some(at(60)), None));
    let false_claim = Correction {
        claim: Claim::CompleteUntil,
        claimed: at(60),
        proven: None,
        reason: "it is false",
    };
    let refuted = after(&row, 2, Progress::Corrected(false_claim));
    assert_eq!((refuted.complete_until, refuted.level_at), (None, None));
}
