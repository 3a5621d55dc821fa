//! Separates the rows of a list at the level of bytes, so that a row that is no JSON spoils no other row.
//!
//! Most answers are valid and are read at once. Only when that fails is the list cut into rows by the structure that
//! can still be recognized, and each row is tried alone.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::decode::{cursor, excerpt};
use super::wire::{ListTail, Text};
use crate::failure::{Failure, Kind};

/// The longest row that is cut out. The bound limits the search for the end of a row.
const ROW_BYTES_MAX: usize = 1024 * 1024;
/// A list with more broken rows than this, more than a page has rows, is no list.
const BROKEN_MAX: usize = 1_000;
/// A list with more rows than this, many more than a page has, is no list.
const ROWS_MAX: usize = 100_000;
/// The deepest nesting that is accepted, deeper than any real row. PostgreSQL's parser fails at some depth.
const DEPTH_MAX: usize = 200;
/// The number of places inside a row with matching brackets that are tried as the beginning of another row.
const SEAMS_MAX: usize = 8;

/// One row as it was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RawRow<'a> {
    /// JSON that both stores can hold as it is.
    Sound(&'a str),
    /// A row that no store can hold, in a form that both can.
    Broken(Broken),
}

/// A row that is no JSON, or that a store cannot hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The row with a replacement for unreadable characters: only good for finding its keys.
    pub(super) legible: String,
    /// The row without loss, see [`escaped`].
    pub(super) payload: Box<str>,
    /// The reason why it is broken.
    pub(super) reason: String,
}

/// The rows of a list, and the cursor of the next page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List<'a> {
    pub(super) rows: Vec<RawRow<'a>>,
    pub(super) cursor: Option<String>,
}

/// A body that is an object with a list in it.
pub(super) trait ListBody<'a>: serde::Deserialize<'a> {
    /// The key of the list.
    const NAME: &'static str;

    /// Splits the body into its rows and its cursor.
    fn parts(self) -> (Vec<&'a RawValue>, Option<Text<'a>>);
}

/// Reads a body; `what` names it in errors.
pub(super) fn list<'a, B: ListBody<'a>>(body: &'a [u8], what: &str) -> Result<List<'a>, Failure> {
    let error = match serde_json::from_slice::<B>(body) {
        Ok(wire) => {
            let (rows, next) = wire.parts();
            let rows = rows.into_iter().map(|raw| shallow(raw.get())).collect();
            return Ok(List { rows, cursor: cursor(next.as_ref())? });
        }
        Err(error) => error,
    };
    let Some((pieces, envelope)) = pieces(body, B::NAME) else {
        let message = format!("the answer is not {what} ({:?})", excerpt(body));
        return Err(Failure::new(Kind::ExchangeUnreadable, message).because(error));
    };
    let tail: Option<ListTail<'_>> = serde_json::from_str(&envelope).ok();
    let cursor = cursor(tail.and_then(|tail| tail.cursor).as_ref())?;
    Ok(List { rows: pieces.into_iter().map(row).collect(), cursor })
}

/// Classifies a row that was cut out.
fn row(bytes: &[u8]) -> RawRow<'_> {
    let Ok(text) = std::str::from_utf8(bytes) else { return broken(bytes, "it is not UTF-8") };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => shallow(text),
        Err(_) => broken(bytes, "it is not JSON"),
    }
}

/// Classifies valid JSON: it is broken if it is nested too deep.
pub(super) fn shallow(text: &str) -> RawRow<'_> {
    // In valid JSON each bracket has its closing bracket, so a shorter text cannot be nested too deep.
    if text.len() <= 2 * DEPTH_MAX {
        return RawRow::Sound(text);
    }
    // Counting brackets is cheap, and nearly always enough.
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets > DEPTH_MAX && Structure::default().deepest(text.as_bytes()) > DEPTH_MAX {
        return broken(text.as_bytes(), "it is nested too deep");
    }
    RawRow::Sound(text)
}

fn broken<'a>(bytes: &[u8], reason: &str) -> RawRow<'a> {
    RawRow::Broken(Broken {
        legible: legible(bytes),
        payload: escaped(bytes).into(),
        reason: format!("{reason}; kept as a JSON string"),
    })
}

/// Any bytes as a JSON string: text as JSON escapes it, and each byte that is no part of UTF-8 as `\udc80` to
/// `\udcff`, the low surrogate of its value, which no text contains. Python restores the bytes with
/// `json.loads(payload).encode("utf-8", "surrogateescape")`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut payload = String::with_capacity(bytes.len() + 16);
    payload.push('"');
    for chunk in bytes.utf8_chunks() {
        let quoted = serde_json::Value::from(chunk.valid()).to_string();
        payload.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(payload, "\\udc{byte:02x}");
        }
    }
    payload.push('"');
    payload
}

/// The text with a replacement for each byte that JSON or UTF-8 does not allow; line breaks and tabs become blanks.
fn legible(bytes: &[u8]) -> String {
    let legible = |c: char| match c {
        '\t' | '\n' | '\r' => ' ',
        c if c < ' ' => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    String::from_utf8_lossy(bytes).chars().map(legible).collect()
}

/// The text around the rows, with blanks for stray control characters.
fn surroundings(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| c.max(' ')).collect()
}

/// The rows of the list of this name as bytes, and the body without them. `None` unless the body is a complete object.
fn pieces<'a>(body: &'a [u8], name: &str) -> Option<(Vec<&'a [u8]>, String)> {
    let start = list_start(body, name)?;
    let last = body.iter().rposition(|byte| *byte == b']')?;
    let (mut rows, mut broken, mut at) = (Vec::new(), 0, start);
    let end = loop {
        let begins = at;
        at = skip_blank(body, at);
        if matches!(body.get(at), Some(b',' | b']')) {
            // The row is empty, or consists of stray bytes only.
            rows.extend(Some(body[begins..at].trim_ascii()).filter(|row| !row.is_empty()));
        } else {
            let next = sound_end(body, at).or_else(|| {
                broken += 1;
                broken_end(body, at, last)
            })?;
            rows.push(body[at..next].trim_ascii());
            at = skip_blank(body, next);
        }
        if rows.len() > ROWS_MAX || broken > BROKEN_MAX {
            return None;
        }
        match body.get(at)? {
            b',' => at += 1,
            b']' => break at,
            _ => {}
        }
    };
    let tail = surroundings(&body[end + 1..]);
    // A closing bracket that was only guessed may belong to a list within a row; then the body is cut in the middle.
    let is_sure = end < last || broken == 0 || is_tail(&tail);
    let envelope = format!("{}]{tail}", surroundings(&body[..start]));
    let is_object = serde_json::from_str::<ListTail<'_>>(&envelope).is_ok();
    (is_sure && is_object).then_some((rows, envelope))
}

/// Whether nothing follows the list, or only the cursor.
fn is_tail(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('}')
        || text.strip_prefix(',').is_some_and(|key| key.trim_start().starts_with("\"cursor\""))
}

/// The position behind the bracket that opens the list.
fn list_start(body: &[u8], name: &str) -> Option<usize> {
    let key = format!("\"{name}\"");
    (0..body.len()).filter(|at| body[*at..].starts_with(key.as_bytes())).find_map(|at| {
        let colon = skip_blank(body, at + key.len());
        let bracket = skip_blank(body, colon + 1);
        let opens = body.get(colon) == Some(&b':') && body.get(bracket) == Some(&b'[');
        opens.then_some(bracket + 1)
    })
}

/// The position behind blanks. Stray control characters between rows count as blanks.
fn skip_blank(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| **byte <= b' ').count()
}

/// Whether a row can end there: another row follows, or the list ends.
fn is_edge(body: &[u8], at: usize) -> bool {
    matches!(body.get(skip_blank(body, at)), Some(b',' | b']'))
}

fn window(body: &[u8], at: usize) -> &[u8] {
    &body[at..body.len().min(at + ROW_BYTES_MAX)]
}

/// The end of the JSON value that begins here.
fn sound_end(body: &[u8], at: usize) -> Option<usize> {
    let mut values =
        serde_json::Deserializer::from_slice(window(body, at)).into_iter::<&RawValue>();
    values.next()?.ok()?;
    Some(at + values.byte_offset()).filter(|end| is_edge(body, *end))
}

/// The most likely end of a broken row. It is the end of its brackets, unless another row begins before that. If its
/// brackets do not match, it is the beginning of the next row, or else the end of the list.
fn broken_end(body: &[u8], at: usize, last: usize) -> Option<usize> {
    let balanced = Structure::default().end(window(body, at)).map(|length| at + length);
    let balanced = balanced.filter(|end| is_edge(body, *end));
    let seams = || seams(body, at, balanced.unwrap_or(body.len()));
    let is_row = |seam: &usize| {
        let begins = skip_blank(body, *seam + 1);
        sound_end(body, begins)
            .is_some_and(|ends| body[begins..ends].windows(7).any(|word| word == b"ticker\""))
    };
    let next = seams().take(SEAMS_MAX).find(is_row);
    let last = Some(last).filter(|last| at <= *last);
    next.or(balanced).or_else(|| seams().next()).or(last)
}

/// The commas before the beginning of an object, in a string or not.
fn seams(body: &[u8], from: usize, until: usize) -> impl Iterator<Item = usize> {
    (from..until).filter(move |at| body[*at] == b',').filter(|comma| {
        let bracket = skip_blank(body, comma + 1);
        let quote = skip_blank(body, bracket + 1);
        body.get(bracket) == Some(&b'{') && body.get(quote) == Some(&b'"')
    })
}

/// The brackets outside strings, in text that may otherwise be invalid.
#[derive(Default)]
struct Structure {
    open: Vec<u8>,
    is_string: bool,
    is_escaped: bool,
}

impl Structure {
    /// Takes a byte; `None` when a bracket closes one that is not open.
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.is_string {
            self.is_string = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return Some(());
        }
        match byte {
            b'"' => self.is_string = true,
            b'{' => self.open.push(b'}'),
            b'[' => self.open.push(b']'),
            b'}' | b']' => return (self.open.pop() == Some(byte)).then_some(()),
            _ => {}
        }
        Some(())
    }

    /// The length of the first value with brackets.
    fn end(mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            self.take(*byte)?;
            if self.open.is_empty() && matches!(byte, b'}' | b']') && !self.is_string {
                return Some(at + 1);
            }
        }
        None
    }

    fn deepest(mut self, bytes: &[u8]) -> usize {
        let depths = bytes.iter().map_while(|byte| {
            self.take(*byte)?;
            Some(self.open.len())
        });
        depths.max().unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
