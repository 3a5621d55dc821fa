use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn market() -> Ticker {
    Ticker::new("KX").unwrap()
}

fn span(from: i64, until: i64, cutoff: i64) -> FillWindow {
    FillWindow { from: at(from), until: at(until), cutoff: at(cutoff), settled_until: at(until) }
}

fn lifespan(open: Option<i64>, close: Option<i64>) -> Lifespan {
    Lifespan {
        market: market(),
        series: None,
        open_time: open.map(at),
        close_time: close.map(at),
        status: Status::Active,
        volume_e2: None,
        seen_at: None,
    }
}

fn slice(tier: Tier, from: i64, until: i64, status: SliceStatus) -> Slice {
    let key = SliceKey::new(market(), tier, at(from), at(until)).unwrap();
    Slice { status, ..Slice::new(key) }
}

/// The keys as text, such as `archive 0..60, live 60..90`.
fn text<'a>(keys: impl IntoIterator<Item = &'a SliceKey>) -> String {
    let one = |key: &SliceKey| {
        format!("{} {}..{}", key.tier().as_str(), key.from().second(), key.until().second())
    };
    keys.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_window_is_cut_at_the_cutoff_and_at_fixed_instants() {
    let month = 30 * DAY;
    for (from, until, cutoff, expected, why) in [
        (0, 100, 60, "archive 0..60, live 60..100", "the cutoff"),
        (0, 100, 0, "live 0..100", "all live"),
        (0, 100, 100, "archive 0..100", "all archived"),
        (0, 100, 500, "archive 0..100", "the cutoff is above"),
        (50, 50 + month, 0, "live 50..2592050", "not longer than a slice: whole"),
        (
            50,
            51 + month,
            0,
            "live 50..2592000, live 2592000..2592051",
            "cut where any window is cut",
        ),
    ] {
        let keys = market_slices(&lifespan(None, None), span(from, until, cutoff));
        assert_eq!(text(&keys), expected, "{why}");
    }
    let hours = tape_slices(&Scope::Tape, span(1_800, 9_000, 5_000));
    assert_eq!(
        text(&hours),
        "archive 1800..3600, archive 3600..5000, live 5000..7200, live 7200..9000",
        "the tape by the hour"
    );
}

#[test]
fn a_market_is_read_for_its_life_and_a_day_around_it() {
    let wanted = span(0, 100 * DAY, 0);
    let keys = market_slices(&lifespan(Some(10 * DAY), Some(11 * DAY)), wanted);
    assert_eq!(text(&keys), format!("live {}..{}", 9 * DAY, 12 * DAY));
    assert_eq!(market_slices(&lifespan(Some(200 * DAY), None), wanted), [], "not born yet");
}

#[test]
fn what_is_complete_is_not_wanted_again() {
    use SliceStatus::{Complete, Open, Read};
    let wanted = || market_slices(&lifespan(None, None), span(0, 100, 60));
    for (ledger, expected, why) in [
        (vec![], "archive 0..60, live 60..100", "nothing is read"),
        (vec![slice(Tier::Archive, 0, 60, Complete)], "live 60..100", "one is finished"),
        (
            vec![slice(Tier::Live, 20, 80, Complete)],
            "archive 0..20, live 80..100",
            "by another window",
        ),
        (
            vec![slice(Tier::Archive, 0, 60, Open)],
            "archive 0..60, live 60..100",
            "begun is not finished",
        ),
        (
            vec![slice(Tier::Live, 60, 100, Read)],
            "archive 0..60, live 60..100",
            "read is not confirmed",
        ),
        (
            vec![slice(Tier::Live, 60, 100, Read), slice(Tier::Archive, 60, 70, Open)],
            "archive 0..60, archive 60..70, live 60..100",
            "an archived gap is waited for",
        ),
        (
            vec![slice(Tier::Live, 60, 100, Complete), slice(Tier::Archive, 60, 70, Open)],
            "archive 0..60",
            "an archived gap that nobody waits for",
        ),
        (
            vec![slice(Tier::Archive, 0, 60, Complete), slice(Tier::Live, 60, 100, Complete)],
            "",
            "all of it",
        ),
    ] {
        let left = left(wanted(), &ledger, &[]);
        assert_eq!(text(left.iter().map(|slice| &slice.key)), expected, "{why}");
    }
    let tape = SliceKey::new(Scope::Tape, Tier::Live, at(0), at(90)).unwrap();
    let ledger = [Slice { status: Complete, ..Slice::new(tape) }];
    let left = left(wanted(), &ledger, &[Scope::Tape]);
    assert_eq!(
        text(left.iter().map(|slice| &slice.key)),
        "live 90..100",
        "the tape covers everybody"
    );
}

#[test]
fn a_slice_of_the_live_tier_waits_for_what_the_archive_has_grown_over() {
    let read = slice(Tier::Live, 60, 100, SliceStatus::Read);
    for (cutoff, archived_gap, is_complete, expected, why) in [
        (60, None, true, "", "the cutoff has not moved"),
        (50, None, true, "", "nor moved back"),
        (70, None, false, "archive 60..70", "it passed over ten seconds"),
        (500, None, false, "archive 60..100", "over all of it"),
        (70, Some((60, 70)), true, "", "the archived gap is read"),
        (80, Some((60, 70)), false, "archive 70..80", "and moved again"),
    ] {
        let archived_gap = archived_gap
            .map(|(from, until)| slice(Tier::Archive, from, until, SliceStatus::Complete));
        let ledger: Vec<Slice> = [read.clone()].into_iter().chain(archived_gap).collect();
        let (complete, archived_gaps) = confirm(&ledger, at(cutoff));
        assert_eq!(!complete.is_empty(), is_complete, "{why}");
        assert_eq!(text(archived_gaps.iter().map(|slice| &slice.key)), expected, "{why}");
    }
}

#[test]
fn the_tape_is_read_when_it_takes_fewer_requests() {
    let group = || GroupId::of(&[market()]);
    let lifespans = vec![lifespan(None, None); 100];
    let hour = span(0, 3_600, 0);
    assert_eq!(
        scheme(&lifespans, hour, TapeRate::of(10.0), group()),
        Scheme::Tape(group()),
        "36 pages for 100 markets"
    );
    assert_eq!(
        scheme(&lifespans, hour, TapeRate::of(100.0), group()),
        Scheme::Markets,
        "360 pages"
    );
    assert_eq!(
        scheme(&lifespans[..1], hour, TapeRate::of(0.0), group()),
        Scheme::Markets,
        "one request either way"
    );
}

#[test]
fn a_window_is_cut_where_the_live_tier_is_no_longer_settled() {
    let wanted = FillWindow { settled_until: at(80), ..span(0, 100, 60) };
    let keys = market_slices(&lifespan(None, None), wanted);
    assert_eq!(text(&keys), "archive 0..60, live 60..80, live 80..100");
    let unsettled: Vec<bool> = keys.iter().map(|key| wanted.is_unsettled(key)).collect();
    assert_eq!(unsettled, [false, false, true]);
    let behind = FillWindow { settled_until: at(50), ..wanted };
    assert!(!behind.is_unsettled(&keys[0]), "what is archived is settled");
    assert!(behind.is_unsettled(&keys[1]));
}

#[test]
fn a_span_that_is_read_again_is_cut_at_the_cutoff_only() {
    let keys = split(&market(), at(50), at(90 * DAY), at(40 * DAY));
    assert_eq!(text(&keys), format!("archive 50..{0}, live {0}..{1}", 40 * DAY, 90 * DAY));
}

#[test]
fn an_archived_gap_is_waited_for_by_the_slice_that_holds_it() {
    use SliceStatus::{Open, Read};
    let archived_gap = |from, until| slice(Tier::Archive, from, until, Open);
    let read = slice(Tier::Live, 60, 100, Read);
    let other = SliceKey::new(Ticker::new("KY").unwrap(), Tier::Archive, at(60), at(70)).unwrap();
    for (archived_gap, is_wanted, why) in [
        (archived_gap(60, 100), true, "all of it"),
        (archived_gap(59, 70), false, "it begins below"),
        (archived_gap(90, 101), false, "it ends above"),
        (slice(Tier::Live, 60, 70, Open), false, "what is live is no archived gap"),
        (Slice::new(other), false, "another market's"),
    ] {
        let left = left(Vec::new(), &[read.clone(), archived_gap.clone()], &[]);
        assert_eq!(left.contains(&archived_gap), is_wanted, "{why}");
    }
}

#[test]
fn what_was_begun_goes_on_where_it_was() {
    let wanted = market_slices(&lifespan(None, None), span(0, 100, 60));
    let begun = slice(Tier::Archive, 0, 60, SliceStatus::Open);
    let begun = Slice { low: Some(at(30)), version: 2, ..begun };
    assert_eq!(left(wanted, std::slice::from_ref(&begun), &[])[0], begun);
}

#[test]
fn what_is_done_leaves_the_gaps_between() {
    let spans = |spans: &[(i64, i64)]| -> Vec<(Timestamp, Timestamp)> {
        spans.iter().map(|(from, until)| (at(*from), at(*until))).collect()
    };
    for (done, expected) in [
        (&[][..], &[(10, 90)][..]),
        (&[(0, 10), (90, 95)], &[(10, 90)]),
        (&[(20, 60), (30, 40)], &[(10, 20), (60, 90)]),
        (&[(50, 99)], &[(10, 50)]),
        (&[(95, 99)], &[(10, 90)]),
        (&[(0, 90), (95, 99)], &[]),
    ] {
        assert_eq!(gaps(at(10), at(90), &spans(done)), spans(expected), "{done:?}");
    }
}

proptest! {
    #[test]
    fn slices_cover_the_window_without_a_gap_and_once(
        from in 0_i64..200 * DAY, length in 1_i64..200 * DAY, cutoff in 0_i64..400 * DAY,
    ) {
        let wanted = span(from, from + length, cutoff);
        for keys in [market_slices(&lifespan(None, None), wanted), tape_slices(&Scope::Tape, wanted)] {
            prop_assert_eq!(keys[0].from(), wanted.from);
            prop_assert_eq!(keys.last().unwrap().until(), wanted.until);
            for pair in keys.windows(2) {
                prop_assert_eq!(pair[0].until(), pair[1].from());
            }
            for key in &keys {
                let is_archived = key.tier() == Tier::Archive;
                prop_assert_eq!(is_archived, key.until() <= wanted.cutoff);
                prop_assert!(is_archived || key.from() >= wanted.cutoff);
            }
        }
    }

    #[test]
    fn what_is_left_and_what_is_complete_make_the_window(
        done in proptest::collection::vec((0_i64..100, 1_i64..40), 0..6),
        from in 0_i64..50, length in 1_i64..60,
    ) {
        let wanted = market_slices(&lifespan(None, None), span(from, from + length, 30));
        let ledger: Vec<Slice> = done
            .iter()
            .map(|(from, length)| slice(Tier::Live, *from, from + length, SliceStatus::Complete))
            .collect();
        let left = left(wanted, &ledger, &[]);
        for second in from..from + length {
            let holds = |key: &SliceKey| (key.from()..key.until()).contains(&at(second));
            let is_left = left.iter().filter(|slice| holds(&slice.key)).count();
            let is_done = ledger.iter().any(|slice| holds(&slice.key));
            prop_assert_eq!(is_left, usize::from(!is_done), "second {}", second);
        }
    }
}
