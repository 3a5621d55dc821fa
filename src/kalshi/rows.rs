//! The rows of a list, told apart at the level of bytes: one that is no JSON spoils no other.
//!
//! Most answers are sound and are read at once. Only when that fails is the list cut into rows by
//! what can still be seen of its structure, and each row is tried alone.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::decode::{cursor, excerpt};
use super::wire::{ListTail, Text};
use crate::failure::{Failure, Kind};

/// No row that is cut out is longer: what is searched for its end stays bounded.
const ROW_BYTES_MAX: usize = 1024 * 1024;
/// More broken rows than a page has rows: it is no list at all.
const BROKEN_MAX: usize = 1_000;
/// Many more than a page has.
const ROWS_MAX: usize = 100_000;
/// Deeper nesting than any row has; PostgreSQL's parser gives up at some depth.
const DEPTH_MAX: usize = 200;
/// So many places inside a row whose brackets match are tried for the beginning of another.
const SEAMS_MAX: usize = 8;

/// One row as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row<'a> {
    /// JSON that both stores can hold as it is.
    Sound(&'a str),
    /// What no store could hold, in a form that they can.
    Broken(Broken),
}

/// A row that is no JSON, or none that a store takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The row with a replacement for what cannot be read: good for finding its keys, no more.
    pub(super) legible: String,
    /// The row without loss, see [`escaped`].
    pub(super) payload: Box<str>,
    /// Why it is broken.
    pub(super) reason: String,
}

/// The rows of a list, and where it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List<'a> {
    pub(super) rows: Vec<Row<'a>>,
    pub(super) cursor: Option<String>,
}

/// A body that is an object with a list in it.
pub(super) trait ListBody<'a>: serde::Deserialize<'a> {
    /// The list's key.
    const NAME: &'static str;

    /// The rows and the cursor.
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

/// A row that was cut out.
fn row(bytes: &[u8]) -> Row<'_> {
    let Ok(text) = std::str::from_utf8(bytes) else { return broken(bytes, "it is not UTF-8") };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => shallow(text),
        Err(_) => broken(bytes, "it is not JSON"),
    }
}

/// JSON, if it is not nested too deep.
pub(super) fn shallow(text: &str) -> Row<'_> {
    // As many brackets are closed again.
    if text.len() <= 2 * DEPTH_MAX {
        return Row::Sound(text);
    }
    // Counting is cheap, and nearly always enough.
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets > DEPTH_MAX && Structure::default().deepest(text.as_bytes()) > DEPTH_MAX {
        return broken(text.as_bytes(), "it is nested too deep");
    }
    Row::Sound(text)
}

fn broken<'a>(bytes: &[u8], reason: &str) -> Row<'a> {
    Row::Broken(Broken {
        legible: legible(bytes),
        payload: escaped(bytes).into(),
        reason: format!("{reason}; kept as a JSON string"),
    })
}

/// Any bytes as a JSON string: text as JSON escapes it, and each byte that is no part of UTF-8
/// as `\udc80` to `\udcff`, the low surrogate of its value, which no text has. Python undoes it with
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

/// The text with a replacement for each byte that JSON or UTF-8 does not allow; line breaks and tabs
/// are blanks.
fn legible(bytes: &[u8]) -> String {
    let legible = |c: char| match c {
        '\t' | '\n' | '\r' => ' ',
        c if c < ' ' => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    String::from_utf8_lossy(bytes).chars().map(legible).collect()
}

/// What surrounds the rows, with blanks for stray control characters.
fn surroundings(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| c.max(' ')).collect()
}

/// The rows of the list of this name as bytes, and the body without them; `None` unless that is
/// an object which ends.
fn pieces<'a>(body: &'a [u8], name: &str) -> Option<(Vec<&'a [u8]>, String)> {
    let start = list_start(body, name)?;
    let last = body.iter().rposition(|byte| *byte == b']')?;
    let (mut rows, mut broken, mut at) = (Vec::new(), 0, start);
    let end = loop {
        let begins = at;
        at = skip_blank(body, at);
        if matches!(body.get(at), Some(b',' | b']')) {
            // Nothing, or nothing but stray bytes.
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
    // A bracket that was guessed may be that of a list within a row, and the body half of one.
    let is_sure = end < last || broken == 0 || is_tail(&tail);
    let envelope = format!("{}]{tail}", surroundings(&body[..start]));
    let is_object = serde_json::from_str::<ListTail<'_>>(&envelope).is_ok();
    (is_sure && is_object).then_some((rows, envelope))
}

/// Whether nothing follows the list, or the cursor.
fn is_tail(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('}')
        || text.strip_prefix(',').is_some_and(|key| key.trim_start().starts_with("\"cursor\""))
}

/// Behind the bracket that opens the list.
fn list_start(body: &[u8], name: &str) -> Option<usize> {
    let key = format!("\"{name}\"");
    (0..body.len()).filter(|at| body[*at..].starts_with(key.as_bytes())).find_map(|at| {
        let colon = skip_blank(body, at + key.len());
        let bracket = skip_blank(body, colon + 1);
        let opens = body.get(colon) == Some(&b':') && body.get(bracket) == Some(&b'[');
        opens.then_some(bracket + 1)
    })
}

/// Stray control characters between rows are as good as blanks.
fn skip_blank(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| **byte <= b' ').count()
}

/// Whether a row can end there: something follows, or the list ends.
fn is_edge(body: &[u8], at: usize) -> bool {
    matches!(body.get(skip_blank(body, at)), Some(b',' | b']'))
}

fn window(body: &[u8], at: usize) -> &[u8] {
    &body[at..body.len().min(at + ROW_BYTES_MAX)]
}

/// Where the JSON value that begins here ends.
fn sound_end(body: &[u8], at: usize) -> Option<usize> {
    let mut values =
        serde_json::Deserializer::from_slice(window(body, at)).into_iter::<&RawValue>();
    values.next()?.ok()?;
    Some(at + values.byte_offset()).filter(|end| is_edge(body, *end))
}

/// Where a broken row most likely ends: where its brackets do, unless a row begins before that;
/// where the next row begins if its brackets do not match; else with the list.
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

/// The commas behind which an object begins, in a string or not.
fn seams(body: &[u8], from: usize, until: usize) -> impl Iterator<Item = usize> {
    (from..until).filter(move |at| body[*at] == b',').filter(|comma| {
        let bracket = skip_blank(body, comma + 1);
        let quote = skip_blank(body, bracket + 1);
        body.get(bracket) == Some(&b'{') && body.get(quote) == Some(&b'"')
    })
}

/// Brackets outside strings, whatever else is wrong.
#[derive(Default)]
struct Structure {
    open: Vec<u8>,
    is_string: bool,
    is_escaped: bool,
}

impl Structure {
    /// Takes a byte; `None` when a bracket closes what is not open.
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

    /// How long the first value with brackets is.
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
