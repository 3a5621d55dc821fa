//! The names of files: hive partitions, with every unusual character encoded.

use std::fmt::Write as _;

use super::{Format, Partition, Table};
use crate::domain::ticker::fingerprint;
use crate::domain::time::Timestamp;

/// The name that readers of hive partitions take for null.
const NO_SERIES: &str = "__HIVE_DEFAULT_PARTITION__";

/// The longest part of a name that is written out. File systems allow 255 bytes for a whole name.
const NAME_LEN_MAX: usize = 180;

/// The first ten letters of an instant: its date.
pub fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// A ticker as a part of a path: letters, digits, `.`, `_` and `-` stand for themselves, every other byte is encoded
/// as in a URL. A name that would be too long ends with a fingerprint of the whole.
fn encoded(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    if name.len() > NAME_LEN_MAX {
        let mut cut = NAME_LEN_MAX;
        // An encoded byte is not cut in two.
        while name[cut - 2..cut].contains('%') {
            cut -= 1;
        }
        name.truncate(cut);
        let _ = write!(name, "~{:016x}", fingerprint(text.bytes()));
    }
    name
}

/// The folder of a series.
fn series(name: Option<&str>) -> String {
    format!("series={}", name.map_or_else(|| NO_SERIES.to_owned(), encoded))
}

/// The path of a file of a series: of a day, of a market, or of the whole series.
pub(super) fn path(
    (table, format): (Table, Format),
    of_series: Option<&str>,
    partition: Option<(Partition, &str)>,
) -> String {
    let (folder, table, suffix) = (series(of_series), table.as_str(), format.as_str());
    match partition {
        None => format!("{folder}/{table}.{suffix}"),
        Some((Partition::Day, date)) => format!("{folder}/date={date}/{table}.{suffix}"),
        Some((Partition::Market, market)) => format!("{folder}/{}.{suffix}", encoded(market)),
    }
}

/// The name of the one file of an export without rows.
pub(super) fn path_of_nothing(table: Table, format: Format) -> String {
    format!("{}.{}", table.as_str(), format.as_str())
}

/// The name of a file in the manifest: lower-case letters, digits, `.`, `_`, `-` and `/`, as version 1 of Data Package
/// wants it. Two paths have two names.
pub fn of_resource(path: &str) -> String {
    let plain =
        path.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c));
    if plain {
        return path.to_owned();
    }
    let letter = |c: char| {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() || "._-/".contains(c) { c } else { '-' }
    };
    let name: String = path.chars().map(letter).collect();
    format!("{name}-{:08x}", fingerprint(path.bytes()) & 0xffff_ffff)
}
