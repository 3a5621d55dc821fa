//! The rules of an export: which files, with which claim, and when a file is written again.

use std::time::Duration;

use super::*;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::scope::{GroupId, Scope};
use crate::domain::slice::{Slice, SliceKey, SliceStatus};
use crate::domain::tier::Tier;

const LIVE_MIN: Duration = Duration::from_secs(30 * 86_400);

/// The beginning of a day, as a number of days since 2026-06-01.
fn day(number: i64) -> Timestamp {
    Timestamp::from_seconds(1_780_272_000 + number * 86_400)
}

fn hour(of: i64, number: i64) -> Timestamp {
    Timestamp::from_seconds(day(of).second() + number * 3_600)
}

fn span(from: i64, until: i64) -> Span {
    Span { from: day(from), until: day(until) }
}

fn ticker(name: &str) -> Ticker {
    Ticker::new(name).unwrap()
}

fn scope(name: &str) -> Scope {
    Scope::parse(name).unwrap()
}

fn member(name: &str) -> Member {
    let (market, series) = (ticker(name), Some("KXS".into()));
    Member { market, series, open_time: None, close_time: None }
}

fn count(market: &str, of: i64, rows: u64) -> Count {
    let content = Content { rows, contracts_e2: 100, newest: Some(day(9)), numbers: None };
    Count { market: market.into(), day: day(of), content }
}

/// A checkpoint that claims this span of a scope.
fn checkpoint(name: &str, from: Option<i64>, until: Option<i64>) -> Checkpoint {
    let mut row = Checkpoint::first(scope(name), day(0));
    (row.complete_from, row.complete_until) = (from.map(day), until.map(day));
    row.level_at = Some(day(1));
    row
}

fn slice(name: &str, from: i64, until: i64, status: SliceStatus) -> Slice {
    let key = SliceKey::new(scope(name), Tier::Archive, day(from), day(until)).unwrap();
    Slice { status, ..Slice::new(key) }
}

fn wanted(partition: Partition, span: Span) -> Wanted {
    let (table, format) = (Table::Trades, Format::Csv);
    Wanted { table, format, partition, span, judged_until: span.until, now: day(100) }
}

fn plan_of(
    evidence: &Evidence,
    partition: Partition,
    members: &[Member],
    counts: &[Count],
) -> Plan {
    let claims = Claims::of(evidence, LIVE_MIN);
    plan(wanted(partition, span(0, 4)), members, counts, &claims, &Scores::default())
}

/// Whether each day of four is complete, with trades of two markets on each.
fn complete_days(evidence: &Evidence, members: &[Member]) -> Vec<bool> {
    let counts: Vec<Count> = (0..4).map(|day| count("KXS-A", day, 1)).collect();
    let plan = plan_of(evidence, Partition::Day, members, &counts);
    plan.files.iter().map(|file| file.claim.is_complete == Some(true)).collect()
}

#[test]
fn each_day_with_rows_is_a_file_and_the_others_stand_together() {
    let counts = [count("KXS-B", 1, 2), count("KXS-A", 1, 3), count("KXS-A", 0, 1)];
    let members = [member("KXS-A"), member("KXS-B")];
    let plan = plan_of(&Evidence::default(), Partition::Day, &members, &counts);
    let paths: Vec<&str> = plan.files.iter().map(|file| &*file.path).collect();
    let expected =
        ["series=KXS/date=2026-06-01/trades.csv", "series=KXS/date=2026-06-02/trades.csv"];
    assert_eq!(paths, expected);
    assert_eq!(plan.files[1].content.rows, 5);
    assert_eq!(plan.files[1].markets, [("KXS-A".into(), 3), ("KXS-B".into(), 2)]);
    assert_eq!(plan.files[1].window, span(1, 2));
    let bare =
        Bare { series: Some("KXS".into()), market: None, span: span(2, 4), is_complete: false };
    assert_eq!(plan.bare, [bare]);
    assert!(!plan.is_complete);
}

#[test]
fn each_market_with_rows_is_a_file_under_an_encoded_name() {
    let names = ["GDP Q4, T>2", "A/..", "KXS-A"];
    let counts: Vec<Count> = names.iter().map(|name| count(name, 1, 1)).collect();
    let members: Vec<Member> = names.iter().chain(&["KXS-Z"]).map(|name| member(name)).collect();
    let plan = plan_of(&Evidence::default(), Partition::Market, &members, &counts);
    let paths: Vec<&str> = plan.files.iter().map(|file| &*file.path).collect();
    let expected =
        ["series=KXS/A%2F...csv", "series=KXS/GDP%20Q4%2C%20T%3E2.csv", "series=KXS/KXS-A.csv"];
    assert_eq!(paths, expected);
    assert_eq!(plan.bare.len(), 1, "the market without rows: {:?}", plan.bare);
    assert_eq!(plan.bare[0].market.as_deref(), Some("KXS-Z"));
}

#[test]
fn long_names_stay_apart_and_short_enough() {
    let long = |end: &str| format!("{}{end}", ">".repeat(150));
    let counts = [count(&long("A"), 0, 1), count(&long("B"), 0, 1)];
    let members = [member(&long("A")), member(&long("B"))];
    let plan = plan_of(&Evidence::default(), Partition::Market, &members, &counts);
    assert_eq!(plan.files.len(), 2);
    assert_ne!(plan.files[0].path, plan.files[1].path);
    for file in &plan.files {
        let name = file.path.split('/').next_back().unwrap();
        assert!(name.len() < 255 && name.contains("%3E~"), "{name}");
    }
}

#[test]
fn names_in_the_manifest_are_lower_case_and_differ() {
    assert_eq!(of_resource("trades.csv"), "trades.csv");
    let names = ["series=KXS/a.csv", "series=kxs/a.csv"].map(of_resource);
    assert_ne!(names[0], names[1]);
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    assert!(names.iter().all(|name| name.chars().all(is_plain)), "{names:?}");
}

#[test]
fn without_rows_there_is_one_empty_file() {
    let plan = plan_of(&Evidence::default(), Partition::Day, &[member("KXS-A")], &[]);
    assert_eq!(plan.files.len(), 1);
    assert_eq!((&*plan.files[0].path, plan.files[0].content.rows), ("trades.csv", 0));
    let complete = checkpoint("KXS-A", Some(0), Some(4));
    let evidence = Evidence { checkpoints: vec![complete], ..Evidence::default() };
    let plan = plan_of(&evidence, Partition::Day, &[member("KXS-A")], &[]);
    assert!(plan.is_complete && plan.files[0].claim.is_final, "{plan:?}");
}

#[test]
fn a_day_is_complete_as_far_as_each_market_is_claimed() {
    let (a, b) = (member("KXS-A"), member("KXS-B"));
    let own = vec![checkpoint("KXS-A", Some(0), Some(4)), checkpoint("KXS-B", Some(1), Some(3))];
    let own = Evidence { checkpoints: own, ..Evidence::default() };
    assert_eq!(complete_days(&own, std::slice::from_ref(&a)), [true; 4]);
    assert_eq!(complete_days(&own, &[a.clone(), b.clone()]), [false, true, true, false]);
    // It opens on the third day and closes then. The day before is needed too: openings move.
    let short = Member { open_time: Some(day(2)), close_time: Some(hour(2, 12)), ..b.clone() };
    assert_eq!(complete_days(&own, &[a.clone(), short]), [true; 4], "outside of its life");
    let never = complete_days(&own, &[a.clone(), member("KXS-C")]);
    assert_eq!(never, [false; 4], "a market that was never read");
    let slices =
        vec![slice("KXS-B", 0, 1, SliceStatus::Complete), slice("KXS-B", 3, 4, SliceStatus::Read)];
    let both = Evidence { slices, ..own };
    assert_eq!(complete_days(&both, &[a, b]), [true, true, true, false], "with the ledger");
}

#[test]
fn the_tape_stands_for_every_market_and_alone_for_the_whole_exchange() {
    let (a, b) = (member("KXS-A"), member("KXS-B"));
    let tape =
        Evidence { checkpoints: vec![checkpoint("*", Some(1), Some(4))], ..Evidence::default() };
    assert_eq!(complete_days(&tape, &[a.clone(), b.clone()]), [false, true, true, true]);
    let each = vec![checkpoint("KXS-A", Some(0), Some(4)), checkpoint("KXS-B", Some(0), Some(4))];
    let all = Evidence { checkpoints: each, is_all: true, ..Evidence::default() };
    assert_eq!(complete_days(&all, &[a.clone(), b]), [false; 4], "other markets may be unknown");
    let group = Scope::Group(GroupId::of(&[ticker("KXS-A")]));
    let slices = vec![slice(group.as_str(), 0, 4, SliceStatus::Complete)];
    let own = Evidence { slices: slices.clone(), group: Some(group), ..Evidence::default() };
    assert_eq!(complete_days(&own, std::slice::from_ref(&a)), [true; 4]);
    let later = Membership {
        series: vec![Some("KXS".into())],
        first_selected_at: Some(day(2)),
        is_synced: false,
        listed_until: Some(day(4)),
    };
    let by_list = Evidence { memberships: vec![later], ..own.clone() };
    let found = complete_days(&by_list, std::slice::from_ref(&a));
    assert_eq!(found, [false, false, true, true], "a group is no list of the markets of a series");
    let other = Evidence { slices, ..Evidence::default() };
    assert_eq!(complete_days(&other, &[a]), [false; 4], "the group of other markets");
}

#[test]
fn a_claim_without_a_beginning_reaches_as_far_back_as_the_live_tier() {
    let of = |until, level_at| {
        let mut row = checkpoint("KXS-A", None, until);
        row.level_at = level_at;
        Evidence { checkpoints: vec![row], ..Evidence::default() }
    };
    let (a, first) = (member("KXS-A"), Some(day(1)));
    assert_eq!(complete_days(&of(Some(4), first), std::slice::from_ref(&a)), [true; 4]);
    // Read first on day 32: the live tier surely held what is younger than thirty days.
    let late = complete_days(&of(Some(40), Some(day(32))), std::slice::from_ref(&a));
    assert_eq!(late, [false, false, true, true]);
    let counts = [count("KXS-A", 2, 1), count("KXS-A", 3, 1)];
    for (opens, counts, expected, why) in [
        (3, &counts[..], true, "it opened then"),
        (2, &counts, false, "the opening of a market can move by a day"),
        (3, &[count("KXS-A", 1, 1)], false, "it was traded before it opened"),
    ] {
        let opened = Member { open_time: Some(day(opens)), ..a.clone() };
        let evidence = of(Some(40), Some(day(32)));
        let plan = plan_of(&evidence, Partition::Market, &[opened], counts);
        assert_eq!(plan.files[0].claim.is_complete, Some(expected), "{why}");
    }
    assert_eq!(complete_days(&of(None, first), &[a]), [false; 4], "no claim");
}

#[test]
fn a_retired_market_has_no_end_and_its_file_has() {
    let mut row = checkpoint("KXS-A", Some(0), Some(1));
    row.retired_at = Some(hour(2, 1));
    let evidence = Evidence { checkpoints: vec![row], ..Evidence::default() };
    assert_eq!(complete_days(&evidence, &[member("KXS-A")]), [true; 4]);
    let opened = Member { open_time: Some(hour(1, 5)), ..member("KXS-A") };
    let plan = plan_of(&evidence, Partition::Market, &[opened], &[count("KXS-A", 1, 1)]);
    assert_eq!(plan.files[0].window, Span { from: hour(0, 5), until: hour(2, 1) });
    assert_eq!(plan.files[0].span, span(0, 4), "all rows of the window are read");
    assert!(plan.files[0].claim.is_final);
}

#[test]
fn days_before_a_series_was_listed_are_not_complete() {
    let own = vec![checkpoint("KXS-A", Some(0), Some(4))];
    let of = |first: Option<i64>, is_synced, until: Option<i64>| Evidence {
        checkpoints: own.clone(),
        memberships: vec![Membership {
            series: vec![Some("KXS".into())],
            first_selected_at: first.map(day),
            is_synced,
            listed_until: until.map(day),
        }],
        ..Evidence::default()
    };
    for (first, is_synced, until, expected, why) in [
        (Some(2), false, Some(4), [false, false, true, true], "first selected on the third day"),
        (Some(2), true, Some(4), [true; 4], "a sync listed all markets"),
        (Some(0), true, Some(3), [true, true, true, false], "not listed since"),
        (Some(0), false, None, [false; 4], "never listed"),
        (None, false, None, [false; 4], "never selected"),
    ] {
        let evidence = of(first, is_synced, until);
        let found = complete_days(&evidence, &[member("KXS-A")]);
        assert_eq!(found, expected, "{why}");
        // The file of the one known market is complete; the export is not, as far as others may be missing.
        let counts = [count("KXS-A", 1, 1)];
        let plan = plan_of(&evidence, Partition::Market, &[member("KXS-A")], &counts);
        let is_listed = expected == [true; 4];
        let said = (plan.files[0].claim.is_complete, plan.is_listed, plan.is_complete);
        assert_eq!(said, (Some(true), is_listed, is_listed), "{why}");
        let none = plan_of(&evidence, Partition::Day, &[], &[]);
        assert_eq!((none.is_listed, none.is_complete), (is_listed, is_listed), "no market, {why}");
        assert_eq!(none.files[0].claim.is_complete, Some(is_listed), "no market, {why}");
    }
}

#[test]
fn files_of_the_markets_of_the_whole_exchange_need_the_tape() {
    let of = |tape| Evidence {
        checkpoints: vec![
            checkpoint("KXS-A", Some(0), Some(4)),
            checkpoint("*", Some(tape), Some(4)),
        ],
        is_all: true,
        ..Evidence::default()
    };
    for (tape, expected) in [(0, true), (1, false)] {
        let counts = [count("KXS-A", 2, 1)];
        let plan = plan_of(&of(tape), Partition::Market, &[member("KXS-A")], &counts);
        assert_eq!(plan.files[0].claim.is_complete, Some(true), "its own market is known");
        assert_eq!((plan.is_listed, plan.is_complete), (expected, expected), "tape from {tape}");
    }
}

#[test]
fn nothing_is_final_within_a_day_or_while_a_false_claim_is_not_proven_again() {
    let of = |now: Timestamp, lowered: Option<Lowered>, success: Option<Timestamp>| {
        let mut row = checkpoint("KXS-A", Some(0), Some(4));
        row.last_success_at = success;
        let evidence = Evidence {
            checkpoints: vec![row],
            lowered: lowered.into_iter().collect(),
            ..Evidence::default()
        };
        let wanted = Wanted { now, ..wanted(Partition::Day, span(0, 1)) };
        let claims = Claims::of(&evidence, LIVE_MIN);
        let counts = [count("KXS-A", 0, 1)];
        let plan = plan(wanted, &[member("KXS-A")], &counts, &claims, &Scores::default());
        (plan.files[0].claim.is_complete, plan.files[0].claim.is_final)
    };
    let lowered = |proven: i64, claimed: i64| Lowered {
        scope: scope("KXS-A"),
        is_end: true,
        claimed: day(claimed),
        proven: Some(hour(0, proven)),
        corrected_at: day(6),
    };
    assert_eq!(of(hour(1, 23), None, None), (Some(true), false), "it ended less than a day ago");
    assert_eq!(of(day(2), None, None), (Some(true), true));
    let open = Some(lowered(5, 5));
    assert_eq!(of(day(9), open.clone(), None), (Some(true), false), "the claim of day 5 was false");
    assert_eq!(of(day(9), open.clone(), Some(day(6))), (Some(true), false), "the pass itself");
    assert_eq!(of(day(9), open, Some(day(7))), (Some(true), true), "a later pass read it again");
    assert_eq!(of(day(9), Some(lowered(5, 4)), None), (Some(true), true), "claimed again by now");
    assert_eq!(
        of(day(9), Some(lowered(25, 5)), None),
        (Some(true), true),
        "it was about later days"
    );
}

#[test]
fn a_file_is_written_again_when_its_rows_or_its_claim_changed() {
    let evidence = |until| Evidence {
        checkpoints: vec![checkpoint("KXS-A", Some(0), until)],
        ..Evidence::default()
    };
    let file = |until, rows| {
        let counts = [count("KXS-A", 0, rows)];
        plan_of(&evidence(until), Partition::Market, &[member("KXS-A")], &counts).files.remove(0)
    };
    let known = |file: &Planned| Known { content: file.content, claim: file.claim };
    let complete = file(Some(4), 1);
    assert!(is_current(known(&complete), &complete));
    assert!(!is_current(known(&complete), &file(Some(4), 2)), "a late trade");
    assert!(!is_current(known(&file(Some(2), 1)), &complete), "it became complete");
    assert!(!is_current(known(&file(Some(2), 1)), &file(Some(3), 1)), "its claim moved");
    let newer = Content { newest: Some(day(10)), ..complete.content };
    let healed = Planned { content: newer, ..complete.clone() };
    assert!(!is_current(known(&complete), &healed), "other rows, as many");
    let claim = Claim { complete_until: Some(day(3)), ..complete.claim };
    let before = Known { content: complete.content, claim };
    assert!(is_current(before, &complete), "complete then and now, by another window");
}

#[test]
fn a_day_that_nobody_asked_for_by_name_is_not_judged() {
    let own = vec![checkpoint("KXS-A", Some(0), Some(3))];
    let evidence = Evidence { checkpoints: own, ..Evidence::default() };
    let claims = Claims::of(&evidence, LIVE_MIN);
    let counts = [count("KXS-A", 0, 1), count("KXS-A", 3, 1)];
    for (partition, judged, expected) in [
        (Partition::Day, 4, false),
        (Partition::Day, 3, true),
        (Partition::Market, 4, false),
        (Partition::Market, 3, true),
    ] {
        let wanted = Wanted { judged_until: day(judged), ..wanted(partition, span(0, 4)) };
        let plan = plan(wanted, &[member("KXS-A")], &counts, &claims, &Scores::default());
        assert_eq!(plan.is_complete, expected, "{partition:?} {judged}");
        assert!(plan.files.iter().any(|file| file.claim.is_complete == Some(false)), "it says so");
    }
}

fn scored(market: &str, of: Option<Span>, stored_e2: i64, exchange_e2: i64, at: i64) -> Scored {
    let score = crate::domain::completeness::Score::of_sums(
        ticker(market),
        stored_e2,
        exchange_e2,
        crate::domain::completeness::Basis::Candles,
    );
    let (score, scored_at) = (score.value(), day(at));
    Scored { market: market.into(), span: of, stored_e2, exchange_e2, score, scored_at }
}

/// The figures of the second day, with rows of one market.
fn looked(rows: Vec<Scored>, members: &[Member]) -> Option<Looked> {
    let counts = [count("KXS-A", 1, 1)];
    let claims = Claims::default();
    let scores = Scores::of(rows);
    let plan = plan(wanted(Partition::Day, span(0, 4)), members, &counts, &claims, &scores);
    plan.files[0].looked
}

#[test]
fn a_score_is_the_latest_one_of_the_shortest_span_that_holds_the_file() {
    let a = [member("KXS-A")];
    assert_eq!(looked(Vec::new(), &a), None, "nobody looked");
    let other = scored("KXS-A", Some(span(2, 3)), 50, 100, 9);
    assert_eq!(looked(vec![other.clone()], &a), None, "nor at this day");
    let life = scored("KXS-A", None, 90, 100, 9);
    let found = looked(vec![other.clone(), life.clone()], &a).unwrap();
    assert!((found.score - 0.9).abs() < 1e-9 && !found.is_of_window, "{found:?}");
    let older = scored("KXS-A", Some(span(1, 2)), 50, 100, 3);
    let newer = scored("KXS-A", Some(span(1, 2)), 100, 100, 4);
    let found = looked(vec![newer, older, life], &a).unwrap();
    assert!((found.score - 1.0).abs() < 1e-9 && found.is_of_window, "{found:?}");
    assert_eq!((found.stored_e2, found.exchange_e2, found.scored_at), (100, 100, day(4)));
}

#[test]
fn the_score_of_several_markets_is_that_of_their_sums() {
    let of = span(1, 2);
    let a = scored("KXS-A", Some(of), 100, 100, 4);
    let b = scored("KXS-B", Some(of), 100, 200, 3);
    let members = [member("KXS-A"), member("KXS-B")];
    let found = looked(vec![a.clone(), b], &members).unwrap();
    assert!((found.score - 200.0 / 300.0).abs() < 2e-6, "{found:?}");
    assert_eq!((found.exchange_e2, found.scored_at), (300, day(3)));
    // More is stored than the exchange says: that is no score of one either.
    let excess = scored("KXS-B", Some(of), 300, 200, 4);
    let found = looked(vec![a.clone(), excess], &members).unwrap();
    assert!((found.score - 300.0 / 400.0).abs() < 2e-6, "{found:?}");
    assert!(looked(vec![a], &members).is_some(), "the other one has no rows");
    let b = scored("KXS-B", Some(of), 1, 1, 4);
    assert_eq!(looked(vec![b], &members), None, "the one with rows was never looked at");
}

#[test]
fn small_markets_are_read_together_and_big_ones_alone() {
    let markets = |rows: &[u64]| {
        rows.iter()
            .enumerate()
            .map(|(at, rows)| (format!("M{at}").into(), *rows))
            .collect::<Vec<_>>()
    };
    assert!(reads(&[]).is_empty());
    assert_eq!(reads(&markets(&[1, 2, 3, 50_000])), [0..3, 3..4]);
    assert_eq!(reads(&markets(&[1, 50_000, 1])), [0..1, 1..2, 2..3]);
    assert_eq!(reads(&markets(&[10_000, 10_000, 1])), [0..2, 2..3]);
}

#[test]
fn every_table_fits_the_row_that_is_handed_over() {
    for table in [Table::Trades, Table::Markets, Table::Orderbooks, Table::RawEvents] {
        let columns = table.columns();
        assert!(columns.len() <= COLUMNS_MAX, "{table:?}");
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        assert!(table.sorted_by().iter().chain(&table.key()).all(|name| names.contains(name)));
    }
}
