//! Writes JSON as the exchange does: compact, keys in alphabetical order, money and counts as decimal text.

use crate::digits::push_number;

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_quoted(&mut json, text);
    json
}

/// Appends a JSON string.
pub(crate) fn push_quoted(json: &mut String, text: &str) {
    let is_plain = |byte| 0x20 <= byte && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Dollars from millionths: with four decimals, or six when four are not exact.
pub(crate) fn dollars_e6(price_e6: u32) -> String {
    let mut text = String::with_capacity(8);
    push_dollars_e6(&mut text, price_e6);
    text
}

/// Appends the text of [`dollars_e6`].
pub(crate) fn push_dollars_e6(text: &mut String, price_e6: u32) {
    let (whole, fraction) = (price_e6 / 1_000_000, price_e6 % 1_000_000);
    push_number(text, whole.into(), 1);
    text.push('.');
    if fraction.is_multiple_of(100) {
        push_number(text, (fraction / 100).into(), 4);
    } else {
        push_number(text, fraction.into(), 6);
    }
}

/// Dollars from ten-thousandths.
pub(crate) fn dollars_e4(price_e4: i64) -> String {
    let sign = if price_e4 < 0 { "-" } else { "" };
    let (whole, fraction) = (price_e4.unsigned_abs() / 10_000, price_e4.unsigned_abs() % 10_000);
    format!("{sign}{whole}.{fraction:04}")
}

/// Contracts from hundredths.
pub(crate) fn contracts(count_e2: u64) -> String {
    let mut text = String::with_capacity(8);
    push_contracts(&mut text, count_e2);
    text
}

/// Appends the text of [`contracts`].
pub(crate) fn push_contracts(text: &mut String, count_e2: u64) {
    push_number(text, count_e2 / 100, 1);
    text.push('.');
    push_number(text, count_e2 % 100, 2);
}

/// An object that is being written; its fields must come in alphabetical order.
pub(crate) struct Object {
    text: String,
    last: &'static str,
}

impl Object {
    pub(crate) fn new() -> Object {
        let mut text = String::with_capacity(2_048);
        text.push('{');
        Object { text, last: "" }
    }

    /// Adds a field whose value is JSON already.
    pub(crate) fn raw(&mut self, name: &'static str, json: &str) -> &mut Object {
        self.put(name, "\":", json, "")
    }

    /// Adds a text that needs no escaping.
    pub(crate) fn plain(&mut self, name: &'static str, value: &str) -> &mut Object {
        self.put(name, "\":\"", value, "\"")
    }

    fn put(&mut self, name: &'static str, before: &str, value: &str, after: &str) -> &mut Object {
        debug_assert!(self.last < name, "{name} comes before {}", self.last);
        self.text.push_str(if self.last.is_empty() { "\"" } else { ",\"" });
        self.text.push_str(name);
        self.text.push_str(before);
        self.text.push_str(value);
        self.text.push_str(after);
        self.last = name;
        self
    }

    pub(crate) fn text(&mut self, name: &'static str, value: &str) -> &mut Object {
        self.raw(name, &quoted(value))
    }

    /// Adds a time in RFC 3339.
    pub(crate) fn time(&mut self, name: &'static str, us: i64) -> &mut Object {
        self.plain(name, &crate::timestamp::rfc3339(us))
    }

    pub(crate) fn flag(&mut self, name: &'static str, value: bool) -> &mut Object {
        self.raw(name, if value { "true" } else { "false" })
    }

    pub(crate) fn dollars(&mut self, name: &'static str, price_e4: i64) -> &mut Object {
        self.plain(name, &dollars_e4(price_e4))
    }

    pub(crate) fn contracts(&mut self, name: &'static str, count_e2: u64) -> &mut Object {
        self.plain(name, &contracts(count_e2))
    }

    pub(crate) fn end(self) -> String {
        let mut text = self.text;
        text.push('}');
        text
    }
}

/// `[…]` of values that are JSON already.
pub(crate) fn array<'a>(rows: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::from("[");
    for row in rows {
        if 1 < text.len() {
            text.push(',');
        }
        text.push_str(row);
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        for (price_e4, text) in
            [(0, "0.0000"), (1, "0.0001"), (6_100, "0.6100"), (10_000, "1.0000"), (-5, "-0.0005")]
        {
            assert_eq!(dollars_e4(price_e4), text);
        }
        for (count_e2, text) in [(0, "0.00"), (4, "0.04"), (7_900, "79.00"), (123_456, "1234.56")] {
            assert_eq!(contracts(count_e2), text);
        }
    }

    #[test]
    fn objects_are_compact() {
        let mut object = Object::new();
        object.flag("a", true).text("b", "x\"y").raw("c", &array(["1", "2"])).time("d", 0);
        assert_eq!(object.end(), r#"{"a":true,"b":"x\"y","c":[1,2],"d":"1970-01-01T00:00:00Z"}"#);
        assert_eq!(Object::new().end(), "{}");
        assert_eq!(array([]), "[]");
    }
}
