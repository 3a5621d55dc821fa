//! Windows longer than a slice as transcripts: oldest first, each complete before the next.

use super::transcript::play;

#[test]
fn a_long_window_is_read_in_slices_and_each_is_claimed_by_itself() {
    play(
        "rules slice=60
         have done ..95
         # asked no further than the slice reaches, one up in case the bound is exclusive
         ask 84..156 | @225 a155 b154.9 c120 >c1 | b c | done ..95 open 95..155 at c1 low 120
         ask 84..156 c1 | @226 d95 e94 | d e* | done ..155
         # at 225 all below 155 was older than anything that can be late: none of it is read again
         ask 154..216 | @226 f214 g155 b154.9 | f g | done ..215
         # but at 226 the trades since 211 were not; and now the end is what has settled, as always
         ask 210..276 | @227 h222 i221.9 f214 j211 k210.9 | f* i j* | done ..222
         level
         again
         ask 211..283 | @287 l281 | l | done ..282
         # the slice ended a moment before what has settled: the rest is a window like any other
         level",
    );
}

#[test]
fn a_slice_that_ends_where_everything_has_settled_is_the_last() {
    play(
        "rules slice=60
         have done ..95
         ask 84..156 | @160.9 a154 | a | done ..155
         level
         have done ..95
         ask 84..156 | @161 a154 | a | done ..155
         # a second was cut off: it is read at once, and what may be late by now with it
         ask 145..216 | @161 b155.9 c146 d145.9 | b c* | done ..156
         level",
    );
}

#[test]
fn an_interrupted_slice_is_finished_first_and_its_whole_overlap_read_again() {
    play(
        "rules slice=60
         have done ..95
         ask 84..156 | @500 a154 >c1 | a | done ..95 open 95..155 at c1 low 154
         again
         ask 84..156 c1 | @501 b150 c94 | b c* | done ..155
         # nobody knows any more when that slice was frozen
         ask 144..216 | @502 d200 >c2 | d | done ..155 open 155..215 at c2 low 200
         again
         ask 144..216 c2 | @503 | | done ..215
         ask 204..276 | @504 | | done ..275
         # of this one it is known
         ask 274..336 | @504 | | done ..335
         cut
         # killed between two slices: the next begins where the claim ends, at the length it now has
         again
         rules slice=100
         ask 324..436 | @505 e434 >c3 | e | done ..335 open 335..435 at c3 low 434
         # nor does a window that is open change its length with the rules
         rules slice=10
         ask 324..436 c3 | @506 | | done ..435
         ask 424..446 | @506 | | done ..445
         cut",
    );
}

#[test]
fn within_a_slice_cursors_fail_as_anywhere_and_each_slice_starts_afresh() {
    play(
        "rules slice=60
         have done ..95
         ask 84..156 | @300 a154 b150.5 >c1 | a b | done ..95 open 95..155 at c1 low 150.5
         refused
         ask 84..151 | @300 b150.5 >c2 | b | done ..95 open 95..155 at c2 low 150.5
         ask 84..151 c2 | @300 c100 >c3 | c | done ..95 open 95..155 at c3 low 100
         refused
         ask 84..101 | @300 c100 >c4 | c | done ..95 open 95..155 at c4 low 100
         ask 84..101 c4 | @300 >c5 | | done ..95 open 95..155 at c5 low 100
         ask 84..101 c5 | @300 | | done ..155
         # one empty page is not the second on end, and a cursor may fail again
         ask 154..216 | @301 >c6 | | done ..155 open 155..215 at c6
         refused
         ask 154..216 | @301 d200 >c7 | d | done ..155 open 155..215 at c7 low 200
         ask 154..216 c7 | @301 e200 f154 >c8 | e | done ..215
         # newer than the slice before was at its end: that is how it should be
         ask 214..276 | @301 g270 h214 | g | done ..275
         cut",
    );
}

#[test]
fn a_new_market_is_sliced_from_since_on() {
    play(
        "rules slice=60 since=90.5
         ask 89..151 | @300 a149 b89 | a | done 90..150
         ask 149..211 | @300 c200 | c | done 90..210
         cut
         # its overlap reaches no deeper than the claim
         rules slice=10 overlap=60
         have done 90..95
         ask 89..106 | @115 f104 g91 h89 | f g* | done 90..105
         ask 89..116 | @116 f104 g91 i90 h89 | f* g* i* | done 90..111
         level",
    );
}

#[test]
fn a_new_market_without_since_has_no_lower_edge_to_measure_a_slice_from() {
    play(
        "rules slice=60
         ask .. | @300 a290 >c1 | a | new open ..295 at c1 low 290
         ask ..296 c1 | @300 b10 | b | done ..295
         level
         again
         ask 284..356 | @400 c350 | c | done ..355
         cut",
    );
}

#[test]
fn a_quiet_market_gets_on_slice_by_slice() {
    play(
        "rules slice=100
         have done ..95
         ask 84..196 | @500 | | done ..195
         ask 194..296 | @500 | | done ..295
         ask 294..396 | @500 | | done ..395
         ask 394..496 | @500 | | done ..495
         level",
    );
}

#[test]
fn an_exchange_whose_clock_is_behind_the_slice_ends_the_walk_there() {
    play(
        "rules slice=60
         have done ..95
         # before the slice, within it, and back again between two
         ask 84..156 | @90 ~300 a94 | a* | =
         level
         have done ..95
         ask 84..156 | @120 ~300 a118 b115 c114.9 | c | done ..115
         level
         have done ..95
         ask 84..156 | @165 ~300 a154 | a | done ..155
         # this late it is late, and nothing is moved back
         ask 149..216 | @158 ~301 b155 c152 | c* | =
         level
         again
         ask 144..216 | @160 ~303 b155 c152 | c* | =
         level",
    );
}

#[test]
fn a_slice_completed_by_an_answer_from_the_future_is_read_again_at_once() {
    play(
        "rules slice=60
         # at 110 by our clock an answer says 1000, and the slice reaches to 155
         have done ..95
         ask 84..156 | @1000 ~110 a103 | a | done ..155
         # a second later the exchange says 111: all that can be known is up to 110 less settling
         ask 154..216 | @111 ~111 | | =
         # and when that slice was frozen is not known at all: its late trades are looked for
         ask 94..166 | @111 ~111 b105 a103 c100 d94.9 | a* b c* | =
         level
         again
         ask 144..216 | @171 ~171 | | =
         ask 95..167 | @171 ~171 e165 f107 | e f | done ..166
         level",
    );
}

#[test]
fn a_slice_that_claims_what_is_true_may_still_have_been_frozen_by_a_wrong_date() {
    play(
        "rules slice=10
         # at 115 by our clock: what is claimed is true, only the date is not
         have done ..95
         ask 84..106 | @1000 ~115 a98 | a | done ..105
         ask 104..116 | @116 ~116 | | =
         # so the claim stands, and the overlap below it is read as if there had been no slice
         ask 94..116 | @116 ~116 c107 a98 b97 | a* b* c | done ..111
         level
         # an answer from a cache looks the same, and costs that one page
         have done ..95
         ask 84..106 | @300 a98 | a | done ..105
         ask 104..116 | @280 ~301 | | =
         ask 94..116 | @301 b104 | b* | done ..115
         cut",
    );
}

#[test]
fn fractions_of_a_second_never_widen_a_slice() {
    play(
        "rules slice=10.5 overlap=1.5
         have done ..90
         ask 87..101 | @200 a100.2 b100 c99.9 d88.5 e88.4 | c d* | done ..100
         ask 99..111 | @200 a100.2 b100 | a b | done ..110
         cut",
    );
}

#[test]
fn the_page_cap_counts_the_pages_of_all_slices() {
    play(
        "rules slice=60 pages=2
         have done ..95
         ask 84..156 | @300 | | done ..155
         ask 154..216 | @300 a200 >c1 | a | done ..155 open 155..215 at c1 low 200
         guarded TooManyPages",
    );
}
