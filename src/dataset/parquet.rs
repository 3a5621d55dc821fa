//! Rows as Parquet: decimals, instants in microseconds (UTC), zstd, statistics, and the order of the rows on record.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{
    SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter,
};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::RowWriter;
use crate::domain::export::{Cell, Column, Kind, Table};

/// The rows of a row group. Its values are held in memory until it is written.
const ROWS_MAX: usize = 128 * 1024;
/// The most bytes of text in a row group.
const TEXT_MAX: usize = 32 * 1024 * 1024;
/// The most digits of a decimal that fits into 32 bits.
const INT32_DIGITS: u8 = 9;
/// Level 3 is zstd's own default: higher ones save little and take much longer.
const ZSTD_LEVEL: i32 = 3;

/// The place of the bytes. It is boxed, because the library is compiled for each kind of writer.
type Out<'w> = Box<dyn Write + Send + 'w>;

/// A writer of one file.
pub(super) struct Parquet<'w> {
    /// `None` once the file is finished.
    file: Option<SerializedFileWriter<Out<'w>>>,
    buffers: Vec<Buffer>,
    rows: usize,
}

impl<'w> Parquet<'w> {
    pub(super) fn new(
        table: Table,
        notes: &[(&str, String)],
        out: Out<'w>,
    ) -> io::Result<Parquet<'w>> {
        let columns = table.columns();
        let schema = parse_message_type(&schema(columns)).map_err(failed)?;
        let properties = Arc::new(properties(table, notes)?);
        let file = SerializedFileWriter::new(out, Arc::new(schema), properties).map_err(failed)?;
        let buffers = columns.iter().map(Buffer::new).collect();
        Ok(Parquet { file: Some(file), buffers, rows: 0 })
    }

    /// Writes the values that are held as a row group.
    fn write_group(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| self.rows > 0) else { return Ok(()) };
        let mut group = file.next_row_group().map_err(failed)?;
        for buffer in &mut self.buffers {
            buffer.write(&mut group)?;
        }
        group.close().map_err(failed)?;
        self.rows = 0;
        Ok(())
    }
}

impl RowWriter for Parquet<'_> {
    fn write(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        for (buffer, cell) in self.buffers.iter_mut().zip(cells) {
            buffer.push(*cell)?;
        }
        self.rows += 1;
        let text: usize = self.buffers.iter().map(Buffer::text_len).sum();
        if self.rows >= ROWS_MAX || text >= TEXT_MAX { self.write_group() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_group()?;
        if let Some(file) = self.file.take() {
            file.close().map_err(failed)?;
        }
        Ok(())
    }
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}

/// The schema in Parquet's own notation.
fn schema(columns: &[Column]) -> String {
    let mut text = "message rows {\n".to_owned();
    for column in columns {
        let repetition = if column.is_nullable { "OPTIONAL" } else { "REQUIRED" };
        let kind = match column.kind {
            Kind::Text => format!("BYTE_ARRAY {} (STRING)", column.name),
            Kind::Bool => format!("BOOLEAN {}", column.name),
            Kind::Integer => format!("INT64 {}", column.name),
            Kind::Instant => format!("INT64 {} (TIMESTAMP(MICROS,true))", column.name),
            Kind::Decimal(digits, scale) => {
                let width = if digits <= INT32_DIGITS { "INT32" } else { "INT64" };
                format!("{width} {} (DECIMAL({digits},{scale}))", column.name)
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {repetition} {kind};");
    }
    text + "}\n"
}

fn properties(table: Table, notes: &[(&str, String)]) -> io::Result<WriterProperties> {
    let columns = table.columns();
    let place = |name: &&str| columns.iter().position(|column| column.name == *name);
    let places = table.sorted_by().iter().filter_map(place);
    let sorted = places
        .filter_map(|place| i32::try_from(place).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .collect();
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?;
    let note = |(key, value): &(&str, String)| KeyValue::new((*key).to_owned(), value.clone());
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("kalshi-ingest ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_sorting_columns(Some(sorted))
        .set_key_value_metadata(Some(notes.iter().map(note).collect()));
    for column in columns {
        let path = ColumnPath::from(column.name);
        properties = match column.kind {
            // Neighbours are close to each other, and hardly any value comes twice.
            Kind::Instant | Kind::Integer => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            Kind::Text if ["trade_id", "payload", "levels"].contains(&column.name) => {
                properties.set_column_dictionary_enabled(path, false)
            }
            _ => properties,
        };
    }
    Ok(properties.build())
}

/// The values of a column in the present row group. A null has a level of zero, and no value.
struct Buffer {
    values: Values,
    levels: Option<Vec<i16>>,
}

enum Values {
    Bools(Vec<bool>),
    Narrow(Vec<i32>),
    Wide(Vec<i64>),
    /// All texts in one piece, and the end of each.
    Texts(Vec<u8>, Vec<usize>),
}

impl Buffer {
    fn new(column: &Column) -> Buffer {
        let values = match column.kind {
            Kind::Text => Values::Texts(Vec::new(), Vec::new()),
            Kind::Bool => Values::Bools(Vec::new()),
            Kind::Decimal(digits, _) if digits <= INT32_DIGITS => Values::Narrow(Vec::new()),
            Kind::Instant | Kind::Integer | Kind::Decimal(..) => Values::Wide(Vec::new()),
        };
        Buffer { values, levels: column.is_nullable.then(Vec::new) }
    }

    fn text_len(&self) -> usize {
        match &self.values {
            Values::Texts(text, _) => text.len(),
            _ => 0,
        }
    }

    fn push(&mut self, cell: Cell<'_>) -> io::Result<()> {
        let is_there = match (&mut self.values, cell) {
            (Values::Texts(text, ends), Cell::Text(Some(value))) => {
                text.extend_from_slice(value.as_bytes());
                ends.push(text.len());
                true
            }
            (Values::Bools(values), Cell::Bool(Some(value))) => {
                values.push(value);
                true
            }
            (Values::Narrow(values), Cell::Number(Some(value))) => {
                values.push(i32::try_from(value).map_err(io::Error::other)?);
                true
            }
            (Values::Wide(values), Cell::Number(Some(value))) => {
                values.push(value);
                true
            }
            (Values::Wide(values), Cell::Instant(Some(at))) => {
                values.push(at.micros());
                true
            }
            _ => false,
        };
        match &mut self.levels {
            Some(levels) => levels.push(i16::from(is_there)),
            None if !is_there => return Err(io::Error::other("a value is null that never is")),
            None => {}
        }
        Ok(())
    }

    /// Writes the column and forgets its values.
    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, Out<'_>>) -> io::Result<()> {
        let missing = || io::Error::other("the row group has no such column");
        let mut column = group.next_column().map_err(failed)?.ok_or_else(missing)?;
        let levels = self.levels.as_deref();
        write_values(&mut self.values, levels, &mut column).map_err(failed)?;
        column.close().map_err(failed)?;
        if let Some(levels) = &mut self.levels {
            levels.clear();
        }
        Ok(())
    }
}

fn write_values(
    values: &mut Values,
    levels: Option<&[i16]>,
    column: &mut SerializedColumnWriter<'_>,
) -> Result<usize, ParquetError> {
    match values {
        Values::Bools(values) => {
            let written = column.typed::<BoolType>().write_batch(values, levels, None);
            values.clear();
            written
        }
        Values::Narrow(values) => {
            let written = column.typed::<Int32Type>().write_batch(values, levels, None);
            values.clear();
            written
        }
        Values::Wide(values) => {
            let written = column.typed::<Int64Type>().write_batch(values, levels, None);
            values.clear();
            written
        }
        Values::Texts(text, ends) => {
            let size = text.len();
            let all = ByteArray::from(mem::take(text));
            let mut begin = 0;
            let texts: Vec<ByteArray> = ends
                .drain(..)
                .map(|end| {
                    let part = all.slice(begin, end - begin);
                    begin = end;
                    part
                })
                .collect();
            let written = column.typed::<ByteArrayType>().write_batch(&texts, levels, None);
            text.reserve(size);
            written
        }
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    use super::*;
    use crate::domain::time::Timestamp;

    fn trade(id: &str, price: i64, is_block_trade: Option<bool>) -> [Cell<'_>; 9] {
        let at = Some(Timestamp::from_micros(1_785_000_000_000_001));
        [
            Cell::Text(Some("GDP Q4, T>2")),
            Cell::Text(Some(id)),
            Cell::Instant(at),
            Cell::Text(Some("yes")),
            Cell::Number(Some(price)),
            Cell::Number(Some(price)),
            Cell::Number(Some(999_999_999_999_999_999)),
            Cell::Bool(is_block_trade),
            Cell::Instant(at),
        ]
    }

    #[test]
    fn rows_are_read_back_exactly_with_their_nulls() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let notes = [("kalshi_ingest.complete", "true".to_owned())];
        let mut writer =
            Parquet::new(Table::Trades, &notes, Box::new(file.reopen().unwrap())).unwrap();
        for (id, price, block) in [("a", 380_001, None), ("b", 0, Some(true)), ("c", 1, None)] {
            writer.write(&trade(id, price, block)).unwrap();
        }
        assert!(
            Parquet::new(Table::Trades, &[], Box::new(Vec::new()))
                .unwrap()
                .write(&[Cell::Text(None); 9])
                .is_err()
        );
        writer.finish().unwrap();
        let reader = SerializedFileReader::new(file.reopen().unwrap()).unwrap();
        let about = reader.metadata().file_metadata();
        assert_eq!(about.num_rows(), 3);
        assert_eq!(about.key_value_metadata().unwrap()[0].value.as_deref(), Some("true"));
        let rows: Vec<Vec<String>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().get_column_iter().map(|(_, field)| shown(field)).collect())
            .collect();
        let columns = |place: usize| rows.iter().map(|row| row[place].clone()).collect::<Vec<_>>();
        assert_eq!(columns(1), ["a", "b", "c"]);
        assert_eq!(columns(4), ["38.0001", "0.0000", "0.0001"]);
        assert_eq!(columns(6), ["9999999999999999.99"; 3]);
        assert_eq!(columns(7), ["null", "true", "null"]);
    }

    fn shown(field: &Field) -> String {
        match field {
            Field::Str(text) => text.clone(),
            other => other.to_string(),
        }
    }
}
