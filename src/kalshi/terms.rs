//! The terms of a market: the parts of its description that say what is traded and until when.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::market::Terms;

/// The fields of a description that are terms. All of them are optional: a description of before 2026 lacks some.
const FIELDS: [&str; 21] = [
    "title",
    "yes_sub_title",
    "no_sub_title",
    "rules_primary",
    "rules_secondary",
    "strike_type",
    "floor_strike",
    "cap_strike",
    "functional_strike",
    "custom_strike",
    "price_level_structure",
    "price_ranges",
    "open_time",
    "close_time",
    "expected_expiration_time",
    "latest_expiration_time",
    "can_close_early",
    "early_close_condition",
    "settlement_timer_seconds",
    "settlement_bounds_type",
    "settlement_floor_dollars",
];

/// Reads the terms of a description; those that are null, empty or missing are left out. A text is a term as it is, and
/// anything else as compact JSON, so that the same term is always the same text.
pub(super) fn terms(payload: &str) -> Terms {
    let fields: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(payload).unwrap_or_default();
    let text = |name: &str| match serde_json::from_str(fields.get(name)?.get()).ok()? {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    };
    FIELDS.iter().filter_map(|name| Some((*name, text(name)?.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::terms;

    #[test]
    fn a_term_is_the_same_text_however_it_is_written() {
        let one = r#"{"title":"A","custom_strike":{"b":1,"a":2.50},"floor_strike":74299.990,"close_time":null,
            "rules_primary":"\u0041","rules_secondary":"","volume_fp":"1"}"#;
        let other = r#"{"rules_primary":"A","floor_strike":74299.99,"custom_strike":{"a":2.5,"b":1},"title":"A"}"#;
        let expected = [
            ("custom_strike", r#"{"a":2.5,"b":1}"#),
            ("floor_strike", "74299.99"),
            ("rules_primary", "A"),
            ("title", "A"),
        ];
        for payload in [one, other] {
            let found = terms(payload);
            let found: Vec<(&str, &str)> =
                found.iter().map(|(name, text)| (*name, &**text)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_description_that_is_none_has_no_terms() {
        for payload in ["", "[]", "null", "{}", r#"{"title":"\ud800"}"#] {
            assert!(terms(payload).is_empty(), "{payload}");
        }
    }
}
