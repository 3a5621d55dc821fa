//! Converts decimal text to scaled integers and back, exactly or not at all.
//!
//! No float is involved in either direction.

use std::fmt::Write as _;

/// The reason why a decimal text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedError {
    /// The text is not of the form `digits[.digits]`.
    NotDecimal,
    /// The text has more decimals than the unit holds, and they are not zeros.
    TooFine,
    /// The text has more digits than the integer holds.
    TooLarge,
}

impl FixedError {
    /// The reason in words, to be printed after the text.
    pub fn words(self) -> &'static str {
        match self {
            FixedError::NotDecimal => "is not a decimal number",
            FixedError::TooFine => "has more decimals than can be stored exactly",
            FixedError::TooLarge => "is too large",
        }
    }
}

/// Reads `digits[.digits]` as a count of `10^-decimals` units.
///
/// `parse("0.3800", 6)` is `380_000`. Signs, exponents and blanks are refused. Additional decimals are accepted only
/// if they are zeros.
pub fn parse(text: &str, decimals: u32) -> Result<i64, FixedError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || text.ends_with('.') {
        return Err(FixedError::NotDecimal);
    }
    let mut value: i64 = 0;
    for byte in whole.bytes() {
        value = push_digit(value, byte)?;
    }
    let mut missing = decimals;
    for byte in fraction.bytes() {
        if missing > 0 {
            value = push_digit(value, byte)?;
            missing -= 1;
        } else if byte.is_ascii_digit() {
            if byte != b'0' {
                return Err(FixedError::TooFine);
            }
        } else {
            return Err(FixedError::NotDecimal);
        }
    }
    for _ in 0..missing {
        value = value.checked_mul(10).ok_or(FixedError::TooLarge)?;
    }
    Ok(value)
}

fn push_digit(value: i64, byte: u8) -> Result<i64, FixedError> {
    if !byte.is_ascii_digit() {
        return Err(FixedError::NotDecimal);
    }
    value
        .checked_mul(10)
        .and_then(|tens| tens.checked_add(i64::from(byte - b'0')))
        .ok_or(FixedError::TooLarge)
}

/// Writes a count of `10^-decimals` units that is not negative, with all its decimals.
pub fn format(value: i64, decimals: u32) -> String {
    let unit = 10_i64.pow(decimals);
    let mut text = String::new();
    let width = usize::try_from(decimals).unwrap_or(0);
    // Writing to a String cannot fail.
    let _ = write!(text, "{}.{:0width$}", value / unit, value % unit);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        for (text, decimals, expected, why) in [
            ("0.3800", 6, Ok(380_000), "the usual price"),
            ("0.000001", 6, Ok(1), "the finest the schema allows"),
            ("1.0000000", 6, Ok(1_000_000), "surplus zeros say nothing"),
            ("0.0000001", 6, Err(FixedError::TooFine), "would have to be rounded"),
            ("12.61", 2, Ok(1261), "a fractional count"),
            ("1", 2, Ok(100), "an integer count of the older shape"),
            ("12.605", 2, Err(FixedError::TooFine), "finer than a hundredth"),
            ("", 2, Err(FixedError::NotDecimal), "nothing"),
            (".5", 2, Err(FixedError::NotDecimal), "no whole part"),
            ("5.", 2, Err(FixedError::NotDecimal), "no fraction after the point"),
            ("-1", 2, Err(FixedError::NotDecimal), "negative"),
            ("+1", 2, Err(FixedError::NotDecimal), "signed"),
            ("1e3", 2, Err(FixedError::NotDecimal), "exponent"),
            ("1.2.3", 2, Err(FixedError::NotDecimal), "two points"),
            ("1.00x", 2, Err(FixedError::NotDecimal), "rubbish after the needed decimals"),
            ("92233720368547758.08", 2, Err(FixedError::TooLarge), "one more than an i64"),
            ("92233720368547758.07", 2, Ok(i64::MAX), "the largest"),
        ] {
            assert_eq!(parse(text, decimals), expected, "{text:?}: {why}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in 0..i64::MAX, decimals in 0u32..7) {
            let text = format(value, decimals);
            let text = text.trim_end_matches('.');
            prop_assert_eq!(parse(text, decimals), Ok(value));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC*", decimals in 0u32..7) {
            let _ = parse(&text, decimals);
        }
    }
}
