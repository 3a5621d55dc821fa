//! Exported rows as files: the formats, the folder with its manifest, and the texts beside them.

mod text;
#[cfg(feature = "parquet")]
mod parquet;
mod hashed;
mod manifest;
mod card;
mod folder;
mod journal;
mod lock;

use std::io::{self, Write};

pub use folder::{Folder, Published, Receiver};
pub use manifest::{Entry, Identity};

use crate::domain::export::{Cell, Format, Table};

/// Writes the rows of a file.
pub trait RowWriter {
    /// Writes a row: a value for each column of the table.
    fn write(&mut self, cells: &[Cell<'_>]) -> io::Result<()>;

    /// Writes the rest of the file.
    fn finish(&mut self) -> io::Result<()>;
}

/// Whether this build can write the format.
pub fn can_write(format: Format) -> bool {
    format != Format::Parquet || cfg!(feature = "parquet")
}

/// A writer of rows of this table. `notes` are kept in the file where its format has room for them.
pub fn writer<'w>(
    format: Format,
    table: Table,
    notes: &[(&str, String)],
    out: impl Write + Send + 'w,
) -> io::Result<Box<dyn RowWriter + 'w>> {
    match format {
        Format::Csv => Ok(Box::new(text::Csv::new(table, out))),
        Format::Jsonl => Ok(Box::new(text::Jsonl::new(table, out))),
        #[cfg(feature = "parquet")]
        Format::Parquet => Ok(Box::new(parquet::Parquet::new(table, notes, Box::new(out))?)),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => {
            let _ = (notes, out);
            Err(io::Error::other("this build has no Parquet"))
        }
    }
}
