//! The tape as transcripts: who rides, what is kept of it, what that proves.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::domain::batch::{Batch, CheckpointUpdate, Ledger, Receipt};
use crate::domain::page::End;
use crate::domain::walk::tests::transcript::{
    RULES, change_rule, page_from, request_text, state_from, state_text, time,
};

#[path = "tape_properties.rs"]
mod properties;

/// Plays a transcript, written as those of the walk are, with these lines instead of `have`:
///
/// * `have MARKET STATE` sets a checkpoint, `of-all` and `of-riders` begin a walk: everything but
///   the tape's own `*` rides. `as-of MARKET TIME`: our clock when it was completed.
/// * `ask REQUEST | ANSWER | ROWS | CHANGES`: all checkpoints that are changed, with `;` between.
/// * `left MARKETS` are those left out since the line before.
fn play(transcript: &str) {
    let mut rules = RULES;
    let mut held: BTreeMap<Ticker, Checkpoint> = BTreeMap::new();
    let mut walk = None;
    let mut reason = "";
    for line in transcript.lines().map(str::trim) {
        let why = format!("{line}\n  because {reason}");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            "#" => reason = rest,
            "rules" => rest.split(' ').for_each(|change| change_rule(&mut rules, change)),
            "have" => {
                let (name, state) = rest.split_once(' ').unwrap();
                let market = ticker(name);
                held.insert(market.clone(), Checkpoint { market, ..state_from(state) });
            }
            "as-of" => {
                let (name, at) = rest.split_once(' ').unwrap();
                held.get_mut(&ticker(name)).unwrap().complete_as_of = Some(time(at));
            }
            "of-all" | "of-riders" => {
                let (tapes, riders): (Vec<_>, Vec<_>) =
                    held.values().cloned().partition(|row| row.market.is_tape());
                walk = Some(match word {
                    "of-all" => TapeWalk::of_all(&tapes[0], &riders, rules),
                    _ => TapeWalk::of_riders(&riders, rules),
                });
            }
            "ask" => ask(walk.as_mut().unwrap(), &mut held, rest, &why),
            "refused" => walk.as_mut().unwrap().walk_mut().cursor_refused(),
            "left" => {
                let mut left = walk.as_mut().unwrap().take_misdated();
                left.sort();
                let names: Vec<&str> = left.iter().map(Ticker::as_str).collect();
                assert_eq!(names.join(" "), rest, "{why}");
            }
            "level" => {
                assert_eq!(walk.as_ref().unwrap().next(), Step::Done(End::Level), "{why}");
            }
            "guarded" => {
                let end = walk.as_ref().unwrap().next();
                let Step::Done(End::Guarded(guard)) = end else { panic!("{why}") };
                assert_eq!(format!("{guard:?}"), rest, "{why}");
            }
            "cut" => assert!(matches!(walk.as_ref().unwrap().next(), Step::Fetch(_)), "{why}"),
            _ => panic!("{line}"),
        }
    }
}

fn ask(walk: &mut TapeWalk, held: &mut BTreeMap<Ticker, Checkpoint>, rest: &str, why: &str) {
    let columns: Vec<&str> = rest.split('|').map(str::trim).collect();
    let [request, answer, rows, moved] = columns[..] else { panic!("{why}") };
    let Step::Fetch(asked) = walk.next() else { panic!("it is over: {why}") };
    assert!(asked.market.is_tape(), "{why}");
    assert_eq!(request_text(&asked), request, "{why}");
    let mut batch = Batch::default();
    batch.push(walk.page(page_from(answer)));
    let mut ledger = Ledger::new(held.values().cloned());
    let commit = batch.seal(&ledger, time("0"));
    let mut stored = String::new();
    for row in commit.rows() {
        let mark = if row.late_by.is_some() { "*" } else { "" };
        write!(stored, "{}{mark} ", row.event.trade.trade_id).unwrap();
    }
    for row in commit.rejected() {
        write!(stored, "!{} ", row.payload).unwrap();
    }
    assert_eq!(stored.trim_end(), rows, "{why}");
    ledger.committed(commit, &Receipt::default());
    let mut states = Vec::new();
    for (market, before) in held {
        let after = ledger.get(market).unwrap().clone();
        let text = state_text(&after);
        if text != state_text(before) {
            states.push(format!("{market} {text}"));
        }
        *before = after;
    }
    assert_eq!(states.join("; "), moved, "{why}");
}

fn ticker(name: &str) -> Ticker {
    if name == "*" { Ticker::tape() } else { Ticker::new(name).unwrap() }
}

#[test]
fn one_window_completes_every_rider_in_the_commit_of_its_last_page() {
    play(
        "have A done ..95
         have B done 50..95
         of-riders
         # C is nobody's: it is read and not kept
         ask 84..696 | @160 A:a154 B:b150 C:c149 >c1 | a b |
         # b and a below the edge are late; nothing was claimed before this page
         ask 84..156 c1 | @161 C:d120 A:e95 B:f94 A:g84.9 | e f* | A done ..155; B done 50..155
         level",
    );
}

#[test]
fn the_stalest_rider_decides_where_the_tape_begins_and_each_gains_what_it_lacks() {
    play(
        "have A done ..95
         have B done 110..120
         have C done ..155
         of-riders
         # B claims nothing below 110, so nothing of it is kept; below 120 it is late, C below 155
         ask 84..696 | @160 C:a154 B:b121 B:c119 A:d118 B:e109 A:f94 | a* b c* d f* | A done ..155; B done 110..155
         level
         # the exchange's clock is behind C
         have C done ..200
         of-riders
         ask 144..756 | @170 C:g169 | | A done ..165; B done 110..165
         level",
    );
}

#[test]
fn riders_are_completed_slice_by_slice_and_those_above_wait_their_turn() {
    play(
        "rules slice=60
         have A done ..95
         as-of A 100
         have B done ..200
         as-of B 205
         of-riders
         # B's late trades are looked for here already: the next slice will not reach down to them
         ask 84..156 | @300 A:a154 B:b150 | a b* | A done ..155
         ask 154..216 | @300 B:c214 B:d199 A:e155 | c d* e | A done ..215; B done ..215
         ask 214..276 | @300 A:f270 >c1 | f |
         # interrupted, it leaves no trace of its own: the slice begins again, from the first page on
         of-riders
         ask 204..276 | @330 A:f270 >c1 | f |
         ask 204..276 c1 | @330 | | A done ..275; B done ..275
         ask 274..336 | @331 | | A done ..326; B done ..326
         level",
    );
}

#[test]
fn without_rules_of_its_own_a_slice_of_the_tape_is_ten_minutes() {
    play(
        "have A done ..95
         of-riders
         ask 84..696 | @2000 | | A done ..695
         ask 694..1296 | @2000 | | A done ..1295
         cut",
    );
}

#[test]
fn the_tape_itself_keeps_everything_and_has_a_checkpoint_of_its_own() {
    play(
        "have * done 50..95
         have A done 120..130
         of-all
         # below its claim, too, a trade of A's is kept; c is late for the tape, d only for A
         ask 84..696 | @160 A:a154 B:b150 B:c94 >c1 | a b c* | * done 50..95 open 95..155 at c1 low 94
         of-all
         ask 84..156 c1 | @160 A:d93 | d* | * done 50..155; A done 120..155
         # what an earlier pass left half read is followed by the span since then
         ask 144..756 | @165 A:e159 | e | * done 50..160; A done 120..160
         level",
    );
}

#[test]
fn a_rider_joins_an_interrupted_tape_since_all_above_it_was_kept() {
    play(
        "have * done 50..95 open 95..155 at c1 low 120
         have A done ..150
         have B done ..170
         of-all
         # A was read alone meanwhile; what it lacked up to 155 is stored by now
         ask 84..156 c1 | @200 A:a119 | a* | * done 50..155; A done ..155
         # B joins further up
         ask 144..756 | @200 B:a171 B:b169 A:c155 A:d154 | a b* c d* | * done 50..195; A done ..195; B done ..195
         level",
    );
}

#[test]
fn a_rider_gains_nothing_where_there_would_be_a_gap() {
    play(
        "have * done ..95
         have A done ..94
         have B done ..95
         of-all
         # A's trades are kept, but who knows what was late for it in second 84
         ask 84..696 | @160 A:a154 | a | * done ..155; B done ..155
         level
         # a tape that begins at 90 is not read below that, so late trades of B might be missed
         rules since=90
         have * new
         have A done 91..95
         have B done ..99
         have C done ..100
         of-all
         ask 89..691 | @160 A:a154 C:c90 B:b89 | a c* | * done 90..155; A done 91..155; C done ..155
         level
         # nor is it later on
         have B done ..99
         have * done 90..95
         of-all
         ask 89..696 | @160 B:b89.9 | | * done 90..155
         level",
    );
}

#[test]
fn a_tape_never_read_begins_an_hour_ago() {
    play(
        "have * new
         have A done ..6399
         have B done ..6411
         of-all
         # the first answer only tells the time
         ask .. | @10000.5 A:a9999 | |
         ask 6399..7001 | @10001 A:a6400 A:b6399.9 | a | * done 6400..7000; B done ..7000
         ask 6999..7601 | @10001 A:c7000 | c | * done 6400..7600; B done ..7600
         # told by an answer from the future, it would leave out what happens until then
         have * new
         of-all
         ask .. | @90000 | |
         ask 86399..87001 | @10000 | |
         ask 6399..7001 | @10001 A:a6400 | a | * done 6400..7000
         # seconds are no reason to doubt
         have * new
         of-all
         ask .. | @10000 | |
         ask 6399..7001 | @9995 | | * done 6400..7000
         cut
         # a walk that was left open knows where it began
         have * new open ..9000 at c1 low 90
         of-all
         ask ..9001 c1 | @10000 | | * done ..9000; A done ..9000; B done ..9000
         ask 8989..9601 | @10000 | | * done ..9600; A done ..9600; B done ..9600
         cut",
    );
}

#[test]
fn a_rider_whose_checkpoint_claims_too_much_is_left_out_and_told_once() {
    play(
        "# B was completed up to 995 at 160 by our clock: it can know no more than up to 155
         have A done ..155
         as-of A 160
         have B done ..995
         as-of B 160
         of-riders
         ask 144..756 | @220 B:b211 A:a210 !B:x !A:y | a !y | A done ..215
         left B
         left
         level
         # the tape keeps its trades all the same
         have * done ..155
         of-all
         ask 144..756 | @220 B:b211 A:a210 | a* b | * done ..215
         left B
         level",
    );
}

#[test]
fn a_slice_of_the_tape_from_the_future_completes_no_rider_for_good() {
    play(
        "rules slice=600
         have A done ..95
         of-riders
         ask 84..696 | @1000 ~110 A:a103 | a | A done ..695
         ask 694..1296 | @111 ~111 A:b104 | |
         # up to 695 nothing is gained, but what has happened is stored
         ask 94..706 | @171 ~171 A:c160 A:b104 A:d100 | b* c* d* |
         level
         # and the next pass knows: it was completed at 110 by our clock
         of-riders
         ask 684..1296 | @231 ~231 | |
         left A
         level",
    );
}

#[test]
fn a_tape_that_claims_too_much_itself_is_read_again_for_its_riders_too() {
    play(
        "have * done ..995
         as-of * 160
         have A done ..155
         as-of A 160
         of-all
         ask 984..1596 | @220 A:a210 | |
         left
         ask 144..756 | @220 A:a210 B:b154 | a b* | A done ..215
         level",
    );
}

#[test]
fn what_names_no_market_may_be_anybodys_and_is_kept() {
    play(
        "have A done ..95
         of-riders
         ask 84..696 | @160 !A:x !B:y !*:z | !z !x | A done ..155
         level
         have * done ..95
         of-all
         ask 84..696 | @160 !A:x !B:y !*:z | !z !x !y | * done ..155
         level",
    );
}

#[test]
fn broken_answers_complete_nobody() {
    play(
        "have A done ..95
         of-riders
         ask 84..696 | @160 A:a154 B:b153 >c1 | a |
         ask 84..156 c1 | @160 A:c154 | |
         # the cursor was ignored; by time the tape's oldest trade has to come again, whoever's it is
         ask 84..154 | @160 B:b153 A:d120 >c2 | d |
         refused
         ask 84..121 | @160 | |
         guarded EndsTooSoon",
    );
}

#[test]
fn the_newest_trade_of_each_rider_and_of_the_tape_is_noted() {
    let row = |name: &str| Checkpoint { market: ticker(name), ..state_from("done ..95") };
    let riders = [row("A"), row("B")];
    let mut walk = TapeWalk::of_all(&row("*"), &riders, RULES);
    let mut batch = Batch::default();
    batch.push(walk.page(page_from("@160 C:c150 A:a140 B:b130 A:a120 >c1")));
    batch.push(walk.page(page_from("@160 B:b110")));
    let commit = batch.seal(&Ledger::new([row("*"), row("A"), row("B")]), time("0"));
    let updates = commit.checkpoints().iter().map(CheckpointUpdate::next);
    let newest: Vec<_> = updates.map(|row| (row.market.as_str(), row.last_trade_at)).collect();
    let expected = [("*", 150), ("A", 140), ("B", 130)];
    let expected = expected.map(|(name, second)| (name, Some(Timestamp::from_seconds(second))));
    assert_eq!(newest, expected, "C has no checkpoint; its trade is the newest of the tape");
}

#[test]
fn how_busy_the_tape_is_counts_everybodys_trades_in_the_span_that_was_read() {
    let riders = [Checkpoint { market: ticker("A"), ..state_from("done ..95") }];
    let mut walk = TapeWalk::of_riders(&riders, RULES);
    let mut batch = Batch::default();
    batch.push(walk.page(page_from("@160 A:a154 B:b150 >c1")));
    let span_of = |batch: Batch| batch.seal(&Ledger::default(), time("0")).tape();
    assert_eq!(
        span_of(std::mem::take(&mut batch)),
        TapeSpan::default(),
        "nothing is read to the end"
    );
    batch.push(walk.page(page_from("@160 C:c100 A:d84")));
    let expected = TapeSpan { trades: 3, span: Duration::from_secs(70) };
    let span = span_of(std::mem::take(&mut batch));
    assert_eq!(span, expected, "the overlap is read, too; d lies below it");
    let mut walk =
        TapeWalk::of_riders(&riders, Rules { slice: Some(Duration::from_secs(10)), ..RULES });
    batch.push(walk.page(page_from("@160 A:a104 B:b95")));
    batch.push(walk.page(page_from("@160 C:c114")));
    let expected = TapeSpan { trades: 3, span: Duration::from_secs(20 + 10) };
    assert_eq!(span_of(batch), expected, "slice by slice");
}
