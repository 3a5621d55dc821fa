//! The tape as transcripts: the riders, the rows that are kept, and the progress that they prove.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::domain::batch::{Batch, CheckpointUpdate, Committed, Receipt};
use crate::domain::page::End;
use crate::domain::walk::tests::transcript::{
    RULES, change_rule, page_from, request_text, state_from, state_text, time,
};

#[path = "tape_properties.rs"]
mod properties;

/// Plays a transcript. It is written as those of the walk are, with these lines instead of `have`:
///
/// * `have MARKET STATE` sets a checkpoint. `of-all` and `of-riders` begin a walk: every market except the tape's own
///   `*` is a rider. `newest @DATE TRADE` sets the remembered newest trade of the tape.
/// * `ask REQUEST | ANSWER | ROWS | CHANGES`: the changes are all changed checkpoints, with `;` between them.
fn play(transcript: &str) {
    let mut rules = RULES;
    let mut held: BTreeMap<Scope, Checkpoint> = BTreeMap::new();
    let mut walk = None;
    let mut newest = None;
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
                let market = scope(name);
                let row = state_from(state);
                // Trades of the market were seen before, unless its name begins with `SILENT`.
                let last_trade_at = row.last_trade_at.or(row.complete_until.map(|_| time("0")));
                let last_trade_at = last_trade_at.filter(|_| !name.starts_with("SILENT"));
                let row = Checkpoint { scope: market.clone(), last_trade_at, ..row };
                held.insert(market, row);
            }
            "newest" => newest = page_from(rest).newest(),
            "of-all" | "of-riders" => {
                let (tapes, riders): (Vec<_>, Vec<_>) =
                    held.values().cloned().partition(|row| row.scope.is_tape());
                walk = Some(match word {
                    "of-all" => TapeWalk::of_all(&tapes[0], &riders, rules),
                    _ => TapeWalk::of_riders(&riders, newest.clone(), rules),
                });
            }
            "ask" => ask(walk.as_mut().unwrap(), &mut held, rest, &why),
            "refused" => walk.as_mut().unwrap().walk_mut().cursor_refused(),
            "level" => {
                assert_eq!(walk.as_ref().unwrap().next(), Next::Done(End::Level), "{why}");
            }
            "guarded" => {
                let end = walk.as_ref().unwrap().next();
                let Next::Done(End::Guarded(guard)) = end else { panic!("{why}") };
                assert_eq!(format!("{guard:?}"), rest, "{why}");
            }
            "cut" => assert!(matches!(walk.as_ref().unwrap().next(), Next::Fetch(_)), "{why}"),
            _ => panic!("{line}"),
        }
    }
}

fn ask(walk: &mut TapeWalk, held: &mut BTreeMap<Scope, Checkpoint>, rest: &str, why: &str) {
    let columns: Vec<&str> = rest.split('|').map(str::trim).collect();
    let [request, answer, rows, moved] = columns[..] else { panic!("{why}") };
    let Next::Fetch(asked) = walk.next() else { panic!("it is over: {why}") };
    assert!(asked.scope.is_tape(), "{why}");
    assert_eq!(request_text(&asked), request, "{why}");
    let mut batch = Batch::default();
    batch.push(walk.page(page_from(answer)));
    let mut committed = Committed::new(held.values().cloned());
    let commit = batch.seal(&committed, 1, time("0"));
    let mut stored = String::new();
    for row in commit.rows() {
        let mark = if row.late_by.is_some() { "*" } else { "" };
        write!(stored, "{}{mark} ", row.event.trade.trade_id).unwrap();
    }
    for row in commit.rejected() {
        write!(stored, "!{} ", row.payload).unwrap();
    }
    assert_eq!(stored.trim_end(), rows, "{why}");
    committed.apply(commit, &Receipt::default());
    let mut states = Vec::new();
    for (market, before) in held {
        let after = committed.get(market).unwrap().clone();
        let text = state_text(&after);
        if text != state_text(before) {
            states.push(format!("{market} {text}"));
        }
        *before = after;
    }
    assert_eq!(states.join("; "), moved, "{why}");
}

fn scope(name: &str) -> Scope {
    Scope::parse(name).unwrap()
}

#[test]
fn one_window_completes_every_rider_in_the_commit_of_its_last_page() {
    play(
        "have A done ..95 ^x80
         have B done 50..95 ^y90
         newest @100 C:n97
         of-riders
         # C is nobody's: it is read and not kept
         ask 84.. | @160 A:a154 B:b150 C:c149 >c1 | a b |
         # b and a below the edge are late; nothing was claimed before this page
         ask 84.. c1 | @161 C:d120 C:n97 A:e95 B:f94 A:g84.9 C:h79 | e f* | A done ..154 ^a154; B done 50..154 ^b150
         level",
    );
}

#[test]
fn the_claim_ends_at_the_newest_trade_of_the_tape_whatever_the_date_says() {
    play(
        "have A done ..95 ^x90
         newest @100 C:n97
         of-riders
         ask 84.. | @9000 ~200 C:c149 C:n97 A:x90 C:d80 | x* | A done ..149 ^x90
         level
         # a tape that no longer shows what was seen there moves nobody
         have A done ..149 ^x90
         newest @150 C:c149
         of-riders
         ask 138.. | @9000 ~200 C:n97 C:d80 | |
         ask .. | @9000 ~200 C:n97 C:d80 | |
         guarded AnchorMissing",
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
         ask 84.. | @160 C:a154 B:b121 B:c119 A:d118 B:e109 A:f94 A:g80 | a* b c* d f* | A done ..154 ^d118; B done 110..154 ^b121; C done ..155 ^a154
         level",
    );
}

#[test]
fn riders_are_completed_step_by_step_and_those_above_wait_their_turn() {
    play(
        "rules step=60
         have A done ..95
         have B done ..200
         of-riders
         # the newest page says how far up there is something
         ask 84.. | @300 A:z290 B:y280 >x1 | y z |
         # B's late trades are looked for where the second step reads, not before
         ask 84..156 | @300 A:a154 B:b150 A:b1 | a b* | A done ..155 ^a154; B done ..200 ^b150
         ask 153..216 | @300 B:c214 B:d199 A:e155 A:a154 A:b2 | a* c d* e | A done ..215 ^e155; B done ..215 ^c214
         ask 213..276 | @300 A:f270 B:c214 A:b3 | c* f | A done ..275 ^f270; B done ..275 ^c214
         # the last window is bounded by its own newest trade
         ask 269.. | @300 B:g299 A:z290 B:y280 A:f270 B:c1 | f* g y z | A done ..295 ^z290; B done ..295 ^g299
         level",
    );
}

#[test]
fn the_tape_itself_keeps_everything_and_has_a_checkpoint_of_its_own() {
    play(
        "have * done 50..95 ^z94
         have A done 120..130
         of-all
         # below its claim, too, a trade of A's is kept; c is late for the tape, d only for A
         ask 84.. | @160 A:a154 B:b150 A:d125 B:z94 >c1 | a b d* z* | * done 50..95 ^z94 open 95..154 ^a154 at c1 low 94
         of-all
         ask 84..155 c1 | @160 A:e93 A:f80 | e* | * done 50..154 ^a154; A done 120..154 ^e93
         # what an earlier pass left half read is followed by the span since then
         ask 143.. | @165 A:g159 A:a154 B:b150 A:h120 | a b* g | * done 50..159 ^g159 _120; A done 120..159 ^g159
         level",
    );
}

#[test]
fn a_rider_gains_nothing_where_there_would_be_a_gap() {
    play(
        "have * done 85..95 ^z94
         have A done ..94
         have B done ..95
         of-all
         # A's trades are kept, but who knows what was late for it in second 84
         ask 84.. | @160 A:a154 B:z94 B:y80 | a z* | * done 85..154 ^a154 _94; B done ..154 ^z94
         level",
    );
}

#[test]
fn a_tape_never_read_begins_an_hour_below_its_newest_trade() {
    play(
        "have * new
         of-all
         # an answer from the future does not move that
         ask .. | @90000 ~10001 A:a9999 A:b9998 >c1 | a b |
         ask 6398..7000 | @10001 A:c6500 A:d6400 A:e6300 | c d | * done 6399..6999 ^c6500 _6500
         cut",
    );
}

#[test]
fn what_names_no_market_may_be_anybodys_and_is_kept() {
    play(
        "have A done ..95
         of-riders
         ask 84.. | @160 C:c150 !A:x !B:y !*:z C:d80 | !z !x | A done ..150
         level
         have * done ..95 ^c90
         of-all
         ask 84.. | @160 C:a150 !A:x !B:y !*:z C:c90 C:d80 | a c* !z !x !y | * done ..150 ^a150 _90
         level",
    );
}

#[test]
fn broken_answers_complete_nobody() {
    play(
        "have A done ..95
         of-riders
         ask 84.. | @160 A:a154 B:b153 >c1 | a |
         ask 84.. c1 | @160 A:c154 | |
         # the cursor was ignored; by time the tape's oldest trade has to come again, whoever's it is
         ask 84..154 | @160 B:b153 A:d120 >c2 | d |
         refused
         ask 84..121 | @160 | |
         guarded EndsTooSoon",
    );
}

#[test]
fn the_newest_trade_of_each_rider_and_of_the_tape_is_noted() {
    let row = |name: &str| Checkpoint { scope: scope(name), ..state_from("done ..95") };
    let riders = [row("A"), row("B")];
    let mut walk = TapeWalk::of_all(&row("*"), &riders, RULES);
    let mut batch = Batch::default();
    batch.push(walk.page(page_from("@160 C:c150 A:a140 B:b130 A:a120 >c1")));
    batch.push(walk.page(page_from("@160 B:b110")));
    let commit = batch.seal(&Committed::new([row("*"), row("A"), row("B")]), 1, time("0"));
    let updates = commit.checkpoints().iter().map(CheckpointUpdate::next);
    let newest: Vec<_> = updates.map(|row| (row.scope.as_str(), row.last_trade_at)).collect();
    let expected = [("*", 150), ("A", 140), ("B", 130)];
    let expected = expected.map(|(name, second)| (name, Some(Timestamp::from_seconds(second))));
    assert_eq!(newest, expected, "C has no checkpoint; its trade is the newest of the tape");
}

#[test]
fn how_busy_the_tape_is_counts_everybodys_trades_in_the_span_that_was_read() {
    let riders = [Checkpoint { scope: scope("A"), ..state_from("done ..95") }];
    let mut walk = TapeWalk::of_riders(&riders, None, RULES);
    let mut batch = Batch::default();
    batch.push(walk.page(page_from("@160 A:a154 B:b150 >c1")));
    let span_of = |batch: Batch| batch.seal(&Committed::default(), 1, time("0")).tape();
    assert_eq!(
        span_of(std::mem::take(&mut batch)),
        TapeSpan::default(),
        "nothing is read to the end"
    );
    batch.push(walk.page(page_from("@160 C:c100 A:d84")));
    let expected = TapeSpan { trades: 3, span: Duration::from_secs(69) };
    let span = span_of(std::mem::take(&mut batch));
    assert_eq!(span, expected, "the overlap is read, too; d lies below it");
    let mut walk =
        TapeWalk::of_riders(&riders, None, Rules { step: Some(Duration::from_secs(10)), ..RULES });
    batch.push(walk.page(page_from("@160 C:z119 >x1")));
    batch.push(walk.page(page_from("@160 A:a104 B:b95 B:d84")));
    batch.push(walk.page(page_from("@160 C:c114 A:a104")));
    let expected = TapeSpan { trades: 5, span: Duration::from_secs(20 + 11) };
    assert_eq!(span_of(batch), expected, "step by step");
}

/// Two passes had agreed that the market never traded. Its first trade shows that trades below it are unknown.
#[test]
fn a_rider_that_was_silent_and_speaks_is_read_alone_next() {
    play(
        "have SILENT done ..95
         have B done ..95
         of-riders
         ask 84.. | @160 SILENT:a150 B:b140 SILENT:z94 C:c80 | a b z* | B done ..150 ^b140; SILENT done ..150
         level",
    );
    let row = Checkpoint { scope: scope("SILENT"), ..state_from("done ..95") };
    let mut walk = TapeWalk::of_riders(std::slice::from_ref(&row), None, RULES);
    let mut batch = Batch::default();
    batch.push(walk.page(page_from("@160 SILENT:a150 C:c94 >c")));
    batch.push(walk.page(page_from("@160 SILENT:b93 C:c80")));
    let commit = batch.seal(&Committed::new([row]), 1, time("0"));
    let [update] = commit.checkpoints() else { panic!("{commit:?}") };
    let next = update.next();
    assert_eq!((next.level_at, &next.anchor), (None, &None), "it is not level any more");
    assert_eq!(Walk::new(next, RULES).lower_edge(), None, "and is read down to the bottom");
}

#[test]
fn only_the_newest_page_says_which_trade_of_the_tape_is_the_newest() {
    let row = Checkpoint { scope: scope("A"), ..state_from("done ..95") };
    let rules = Rules { step: Some(Duration::from_secs(60)), ..RULES };
    let mut walk = TapeWalk::of_riders(&[row], None, rules);
    for (answer, newest, why) in [
        ("@300 C:c290 >x1", Some("290"), "the newest page"),
        ("@300 A:a154 B:b150 >c1", None, "that of a step"),
        ("@300 B:d120 B:e80", None, "further down"),
        ("@300 B:f214 A:a154", None, "the next step"),
        ("@300 B:g270 B:f214", None, "and the one after it"),
        ("@300 C:h295 C:c290 B:g270", Some("295"), "the newest page of the last window"),
    ] {
        let walked = walk.page(page_from(answer));
        assert_eq!(walked.head().map(|head| head.at), newest.map(time), "{why}");
    }
    let row = Checkpoint { scope: scope("A"), ..state_from("done ..95 ^z94") };
    let walked = Walk::new(&row, RULES).page(page_from("@160 A:a150 A:z94"));
    assert_eq!(walked.head(), None, "a market's is not the tape's");
}

#[test]
fn markets_that_the_tape_was_not_read_for_are_named_with_their_newest_trade() {
    let row = |name: &str| Checkpoint { scope: scope(name), ..state_from("done ..95") };
    let riders = [row("A")];
    for mut walk in
        [TapeWalk::of_riders(&riders, None, RULES), TapeWalk::of_all(&row("*"), &riders, RULES)]
    {
        let walked = walk.page(page_from("@160 C:c150 A:a140 B:b130 C:d120 >c1"));
        let expected = ["B", "C"].map(|name| scope(name).market().unwrap().clone());
        let expected = expected.into_iter().zip([time("130"), time("150")]).collect();
        assert_eq!(walked.strangers(), &expected);
    }
}

/// If the tape shows nothing new, a rider that is complete up to its end was heard to be silent, unless the rider has
/// traded.
#[test]
fn a_rider_is_as_silent_as_the_tape() {
    let row = Checkpoint {
        scope: scope("A"),
        last_trade_at: Some(time("90")),
        ..state_from("done ..150")
    };
    let newest = page_from("@150 C:c150").newest();
    for (answer, heard, why) in [
        ("@300 C:c150 C:d80", Some("295"), "the tape ends where it did"),
        ("@300 C:c150 A:a145 C:d80", None, "a late trade of its own"),
        ("@300 C:e200 C:c150 C:d80", None, "others have traded"),
    ] {
        let mut walk = TapeWalk::of_riders(std::slice::from_ref(&row), newest.clone(), RULES);
        let mut batch = Batch::default();
        batch.push(walk.page(page_from(answer)));
        let commit = batch.seal(&Committed::new([row.clone()]), 1, time("300"));
        let quiet = commit.checkpoints()[0].next().quiet;
        assert_eq!(quiet.map(|quiet| quiet.until), heard.map(time), "{why}");
    }
}
