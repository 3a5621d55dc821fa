//! Rows as text: CSV and JSON lines. Decimals are exact, instants are RFC 3339.

use std::io::{self, Write};

use super::RowWriter;
use crate::domain::export::{Cell, Column, Kind, Table};

/// The size of the pieces in which text is written.
const PIECE: usize = 64 * 1024;

/// Text that is written piece by piece.
struct Pieces<W> {
    text: String,
    /// The text of an instant.
    instant: String,
    out: W,
}

impl<W: Write> Pieces<W> {
    fn new(out: W) -> Pieces<W> {
        Pieces { text: String::with_capacity(PIECE + 4_096), instant: String::new(), out }
    }

    fn end_of_line(&mut self) -> io::Result<()> {
        self.text.push('\n');
        if self.text.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }
}

/// Appends an integer in units of its last digit, with so many decimals.
fn push_decimal(text: &mut String, value: i64, scale: usize) {
    let mut digits = [b'0'; 40];
    let (mut rest, mut at) = (value.unsigned_abs(), digits.len());
    while rest > 0 || digits.len() - at <= scale {
        at -= 1;
        let digit = u8::try_from(rest % 10).unwrap_or(0);
        digits[at] = b'0' + digit;
        rest /= 10;
    }
    if value < 0 {
        text.push('-');
    }
    let point = digits.len() - scale;
    for (place, digit) in digits.iter().enumerate().skip(at) {
        if place == point {
            text.push('.');
        }
        text.push(char::from(*digit));
    }
}

fn push_number(text: &mut String, kind: Kind, value: i64) {
    let scale = match kind {
        Kind::Decimal(_, scale) => usize::from(scale),
        _ => 0,
    };
    push_decimal(text, value, scale);
}

/// RFC 4180 with a line of names. A null is an empty field; an empty text has quotes.
pub(super) struct Csv<W> {
    columns: &'static [Column],
    pieces: Pieces<W>,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(table: Table, out: W) -> Csv<W> {
        let columns = table.columns();
        let mut pieces = Pieces::new(out);
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        pieces.text.push_str(&names.join(","));
        pieces.text.push('\n');
        Csv { columns, pieces }
    }
}

fn push_quoted(text: &mut String, value: &str) {
    if !value.is_empty() && !value.contains([',', '"', '\n', '\r']) {
        text.push_str(value);
        return;
    }
    text.push('"');
    for (at, part) in value.split('"').enumerate() {
        if at > 0 {
            text.push_str("\"\"");
        }
        text.push_str(part);
    }
    text.push('"');
}

impl<W: Write> RowWriter for Csv<W> {
    fn write(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let Pieces { text, instant, .. } = &mut self.pieces;
        for (place, (cell, column)) in cells.iter().zip(self.columns).enumerate() {
            if place > 0 {
                text.push(',');
            }
            match cell {
                Cell::Text(Some(value)) => push_quoted(text, value),
                Cell::Instant(Some(at)) => {
                    at.write_to(instant);
                    text.push_str(instant);
                }
                Cell::Bool(Some(is_so)) => text.push_str(if *is_so { "true" } else { "false" }),
                Cell::Number(Some(number)) => push_number(text, column.kind, *number),
                Cell::Text(None) | Cell::Instant(None) | Cell::Bool(None) | Cell::Number(None) => {}
            }
        }
        self.pieces.end_of_line()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.pieces.flush()
    }
}

/// One JSON object a line. Decimals are numbers with all their digits.
pub(super) struct Jsonl<W> {
    columns: &'static [Column],
    pieces: Pieces<W>,
}

impl<W: Write> Jsonl<W> {
    pub(super) fn new(table: Table, out: W) -> Jsonl<W> {
        Jsonl { columns: table.columns(), pieces: Pieces::new(out) }
    }
}

impl<W: Write> RowWriter for Jsonl<W> {
    fn write(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let Pieces { text, instant, .. } = &mut self.pieces;
        for (place, (cell, column)) in cells.iter().zip(self.columns).enumerate() {
            text.push_str(if place == 0 { "{\"" } else { ",\"" });
            text.push_str(column.name);
            text.push_str("\":");
            match cell {
                // The text of a JSON string cannot fail to be made.
                Cell::Text(Some(value)) => {
                    text.push_str(&serde_json::to_string(value).unwrap_or_default());
                }
                Cell::Instant(Some(at)) => {
                    at.write_to(instant);
                    text.push('"');
                    text.push_str(instant);
                    text.push('"');
                }
                Cell::Bool(Some(is_so)) => text.push_str(if *is_so { "true" } else { "false" }),
                Cell::Number(Some(number)) => push_number(text, column.kind, *number),
                Cell::Text(None) | Cell::Instant(None) | Cell::Bool(None) | Cell::Number(None) => {
                    text.push_str("null");
                }
            }
        }
        text.push('}');
        self.pieces.end_of_line()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.pieces.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn decimals_have_all_their_digits() {
        for (value, scale, expected) in [
            (380_000, 4, "38.0000"),
            (1, 4, "0.0001"),
            (0, 2, "0.00"),
            (-12_500, 4, "-1.2500"),
            (123, 0, "123"),
            (0, 0, "0"),
            (i64::MIN, 2, "-92233720368547758.08"),
        ] {
            let mut text = String::new();
            push_decimal(&mut text, value, scale);
            assert_eq!(text, expected);
        }
    }

    fn written(make: impl FnOnce(&mut Vec<u8>) -> Box<dyn RowWriter + '_>) -> String {
        let at = Some(Timestamp::from_micros(1_785_000_000_000_001));
        let mut bytes = Vec::new();
        let mut writer = make(&mut bytes);
        writer
            .write(&[
                Cell::Text(Some("GDP Q4, \"T\">2")),
                Cell::Text(Some("")),
                Cell::Instant(at),
                Cell::Text(None),
                Cell::Number(Some(380_000)),
                Cell::Number(None),
                Cell::Number(Some(5)),
                Cell::Bool(Some(true)),
                Cell::Instant(None),
            ])
            .unwrap();
        writer.finish().unwrap();
        drop(writer);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn odd_texts_and_nulls_are_told_apart() {
        let csv = written(|out| Box::new(Csv::new(Table::Trades, out)));
        let (names, row) = csv.split_once('\n').unwrap();
        assert!(names.starts_with("market_ticker,trade_id,"), "{names}");
        let expected =
            "\"GDP Q4, \"\"T\"\">2\",\"\",2026-07-25T17:20:00.000001Z,,38.0000,,0.05,true,\n";
        assert_eq!(row, expected);
        let line = written(|out| Box::new(Jsonl::new(Table::Trades, out)));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["market_ticker"], "GDP Q4, \"T\">2");
        assert_eq!(value["side"], serde_json::Value::Null);
        assert!(line.contains("\"price\":38.0000,"), "{line}");
    }
}
