//! The changes of the terms of markets.

use kalshi_ingest::domain::market::Market;

use super::{at, instant, market, plain, rows, seen, some};
use crate::support::database::{Database, on_both_stores};

on_both_stores! { a_change_of_a_term_is_recorded_once }

/// Market, field, previous value, value and time of each recorded change of a term.
fn term_changes(database: &Database) -> Vec<Vec<Option<String>>> {
    let mut columns: Vec<String> =
        ["market_ticker", "field", "previous_value", "value"].map(plain).into();
    columns.push(instant(database, "observed_at"));
    let from = "market_changes where source = 'kalshi' order by observed_at, market_ticker, field";
    rows(database, &columns, from)
}

fn a_change_of_a_term_is_recorded_once(database: &Database) {
    let mut store = database.open();
    let mut see = |name: &str, terms: &[(&'static str, &str)], second: i64| {
        let terms = terms.iter().map(|(field, text)| (*field, Box::from(*text))).collect();
        let sighting = seen(Market { terms, ..market(name, "active") }, second);
        store.save_markets(&[sighting], &[], at(second + 100)).unwrap();
    };
    let rules = "If \"it\" rains – \u{1f327}\\n";
    let first = [("close_time", "noon"), ("rules_primary", rules)];
    see("A", &first, 10);
    see("A", &first, 20);
    assert_eq!(term_changes(database), Vec::<Vec<_>>::new(), "a first sighting is no change");
    see("A", &[("close_time", "one"), ("floor_strike", "5"), ("rules_primary", rules)], 30);
    see("B", &first, 30);
    see("A", &[("close_time", "two"), ("rules_primary", rules)], 25);
    see("A", &[("close_time", "one"), ("floor_strike", "5"), ("rules_primary", "\0")], 40);
    see("A", &[("close_time", "one"), ("floor_strike", "5"), ("rules_primary", "\0")], 50);
    see("A", &[("close_time", "one")], 60);
    let row = |field: &str, previous: Option<&str>, value: Option<&str>, second: i64| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        vec![some("A"), some(field), text(previous), text(value), some(at(second))]
    };
    let expected = [
        row("close_time", Some("noon"), Some("one"), 30),
        row("floor_strike", None, Some("5"), 30),
        row("rules_primary", Some(rules), Some("\u{fffd}"), 40),
        row("floor_strike", Some("5"), None, 60),
        row("rules_primary", Some("\u{fffd}"), None, 60),
    ];
    assert_eq!(term_changes(database), expected, "and what an older answer says is none");
}
