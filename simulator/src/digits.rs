//! Numbers as text.

/// Appends a number with at least `len` digits. It is written by hand because each trade has a dozen numbers.
pub(crate) fn push_number(text: &mut String, value: u64, len: usize) {
    let mut digits = [b'0'; 20];
    let (mut at, mut rest) = (digits.len(), value);
    while rest > 0 {
        at -= 1;
        digits[at] += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let at = at.min(digits.len().saturating_sub(len));
    text.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}
