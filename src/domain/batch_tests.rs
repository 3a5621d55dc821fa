//! The contents of a batch, and the part of it that is committed.

use super::super::page::Rules;
use super::super::slice_walk::{SliceKnown, SliceWalk};
use super::super::tier::Tier;
use super::super::walk::Walk;
use super::super::walk::tests::transcript::{RULES, page_from, state_from, time};
use super::*;

fn market() -> Ticker {
    Ticker::new("KX").unwrap()
}

/// A batch that holds one page of a market that was never read.
fn batch_of(answer: &str) -> Batch {
    let mut batch = Batch::default();
    batch.push(Walk::new(&state_from("new"), RULES).page(page_from(answer)));
    batch
}

fn slice() -> Slice {
    let key = SliceKey::new(market(), Tier::Archive, time("0"), time("1000")).unwrap();
    let (cursor, low) = (Some("c1".to_owned()), Some(time("500")));
    Slice { cursor, low, version: 3, ..Slice::new(key) }
}

#[test]
fn each_version_of_a_trade_is_kept_once() {
    let batch = batch_of("@100 a99 a98 b97 a97 a97 b96 a98 !x !x >c1");
    assert_eq!(batch.row_count(), 9);
    let commit = batch.seal(&Committed::default(), 1, time("100"));
    let at = |event: &RawEvent| (event.trade.trade_id.to_string(), event.trade.traded_at);
    let rows: Vec<_> = commit.rows().iter().map(|row| at(&row.event)).collect();
    let seen = |id: &str, second: &str| (id.to_owned(), time(second));
    assert_eq!(rows, [seen("a", "99"), seen("b", "97")], "as each was shown first");
    let variants: Vec<_> = commit.variants().iter().map(at).collect();
    assert_eq!(variants, [seen("a", "98"), seen("a", "97"), seen("b", "96")]);
    assert_eq!((commit.rejected().len(), commit.offered()), (1, 7));
}

#[test]
fn what_a_store_did_with_a_batch_adds_up_to_what_was_offered() {
    let commit =
        batch_of("@100 a99 b98 c97 d96 e95 f94 !x").seal(&Committed::default(), 1, time("1"));
    let conflicting = vec![commit.rejected()[0].clone()];
    let receipt =
        Receipt { inserted: vec![0, 2], rejected: vec![0], conflicting, overtaken: Vec::new() };
    assert_eq!(commit.counts(&receipt), [2, 3, 1, 1], "three were stored already");
}

#[test]
fn whatever_is_recorded_of_a_market_reaches_its_checkpoint() {
    type Record = fn(&mut Batch);
    type Look = fn(&Checkpoint) -> bool;
    let reason = "it is false";
    let (claim, claimed) = (Claim::CompleteUntil, time("95"));
    let lowered = Correction { claim, claimed, proven: Some(time("50")), reason };
    let records: [(Record, Look); 4] = [
        (|batch| batch.fail(market().into(), "gone".into()), |row| row.failures == 1),
        (
            |batch| batch.set_retirement(market().into(), Retirement::Retire),
            |row| row.retired_at.is_some(),
        ),
        (|batch| batch.leave(market().into(), Duration::from_secs(9)), |row| row.left.is_some()),
        (
            |batch| {
                batch.check(market().into(), time("200"));
                batch.check(market().into(), time("150"));
            },
            |row| row.checked_until == Some(time("200")),
        ),
    ];
    let row = Checkpoint { version: 7, ..state_from("done ..95") };
    let row = Checkpoint { level_at: None, ..row };
    let mut committed = Committed::new([row.clone()]);
    for (record, is_there) in records {
        let mut batch = Batch::default();
        assert!(batch.is_empty() && batch.row_count() == 0);
        record(&mut batch);
        assert!(!batch.is_empty());
        let commit = batch.seal(&Committed::new([row.clone()]), 1, time("300"));
        let [update] = commit.checkpoints() else { panic!("{commit:?}") };
        assert!(is_there(update.next()), "{update:?}");
        assert_eq!((update.expected_version(), update.next().version), (7, 8));
        assert!(!update.is_lowered() && update.corrections().is_empty());
    }
    let mut batch = Batch::default();
    batch.correct(market().into(), lowered.clone());
    let commit = batch.seal(&committed, 1, time("300"));
    let [update] = commit.checkpoints() else { panic!("{commit:?}") };
    assert_eq!((update.corrections(), update.is_lowered()), (&[lowered][..], true));
    committed.apply(commit, &Receipt::default());
    let held: Vec<_> = committed.iter().map(|row| (row.version, row.complete_until)).collect();
    assert_eq!(held, [(8, Some(time("50")))]);
    // No other correction moves the claim back.
    let mut batch = Batch::default();
    let (claim, claimed) = (Claim::CheckedUntil, time("95"));
    batch.correct(market().into(), Correction { claim, claimed, proven: None, reason });
    assert!(!batch.seal(&committed, 1, time("300")).checkpoints()[0].is_lowered());
}

#[test]
fn rows_and_what_they_say_of_a_slice_are_something_to_commit() {
    assert!(!batch_of("@100 a99 >c1").is_empty());
    assert!(!batch_of("@100 !x >c1").is_empty());
    let mut broken = Batch::default();
    broken.break_off(slice().key);
    assert!(!broken.is_empty());
    let mut of_slice = Batch::default();
    let known = SliceKnown { is_vouched: true, ..SliceKnown::default() };
    let mut walk = SliceWalk::new(&Slice::new(slice().key), None, known, Rules::EXACT);
    of_slice.push(walk.page(page_from("@9000")));
    assert!(of_slice.row_count() == 0 && !of_slice.is_empty(), "it shows nothing, and is complete");
}

/// The cursor is dropped, because a failure followed it. Reading by time finds the same rows.
#[test]
fn a_slice_that_is_broken_off_goes_on_by_time() {
    let after = |slice: &Slice, answer: Option<&str>| {
        let mut committed = Committed::of_slices([slice.clone()]);
        let mut batch = Batch::default();
        if let Some(answer) = answer {
            let mut walk = SliceWalk::new(slice, None, SliceKnown::default(), Rules::EXACT);
            batch.push(walk.page(page_from(answer)));
        }
        batch.break_off(slice.key.clone());
        let commit = batch.seal(&committed, 1, time("9000"));
        let changed = commit.slices().len();
        committed.apply(commit, &Receipt::default());
        let held: Vec<Slice> = committed.slices().cloned().collect();
        (changed, held)
    };
    let open = slice();
    let there = Slice { cursor: None, version: 4, ..open.clone() };
    assert_eq!(after(&open, None), (1, vec![there.clone()]), "where it was");
    let further = Slice { low: Some(time("400")), ..there };
    let answer = Some("@9000 KX:a400 >c2");
    assert_eq!(after(&open, answer), (1, vec![further]), "where it came to");
    for status in [SliceStatus::Read, SliceStatus::Complete] {
        let over = Slice { status, ..open.clone() };
        assert_eq!(after(&over, None), (0, vec![over.clone()]), "it is over");
    }
}

#[test]
fn a_market_that_another_pass_got_ahead_on_is_dropped() {
    let mut committed = Committed::new([state_from("new")]);
    let commit = batch_of("@100 a99 >c1").seal(&committed, 1, time("100"));
    let receipt = Receipt { overtaken: vec![market().into()], ..Receipt::default() };
    committed.apply(commit, &receipt);
    assert!(committed.get(&market().into()).is_none());
}
