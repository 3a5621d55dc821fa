//! Tests of the text for people and scripts.

use super::*;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::ticker::Ticker;

fn report(market: &str, stale_s: i64, error: Option<&str>) -> MarketReport {
    let at = Timestamp::from_seconds;
    let mut checkpoint = Checkpoint::first(Ticker::new(market).unwrap(), at(0));
    checkpoint.complete_until = Some(at(1_800_000_000 - stale_s));
    checkpoint.level_at = Some(at(1));
    checkpoint.last_trade_at = Some(at(1_800_000_000 - stale_s - 59));
    checkpoint.last_error = error.map(str::to_owned);
    checkpoint.failures = u32::from(error.is_some());
    MarketReport { checkpoint, trades_total: 12_345_678, trades_last_hour: 98_765 }
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const SLA: Duration = Duration::from_secs(300);

fn five_minutes(_: &Scope) -> Duration {
    SLA
}

#[test]
fn the_table_fits_a_hundred_columns() {
    let long = "KXITFWDOUBLES-26JUL25ARAKATTAYTHO-ARAKATTAYTHOARAKATTAYTHO";
    let reports = [report(long, 86_400 * 99 + 86_399, None), report("KXA", 6, None)];
    let text = table(&reports, 0, Now::by_record(NOW, None), &five_minutes, false);
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 100, "{widest}:\n{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("KXITFWDOUBLES-2…") && lines[1].contains("stale"), "{text}");
    assert!(lines[2].contains("fresh"), "{text}");
    assert!(!text.contains('\u{1b}'), "colour without being asked");
    assert!(
        table(&reports, 0, Now::by_record(NOW, None), &five_minutes, true)
            .contains("\u{1b}[1;31mstale"),
        "colour when asked"
    );
}

#[test]
fn an_error_stands_below_the_table() {
    let text = table(
        &[report("KXA", 6, Some("GET was answered 503"))],
        0,
        Now::by_record(NOW, None),
        &five_minutes,
        false,
    );
    assert!(text.contains("failing"), "{text}");
    assert!(text.ends_with("KXA failed 1 time in a row: GET was answered 503\n"), "{text}");
}

#[test]
fn csv_quotes_what_needs_it() {
    let text =
        csv(&[report("KXA", 6, Some("a \"b\", c"))], Now::by_record(NOW, None), &five_minutes);
    assert!(text.ends_with(",1,\"a \"\"b\"\", c\"\n"), "{text}");
    let columns = text.lines().next().unwrap().split(',').count();
    assert_eq!(columns, 14);
}

#[test]
fn json_and_csv_have_the_same_names() {
    let reports = [report("KXA", 6, None)];
    let value: serde_json::Value =
        serde_json::from_str(&json(&reports, Now::by_record(NOW, None), &five_minutes)).unwrap();
    let mut names: Vec<&str> =
        value["markets"][0].as_object().unwrap().keys().map(String::as_str).collect();
    let text = csv(&reports, Now::by_record(NOW, None), &five_minutes);
    let mut columns: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    names.sort_unstable();
    columns.sort_unstable();
    assert_eq!(names, columns);
    assert_eq!(value["markets"][0]["staleness_seconds"], 6.0);
}
