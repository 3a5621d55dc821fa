//! The walk as transcripts: what is asked, what is answered, what is stored, what that proves.

use super::*;

#[path = "walk_transcript.rs"]
pub(in crate::domain) mod transcript;

#[path = "walk_slice_tests.rs"]
mod slices;

use transcript::{RULES, play, request_text, state_from};

#[test]
fn a_new_market_is_read_down_to_where_its_history_begins() {
    play(
        "# nothing is known, so nothing bounds it; a lies above the edge, in the next window
         ask .. | @100 a99 b94 c91 >c1 | b c | new open ..95 at c1 low 91
         # cursors carry no filter: the frozen edge goes along, one up in case it is exclusive
         ask ..96 c1 | @101 d90 e89 >c2 | d e | new open ..95 at c2 low 89
         # without a cursor it is the end, and only now is anything claimed
         ask ..96 c2 | @102 f88 | f | done ..95
         level",
    );
}

#[test]
fn a_new_market_is_read_down_to_since_and_no_further() {
    play(
        "rules since=90.5
         # since is cut to its second; asked for one second more, in case the bound is exclusive
         ask 89.. | @100 a94 b91 >c1 | a b | new open 90..95 at c1 low 91
         # exactly since is inside, a microsecond before is not, and shows that the end is reached
         ask 89..96 c1 | @100 c90 d89.999999 >c2 | c | done 90..95
         level
         # the overlap does not reach below what is claimed
         again
         ask 89.. | @160 e140 f91 g89.5 | e f* | done 90..155
         level",
    );
}

#[test]
fn since_means_nothing_to_a_market_that_has_a_checkpoint() {
    play(
        "rules since=200
         have done ..95
         ask 84.. | @160 a140 | a | done ..155
         level",
    );
}

#[test]
fn a_level_market_re_reads_the_overlap_for_late_trades() {
    play(
        "have done ..95
         # e was not there when its window was read: it is late, unlike d on the edge itself
         ask 84.. | @160 a155 b154.999999 c100 d95 e94.999999 f85 g84.9 | b c d e* f* | done ..155
         level",
    );
}

#[test]
fn a_quiet_market_gets_on_without_trades() {
    play(
        "have done 50..95
         ask 84.. | @160 | | done 50..155
         level
         again
         # the overlap is the one below the new edge
         ask 144.. | @220 | | done 50..215
         level",
    );
}

#[test]
fn the_overlap_ends_where_the_claim_begins_unless_that_is_unbounded() {
    for (state, asked, why) in [
        ("done 90..95", "89..", "clamped to the first edge"),
        ("done 80..95", "84..", "the first edge lies below"),
        ("done ..95", "84..", "nothing to clamp to"),
        ("open 90..95", "89..96", "the first window has no overlap"),
    ] {
        let state = state_from(&format!("new {state}").replace("new done", "done"));
        let Step::Fetch(request) = Walk::new(&state, RULES).next() else { panic!("{why}") };
        assert_eq!(request_text(&request), asked, "{why}");
    }
}

#[test]
fn an_interrupted_walk_is_finished_first_then_its_own_window_is_read() {
    play(
        "have done ..95 open 95..155 at c7 low 120
         ask 84..156 c7 | @300 a119 b96 >c8 | a b | done ..95 open 95..155 at c8 low 96
         ask 84..156 c8 | @300 c94 | c* | done ..155
         # the span since then, with its own frozen edge and the overlap of its own
         ask 144.. | @301 d295 e200 >d1 | d e | done ..155 open 155..296 at d1 low 200
         ask 144..297 d1 | @301 f154 g145 | f* g* | done ..296
         level",
    );
}

#[test]
fn the_first_window_when_interrupted_still_decides_where_the_claim_begins() {
    play(
        "have new open 90..95 at c1 low 92
         ask 89..96 c1 | @200 a90 | a | done 90..95
         ask 89.. | @200 b180 c91 d89.9 | b c* | done 90..195
         level",
    );
}

#[test]
fn after_a_failure_the_walk_goes_on_by_time() {
    play(
        "have done ..95 open 95..155 low 120.5 failed
         # down from the second of the oldest row, whole; what is seen twice is harmless
         ask 84..121 | @300 y120.7 x120.5 a119 >c8 | a x y | done ..95 open 95..155 at c8 low 119 failed
         ask 84..121 c8 | @300 b100 | b | done ..155
         ask 144.. | @300 | | done ..295
         level
         # nothing was seen before the failure: from the top
         have new open ..95 failed
         ask ..96 | @200 a90 | a | done ..95
         cut",
    );
}

#[test]
fn a_refused_cursor_is_replaced_by_time_in_the_middle_and_on_resuming() {
    play(
        "have done ..95
         ask 84.. | @160 a154 b150.5 >c1 | a b | done ..95 open 95..155 at c1 low 150.5
         refused
         ask 84..151 | @160 b150.5 c100 | b c | done ..155
         level
         have done ..95 open 95..155 at c1 low 150.5
         refused
         ask 84..151 | @160 b150.5 c100 >c2 | b c | done ..95 open 95..155 at c2 low 100
         # it got further in between, so refusing is survived again
         refused
         ask 84..101 | @160 c100 d99 >c3 | c d | done ..95 open 95..155 at c3 low 99
         refused
         ask 84..100 | @160 d99 >c4 | d | done ..95 open 95..155 at c4 low 99
         # going on by time led no further than before
         refused
         guarded CursorsUseless",
    );
}

#[test]
fn an_ignored_cursor_is_noticed_by_rows_that_are_newer_again() {
    play(
        "have done ..95
         ask 84.. | @160 a154 b150 >c1 | a b | done ..95 open 95..155 at c1 low 150
         # page one again: nothing of it is news, and its cursor leads where the last one led
         ask 84..156 c1 | @160 a154 b150 >c1 | | =
         ask 84..151 | @160 b150 c140 >c2 | b c | done ..95 open 95..155 at c2 low 140
         ask 84..151 c2 | @160 b150 c140 >c2 | | =
         ask 84..141 | @160 c140 d130 | c d | done ..155
         level
         # on resuming, where the new trade n would else pass for news
         have done ..95 open 95..155 at c1 low 150
         ask 84..156 c1 | @200 n155 a154 b150 >c2 | | =
         ask 84..151 | @200 b150 c140 | b c | done ..155
         cut",
    );
}

#[test]
fn cursors_ignored_for_good_leave_a_second_that_holds_more_than_a_page() {
    play(
        "have done ..95
         ask 84.. | @160 a154.3 b154.2 >c1 | a b | done ..95 open 95..155 at c1 low 154.2
         ask 84..156 c1 | @160 a154.3 b154.2 >c1 | | =
         ask 84..155 | @160 a154.3 b154.2 >c1 | a b | =
         # neither cursor nor time leads below b; nothing is claimed, what there is is stored
         ask 84..155 c1 | @160 a154.3 b154.2 >c1 | | =
         guarded CursorsUseless
         # the next pass begins by time, and gets on if cursors work by then
         again
         ask 84..155 | @220 a154.3 b154.2 >c1 | a b | done ..95 open 95..155 at c1 low 154.2 failed
         ask 84..155 c1 | @220 c154.1 d150 | c d | done ..155
         cut",
    );
}

#[test]
fn a_cursor_that_answers_itself_ends_the_walk() {
    play(
        "have done ..95
         ask 84.. | @160 a154 b150 >c1 | a b | done ..95 open 95..155 at c1 low 150
         # the rows are true and kept; the checkpoint stays, and the next pass goes by time
         ask 84..156 c1 | @160 c149 d148 >c1 | c d | =
         guarded CursorRepeats
         again
         ask 84..151 | @160 b150 c149 >c9 | b c | done ..95 open 95..155 at c9 low 149 failed
         cut",
    );
}

#[test]
fn the_same_page_under_another_cursor_is_no_progress() {
    play(
        "have done ..95
         ask 84.. | @160 a154 b150 >c1 | a b | done ..95 open 95..155 at c1 low 150
         # rows newer than the last one: as if the cursor had been ignored
         ask 84..156 c1 | @160 a154 b150 >c2 | | =
         ask 84..151 | @160 b150 >c3 | b | done ..95 open 95..155 at c3 low 150
         # all on one microsecond: only their ids tell
         ask 84..151 c3 | @160 b150 >c4 | b | =
         guarded NothingNew",
    );
}

#[test]
fn ties_on_one_microsecond_may_span_pages() {
    play(
        "have done ..95
         ask 84.. | @160 a150 b150 >c1 | a b | done ..95 open 95..155 at c1 low 150
         ask 84..156 c1 | @160 c150 d150 >c2 | c d | done ..95 open 95..155 at c2 low 150
         ask 84..156 c2 | @160 e150 a150 >c3 | a e | done ..95 open 95..155 at c3 low 150
         # every one of them was on some page before
         ask 84..156 c3 | @160 a150 d150 >c4 | a d | =
         guarded NothingNew",
    );
}

#[test]
fn an_unordered_page_is_stored_and_not_believed() {
    play(
        "have done ..95
         ask 84.. | @160 a150 b154 c94.5 c84 >c1 | a b c* | =
         guarded Unordered
         # also when it would have been the last
         have done ..95 open 95..155 at c1 low 150
         ask 84..156 c1 | @160 a100 b101 | a b | =
         guarded Unordered",
    );
}

#[test]
fn rows_that_come_twice_are_stored_once() {
    play(
        "have done ..95
         ask 84.. | @160 a154 a154 b150 >c1 | a b | done ..95 open 95..155 at c1 low 150
         ask 84..156 c1 | @160 b150 c149 c149 | b c | done ..155
         level",
    );
}

#[test]
fn an_empty_page_with_a_cursor_is_followed_once() {
    play(
        "# at once, in the middle, and as the end of a list that was exactly full
         have done ..95
         ask 84.. | @160 >c0 | | done ..95 open 95..155 at c0
         ask 84..156 c0 | @160 a154 >c1 | a | done ..95 open 95..155 at c1 low 154
         ask 84..156 c1 | @160 >c2 | | done ..95 open 95..155 at c2 low 154
         ask 84..156 c2 | @160 b150 >c3 | b | done ..95 open 95..155 at c3 low 150
         ask 84..156 c3 | @160 | | done ..155
         level
         # two on end are believed, also with the cursor they were asked with
         have done ..95
         ask 84.. | @160 a154 >c1 | a | done ..95 open 95..155 at c1 low 154
         ask 84..156 c1 | @160 >c1 | | =
         ask 84..156 c1 | @160 >c1 | | done ..155
         level",
    );
}

#[test]
fn empty_pages_of_two_attempts_are_not_two_on_end() {
    play(
        "have done ..95
         ask 84.. | @160 a154 >c1 | a | done ..95 open 95..155 at c1 low 154
         ask 84..156 c1 | @160 >c2 | | done ..95 open 95..155 at c2 low 154
         refused
         # a itself is missing: this page says nothing yet
         ask 84..155 | @160 >c3 | | done ..95 open 95..155 at c3 low 154
         ask 84..155 c3 | @160 a154 b150 | a b | done ..155
         level
         have done ..95 open 95..155 at c1 low 150
         ask 84..156 c1 | @160 >c2 | | done ..95 open 95..155 at c2 low 150
         # the same with a cursor that is ignored
         ask 84..156 c2 | @160 a154 >c3 | | =
         ask 84..151 | @160 >c4 | | done ..95 open 95..155 at c4 low 150
         ask 84..151 c4 | @160 b100 | b | done ..155
         cut",
    );
}

#[test]
fn rows_exactly_on_the_edges_belong_to_one_window_each() {
    play(
        "rules overlap=0
         # the upper edge is the next window's, the lower one is ours
         have done 50..95
         ask 94.. | @160 a155 b154.999999 c95 d94.999999 | b c | done 50..155
         level
         again
         ask 154.. | @220 a155 b154.999999 | a | done 50..215
         level
         # a page that ends exactly on the lower edge is not the end: c happened with b
         have done 50..95
         ask 94.. | @160 a150 b95 >c1 | a b | done 50..95 open 95..155 at c1 low 95
         ask 94..156 c1 | @160 c95 d94 >c2 | c | done 50..155
         level
         # by time on a whole second: an exclusive bound would cut off the second itself
         have done 50..95 open 95..155 low 120 failed
         ask 94..121 | @220 a120 b119 | a b | done 50..155
         cut",
    );
}

#[test]
fn a_walk_that_stands_below_a_shortened_overlap_still_asks_sensibly() {
    play(
        "rules overlap=2
         # 86 was reached with a longer overlap; an exchange may refuse max_ts below min_ts
         have done ..95 open 95..155 low 86 failed
         ask 92..94 | @220 | | done ..155
         cut",
    );
}

#[test]
fn bounds_that_the_exchange_ignores_are_kept_all_the_same() {
    play(
        "have done ..95
         # the first row below the overlap is the end, whatever the cursor says
         ask 84.. | @160 a154 b85 c84.9 d20 >c1 | a b* | done ..155
         level
         # without max_ts the walk by time begins at the top, and nothing above is stored twice
         have done ..95 open 95..155 low 120 failed
         ask 84..121 | @220 x219 a154 >c1 | a | done ..95 open 95..155 at c1 low 154 failed
         ask 84..121 c1 | @220 b120 c96 | b c | done ..155
         cut",
    );
}

#[test]
fn pages_without_a_trade_of_ours_are_walked_through() {
    play(
        "have done ..95
         ask 84.. | @160 !x !y >c1 | !x !y | done ..95 open 95..155 at c1
         ask 84..156 c1 | @160 ? ? >c2 | | done ..95 open 95..155 at c2
         # resuming from there knows no time, only the cursor
         again
         ask 84..156 c2 | @160 a150 !z >c3 | a !z | done ..95 open 95..155 at c3 low 150
         ask 84..156 c3 | @160 !w >c4 | !w | done ..95 open 95..155 at c4 low 150
         ask 84..156 c4 | @160 ? | | done ..155
         cut
         # a page of theirs that answers itself goes nowhere
         have done ..95
         ask 84.. | @160 ? >c1 | | done ..95 open 95..155 at c1
         ask 84..156 c1 | @160 ? >c1 | | =
         guarded CursorRepeats",
    );
}

#[test]
fn an_exchange_whose_clock_goes_back_moves_nothing_back() {
    play(
        "have done 50..95
         # an empty window that only re-reads the overlap
         ask 84.. | @90 a96 b94 | b* | =
         level
         again
         # the edge was frozen by the first page; what later ones say does not matter
         ask 84.. | @160 a154 >c1 | a | done 50..95 open 95..155 at c1 low 154
         ask 84..156 c1 | @20 b100 | b | done 50..155
         level",
    );
}

#[test]
fn an_answer_from_the_future_is_unmasked_by_our_own_clock() {
    play(
        "# at 160 by our clock an answer says 1000, and completes what nobody has seen
         have done ..95
         ask 84.. | @1000 ~160 a154 b100 | a b | done ..995
         level
         # a minute later the exchange says 220: all that can be known is up to 160 less settling
         again
         ask 984.. | @220 ~220 | | =
         ask 144.. | @220 ~220 d210 c170 a154 | a* c d | =
         level
         # and so it goes on, from where the last look was, until the claim has become true
         again
         ask 984.. | @900 ~900 | | =
         ask 204.. | @900 ~900 f890 e500 d210 | d* e f | =
         level
         again
         ask 984.. | @1100 ~1100 | | =
         ask 884.. | @1100 ~1100 h1090 g990 f890 | f* g h | done ..1095
         level
         again
         ask 1084.. | @1160 ~1160 i1150 | i | done ..1155
         level",
    );
}

#[test]
fn a_clock_of_ours_that_is_wrong_is_no_reason_to_doubt() {
    play(
        "# an hour behind, and steady
         have done ..95
         ask 84.. | @3760 ~160 a3700 | a | done ..3755
         level
         again
         ask 3744.. | @3820 ~220 b3800 | b | done ..3815
         level
         # set right between two passes: one pass reads an hour again, at no harm
         again
         ask 3804.. | @3880 ~3880 c3870 | | =
         ask 204.. | @3880 ~3880 c3870 b3800 a3700 | a b c | done ..3875
         level",
    );
}

#[test]
fn a_list_that_ends_above_what_it_had_shown_is_not_believed() {
    play(
        "have done ..95
         ask 84.. | @160 a154 b150.5 >c1 | a b | done ..95 open 95..155 at c1 low 150.5
         refused
         # b at least would have to be there
         ask 84..151 | @160 | | =
         guarded EndsTooSoon
         again
         ask 84..151 | @160 b150.5 c100 | b c | done ..155
         cut
         # after so long a time it may have moved to the archive
         have done ..95 open 95..155 low 150.5
         ask 84..151 | @2600000 | | done ..155
         cut",
    );
}

#[test]
fn fractions_of_a_second_never_widen_a_claim() {
    play(
        "rules settle=0.5 overlap=1.5
         # 100 less half a second lies in second 99, of which only the beginning is settled
         have done ..90
         ask 87.. | @100 a99.2 b98.9 c88.6 d88.4 | b c* | done ..99
         level",
    );
}

#[test]
fn the_page_cap_ends_a_walk_and_keeps_its_progress() {
    play(
        "rules pages=2
         ask .. | @100 a94 >c1 | a | new open ..95 at c1 low 94
         ask ..96 c1 | @100 b93 >c2 | b | new open ..95 at c2 low 93
         guarded TooManyPages
         # the last page that is allowed may also be the last there is
         have done ..95
         ask 84.. | @160 a154 >c1 | a | done ..95 open 95..155 at c1 low 154
         ask 84..156 c1 | @160 | | done ..155
         level",
    );
}
