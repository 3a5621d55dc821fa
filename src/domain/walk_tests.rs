//! The walk as transcripts: the requests, the answers, the rows to store, and the progress that they prove.

#[path = "walk_transcript.rs"]
pub(in crate::domain) mod transcript;

use super::*;
use crate::domain::batch::{Batch, Committed, Receipt};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::ticker::Ticker;
use transcript::{RULES, page_from, play, time};

#[test]
fn a_new_market_is_read_down_to_where_its_history_begins() {
    play(
        "# nothing is known, so nothing bounds it; a lies above the edge, and is stored all the same
         ask .. | @100 a99 b94 c91 >c1 | a b c | new open ..95 ^a99 at c1 low 91
         ask .. c1 | @101 d90 e89 >c2 | d e | new open ..95 ^a99 at c2 low 89
         # a list that ends is asked again, in another way: f is shown once more, and nothing older
         ask .. c2 | @102 f88 | f | =
         ask ..89 | @103 f88 | f | done ..95 ^a99 _88
         level",
    );
}

#[test]
fn the_claim_ends_at_the_newest_trade_whatever_the_date_says() {
    play(
        "# an hour later nothing was traded, so nothing more is claimed
         ask .. | @3700 a99 b94 | a b | =
         ask ..95 | @3701 b94 | b | done ..99 ^a99 _94
         level
         again
         ask 88.. | @3760 a99 b94 | a b* | =
         level
         # nor does an answer from the future claim what nobody has seen
         again
         ask 88.. | @90000 ~3820 c3810 a99 | a c | =
         cut
         again
         ask 88.. | @3880 e3870 d3860 c3810 | c d e | =
         cut",
    );
}

#[test]
fn an_end_of_the_list_that_was_none_is_noticed() {
    play(
        "# nothing where a thousand trades should be: with a cursor or without
         have new
         ask .. | @100 a99 b94 >c1 | a b | new open ..95 ^a99 at c1 low 94
         ask .. c1 | @100 | | =
         ask ..95 | @100 b94 c90 >c2 | b c | new open ..95 ^a99 at c2 low 90
         ask .. c2 | @100 >c3 | | =
         ask ..91 | @100 c90 d80 | c d | =
         ask ..81 | @100 d80 | d | done ..95 ^a99 _80
         level
         # a page that is cut short looks like the end, too
         have new
         ask .. | @100 a99 | a | =
         ask ..100 | @100 a99 b94 c90 | a b c | =
         ask ..91 | @100 c90 | c | done ..95 ^a99 _90
         level
         # as long as what was seen is not shown again, nothing is believed
         have new
         ask .. | @100 a99 b94 | a b | =
         ask ..95 | @100 | | =
         guarded EndsTooSoon",
    );
}

#[test]
fn a_new_market_is_read_down_to_since_and_no_further() {
    play(
        "rules since=90.5
         # since is cut to its second; asked for one second more, in case the bound is exclusive
         ask 89.. | @100 a94 b91 >c1 | a b | new open 90..94 ^a94 at c1 low 91
         # exactly since is inside, a microsecond before is not, and shows that the end is reached
         ask 89.. c1 | @100 c90 d89.999999 >c2 | c | done 90..94 ^a94 _89.999999
         level
         # the overlap does not reach below what is claimed
         again
         ask 88.. | @160 e140 a94 f91 g89.5 | a e f* | done 90..140 ^e140 _94
         level",
    );
}

#[test]
fn since_above_the_newest_trade_claims_nothing_below() {
    play(
        "rules since=90
         # an empty page says nothing: what is the newest trade then
         ask 89.. | @160 | | =
         ask .. | @160 a50 b40 | | done 90..90 ^a50 _50
         level
         # it is the anchor from now on, although it is not stored
         again
         ask 49.. | @220 c200 a50 | c | done 90..200 ^c200 _50
         level",
    );
}

#[test]
fn a_level_market_re_reads_the_overlap_for_late_trades() {
    play(
        "have done ..95 ^z94
         # e was not there when its window was read: it is late
         ask 84.. | @160 a155 b154.999999 c100 d95 e94.5 z94 f85 g84.9 | a b c d e* f* z* | done ..155 ^a155 _100
         level",
    );
}

#[test]
fn a_quiet_market_is_asked_from_its_newest_trade_on() {
    play(
        "have done 50..95 ^z60
         ask 59.. | @160 z60 | z* | done 50..95 ^z60 _60
         level
         again
         ask 59.. | @220 a210 z60 | a z* | done 50..210 ^a210 _60
         level",
    );
}

#[test]
fn all_above_the_newest_stored_trade_is_read_whatever_is_claimed() {
    play(
        "# an older version claimed up to 3000 by a wrong date; when z was stored is known
         have done ..3000 ^94
         ask 93.. | @3100 b2000 a1000 z94 | a* b* z* | done ..3000 ^b2000 _2000
         level
         # up to ten seconds both clocks may be behind
         have done ..3110 ^z94
         ask 93.. | @3100 z94 y80 | z* | done ..3110 ^z94 _94
         # a claim that lies ahead of both clocks is lowered
         have done ..90000 ^94
         ask 93.. | @3100 b2000 a1000 z94 | a b z | =
         cut
         # also where no trade is known
         have done ..90000
         ask .. | @3100 b2000 a1000 | a b | new
         ask ..1001 | @3100 a1000 | a | done ..2000 ^b2000 _1000
         level",
    );
}

#[test]
fn an_answer_without_the_newest_stored_trade_is_not_believed() {
    play(
        "have done ..95 ^z94
         # nothing at all; asked without bounds it is there
         ask 84.. | @160 | | =
         ask .. | @160 a150 z94 y90 | a y* z* | done ..150 ^a150 _94
         level
         # an old answer shows what was there before z
         have done ..95 ^z94
         ask 84.. | @160 | | =
         ask .. | @160 y90 x80 | y* | =
         guarded AnchorMissing
         # and is not believed twice
         again
         ask 84.. | @220 | | =
         ask .. | @220 y90 x80 | y* | =
         guarded AnchorMissing
         # the third pass believes that z was taken out
         again
         ask 84.. | @280 | | =
         ask .. | @280 y90 x80 | y* | done ..90 ^y90 _80
         level
         # with newer trades around it that is clear at once
         have done ..95 ^z94
         ask 84.. | @160 a150 y90 | a y* | =
         ask .. | @160 a150 y90 x80 | a y* | done ..150 ^a150 _90
         level",
    );
}

#[test]
fn a_hole_in_which_many_trades_were_to_be_expected_is_asked_for_again() {
    play(
        "rules overlap=1
         have done ..100 ^z100
         ask 98.. | @1000 a990 b980 c970 d960 e950 f940 g930 h920 i910 j900 k890 >c1 | a b c d e f g h i j k | done ..100 ^z100 open 100..990 ^a990 at c1 low 890
         ask 98.. c1 | @1000 z100 | z | =
         # asked by time it is there
         ask 98..891 | @1000 k890 l880 m870 n300 o290 p280 q270 r260 s250 t240 u230 v220 z100 | k l m n o p q r s t u v z | =
         cut
         # and if it is not, nothing is claimed in this pass
         have done ..100 ^z100
         ask 98.. | @1000 a990 b980 c970 d960 e950 f940 g930 h920 i910 j900 k890 >c1 | a b c d e f g h i j k | done ..100 ^z100 open 100..990 ^a990 at c1 low 890
         ask 98.. c1 | @1000 z100 y90 | z | =
         ask 98..891 | @1000 k890 z100 y90 | k z | =
         guarded Hole
         # another pass agrees: it was a pause
         again
         ask 98..891 | @1060 k890 z100 y90 | k z | done ..990 ^a990
         ask 988.. | @1060 x1050 a990 | a x | =
         cut",
    );
}

#[test]
fn rows_of_others_refuse_the_answer() {
    play(
        "have done ..95 ^z94
         ask 84.. | @160 a150 ? z94 | a z* | =
         guarded ForeignRows",
    );
}

#[test]
fn a_claim_below_the_live_tier_does_not_go_on_over_the_hole() {
    play(
        "rules cutoff=5000
         have done ..95 ^z94
         ask .. | @9000 a6000 b5500 | a b | =
         ask ..5501 | @9000 b5500 | b | done 5000..6000 ^a6000 _5500
         level
         # since as well
         rules since=1000
         have new
         ask 4999.. | @9000 a6000 b5500 | a b | =
         ask ..5501 | @9000 b5500 | b | done 5000..6000 ^a6000 _5500
         level",
    );
}

#[test]
fn lower_bounds_are_lowered_by_some_seconds_so_that_no_cache_answers() {
    play(
        "rules nudge=3
         have done ..95 ^z94
         ask 81.. | @160 z94 | z* | done ..95 ^z94 _94
         level",
    );
}

#[test]
fn an_interrupted_walk_is_finished_first_then_its_own_window_is_read() {
    play(
        "have done ..95 ^z94 open 95..155 ^y154 at c7 low 120
         ask 84..156 c7 | @300 a119 b96 >c8 | a b | done ..95 ^z94 open 95..155 ^y154 at c8 low 96
         # an earlier pass asked for what lies above: whether the list ends there is asked again
         ask 84..156 c8 | @300 z94 c93 | c* z* | =
         ask ..94 | @300 c93 | c* | done ..155 ^y154
         # the span since then begins at the anchor that the walk left
         ask 144.. | @301 d295 e200 >d1 | d e | done ..155 ^y154 open 155..295 ^d295 at d1 low 200
         ask 144.. d1 | @301 y154 f150 g140 | f* y* | done ..295 ^d295 _200
         level",
    );
}

#[test]
fn after_a_failure_the_walk_goes_on_by_time() {
    play(
        "have done ..95 ^z94 open 95..155 ^y154 low 120.5 failed
         # down from the second of the oldest row, whole; what is seen twice is harmless
         ask 84..121 | @300 y120.7 x120.5 a119 >c8 | a x y | done ..95 ^z94 open 95..155 ^y154 at c8 low 119 failed
         ask 84..156 c8 | @300 b100 z94 c80 | b z* | done ..155 ^y154
         cut",
    );
}

#[test]
fn a_refused_cursor_is_replaced_by_time() {
    play(
        "have done ..95 ^z94
         ask 84.. | @160 a154 b150.5 >c1 | a b | done ..95 ^z94 open 95..154 ^a154 at c1 low 150.5
         refused
         ask 84..151 | @160 b150.5 c100 z94 d80 | b c z* | done ..154 ^a154 _100
         level
         have done ..95 ^z94 open 95..155 ^y154 at c1 low 150.5
         refused
         ask 84..151 | @160 b150.5 c100 >c2 | b c | done ..95 ^z94 open 95..155 ^y154 at c2 low 100
         refused
         ask 84..101 | @160 c100 d99 >c3 | c d | done ..95 ^z94 open 95..155 ^y154 at c3 low 99
         refused
         ask 84..100 | @160 d99 >c4 | d | done ..95 ^z94 open 95..155 ^y154 at c4 low 99
         # going on by time led no further than before
         refused
         guarded CursorsUseless",
    );
}

#[test]
fn an_ignored_cursor_is_noticed_by_rows_that_are_newer_again() {
    play(
        "have done ..95 ^z94
         ask 84.. | @160 a154 b150 >c1 | a b | done ..95 ^z94 open 95..154 ^a154 at c1 low 150
         # page one again: nothing of it is news
         ask 84.. c1 | @160 a154 b150 >c1 | | =
         ask 84..151 | @160 b150 c140 >c2 | b c | done ..95 ^z94 open 95..154 ^a154 at c2 low 140
         ask 84.. c2 | @160 b150 c140 >c2 | | =
         ask 84..141 | @160 c140 z94 d80 | c z* | done ..154 ^a154 _140
         level",
    );
}

#[test]
fn answers_that_make_no_sense_together_are_stored_and_not_believed() {
    play(
        "have done ..95 ^z94
         ask 84.. | @160 a154 b150 >c1 | a b | done ..95 ^z94 open 95..154 ^a154 at c1 low 150
         ask 84.. c1 | @160 c149 d148 >c1 | c d | =
         guarded CursorRepeats
         # the same page under another cursor, all on one microsecond
         have done ..95 ^z94
         ask 84.. | @160 b150 >c3 | b | done ..95 ^z94 open 95..150 ^b150 at c3 low 150
         ask 84.. c3 | @160 b150 >c4 | b | =
         guarded NothingNew
         have done ..95 ^z94
         ask 84.. | @160 a150 b154 z94 c84 >c1 | a b z* | =
         guarded Unordered",
    );
}

#[test]
fn fractions_of_a_second_never_widen_a_claim() {
    play(
        "rules settle=0.5 overlap=1.5
         # 100 less half a second lies in second 99, of which only the beginning is settled
         have done ..90 ^z89.9
         ask 87.. | @100 a99.2 b98.9 z89.9 c88.6 d88.4 | a b c* z* | done ..99 ^a99.2 _89.9
         level",
    );
}

#[test]
fn the_page_cap_ends_a_walk_and_keeps_its_progress() {
    play(
        "rules pages=2
         ask .. | @100 a94 >c1 | a | new open ..94 ^a94 at c1 low 94
         ask .. c1 | @100 b93 >c2 | b | new open ..94 ^a94 at c2 low 93
         guarded TooManyPages",
    );
}

#[test]
fn a_long_window_is_read_in_steps_below_a_trade_that_was_shown() {
    play(
        "rules step=60
         have done ..95 ^z94
         # the newest page says how far up there is something; its rows are kept
         ask 84.. | @300 a290 b280 >x1 | a b | =
         ask 84..156 | @300 c150 d120 >c1 | c d | done ..95 ^z94 open 95..155 ^c150 at c1 low 120
         ask 84..156 c1 | @301 e99 z94 f80 | e z* | done ..155 ^c150 _120
         # no newest page in between: the head is known
         ask 149..216 | @301 g200 c150 | c* g | done ..215 ^g200 _200
         # the last one is bounded by its own newest trade
         ask 199..276 | @302 h295 a290 b280 i230 g200 | a b g* h i | done ..275 ^h295 _230
         cut",
    );
}

#[test]
fn a_step_that_was_interrupted_is_finished_first() {
    play(
        "rules step=60
         have done ..95 ^z94
         ask 84.. | @300 a290 >x1 | a | =
         ask 84..156 | @300 c150 d120 >c1 | c d | done ..95 ^z94 open 95..155 ^c150 at c1 low 120
         again
         ask 84..156 c1 | @400 e99 z94 f80 | e z* | done ..155 ^c150
         ask 144.. | @400 b390 a290 >x1 | a b | =
         cut",
    );
}

#[test]
fn a_footing_below_the_claim_spares_the_second_question() {
    play(
        "have done ..95 ^z94 _90
         ask 84.. | @400 a350 z94 y90 | a y* z* | done ..350 ^a350 _94
         level
         # where the list ends above it, it was cut short
         have done ..95 ^z95.5 _20
         ask 19.. | @400 a350 z95.5 | a z | =
         ask ..96 | @400 z95.5 y95.2 x20 | y z | done ..350 ^a350 _95.5
         level",
    );
}

#[test]
fn a_market_that_traded_in_the_archive_only() {
    play(
        "rules cutoff=5000
         have done ..95 ^94
         ask .. | @9000 | | done 5000..5000 ^94
         level",
    );
}

/// A server that shows nothing gives the same answer to every question, so a step is not believed empty by its own
/// answers.
#[test]
fn a_step_that_shows_nothing_is_read_with_the_one_above() {
    play(
        "rules since=1000 step=100
         ask 999.. | @1305 a1295 b1290 | a b | =
         ask 999..1101 | @1305 | | =
         ask ..1101 | @1305 | | =
         # what is older was asked for already
         ask 999..1201 | @1305 | | =
         # the last step has to show what was shown above it
         ask 999.. | @1305 a1295 b1290 y1150 z1050 | a b y z | =
         ask ..1051 | @1305 z1050 | z | done 1000..1295 ^a1295 _1150
         level",
    );
    play(
        "rules since=1000 step=100
         ask 999.. | @1305 a1295 | a | =
         ask 999..1101 | @1305 | | =
         # an older trade says that the list goes on below
         ask ..1101 | @1305 x900 | | done 1000..1100 ^x900 _900
         ask 899..1201 | @1305 | | =",
    );
}

/// The page behind the cursor of a full page gives one answer, however often it is asked for.
#[test]
fn a_list_that_ends_with_an_empty_page_each_time_is_believed_by_the_next_pass() {
    play(
        "ask .. | @100 a90 b80 >c1 | a b | new open ..90 ^a90 at c1 low 80
         ask .. c1 | @100 | | =
         ask ..81 | @100 b80 >c1 | b | =
         ask .. c1 | @100 | | =
         guarded EndsEmpty
         again
         ask ..81 | @200 b80 >c2 | b | new open ..90 ^a90 at c2 low 80 failed
         ask ..91 c2 | @200 | | =
         ask ..81 | @200 b80 >c2 | b | =
         ask ..91 c2 | @200 | | done ..90 ^a90
         # an earlier pass read what lies below: the end is asked for again
         ask 79.. | @200 a90 b80 | a b* | =
         ask ..81 | @200 b80 | b* | done ..90 ^a90 _80
         level",
    );
    play(
        "have new failed
         ask .. | @100 a90 b80 >c1 | a b | new open ..90 ^a90 at c1 low 80 failed
         ask .. c1 | @100 | | =
         ask ..81 | @100 b80 >c1 | b | =
         # the pass before failed otherwise
         ask .. c1 | @100 | | =
         guarded EndsEmpty",
    );
    play(
        "ask .. | @100 a90 b80 >c1 | a b | new open ..90 ^a90 at c1 low 80
         ask .. c1 | @100 | | =
         # a page with rows and without a cursor is another answer
         ask ..81 | @100 b80 | b | done ..90 ^a90 _80
         level",
    );
}

/// The description of a market and its list agree that it never traded, but stored trades contradict both.
#[test]
fn what_is_stored_outvotes_a_description_and_an_empty_list() {
    for failures in [0, 3] {
        let at = time("95");
        let row = Checkpoint {
            complete_until: Some(at),
            last_trade_at: Some(at),
            anchor: Some(Anchor { at, id: Some("a".into()) }),
            failures,
            ..Checkpoint::first(Ticker::new("KX").unwrap(), time("0"))
        };
        let mut walk = Walk::new(&row, RULES).traded(Traded::Never(time("5000")));
        let mut committed = Committed::new([row.clone()]);
        for pass in 1..20 {
            if matches!(walk.next(), Next::Done(_)) {
                break;
            }
            let mut batch = Batch::default();
            batch.push(walk.page(page_from("@5000")));
            let commit = batch.seal(&committed, pass, time("0"));
            committed.apply(commit, &Receipt::default());
        }
        assert!(matches!(walk.next(), Next::Done(_)), "it ends");
        let after = committed.get(&row.scope).unwrap();
        assert!(after.complete_until <= Some(at), "{failures} passes failed: {after:?}");
    }
}
