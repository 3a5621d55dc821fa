//! The functions that read bytes of others, each as a function of any bytes: for the fuzz targets in `fuzz/` and the
//! limited run of the same in `tests/it/fuzz.rs`.
//!
//! None of them may panic, or take more time or memory than the number of its bytes justifies.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::kalshi::hostile;
use crate::store::DatabaseUrl;
use crate::watchlist;

/// A target: its name, which its corpus has too, and its function.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [FuzzTarget; 12] = [
    ("page", hostile::page),
    ("markets", hostile::markets),
    ("events", hostile::events),
    ("candles", hostile::candles),
    ("books", hostile::books),
    ("status", hostile::status),
    ("limits", hostile::limits),
    ("refusal", hostile::refusal),
    ("cursor", cursor),
    ("watchlist", list),
    ("connection", connection),
    ("instant", instant),
];

/// Gives the bytes to the target of this name.
///
/// # Panics
///
/// When there is no such target, and when the target finds an error.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.unwrap_or_else(|| panic!("there is no target {name}"));
    target(bytes);
}

/// Decodes the text of a cursor, as the exchange's JSON has it.
fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let quoted = serde_json::Value::from(&*text).to_string();
    hostile::page(format!("{{\"trades\":[],\"cursor\":{quoted}}}").as_bytes());
    hostile::page(format!("{{\"cursor\":{text},\"trades\":[]}}").as_bytes());
}

/// Reads a watchlist.
fn list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(watches) = watchlist::read_text("a file", &text, Duration::from_secs(60)) {
        assert!(watches.len() <= bytes.len(), "{} watches", watches.len());
        assert!(watches.iter().all(|watch| !watch.sla.is_zero()), "an SLA is never to be met");
    }
}

/// Reads a connection string, without an environment that could complete it.
fn connection(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match DatabaseUrl::parse(&text, &|_| None) {
        Ok(url) => drop((url.to_string(), url.is_missing())),
        Err(failure) => drop(failure.to_string()),
    }
}

/// Reads an instant in RFC 3339.
fn instant(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(at) = Timestamp::parse_rfc3339(&text) {
        assert_eq!(Timestamp::parse_rfc3339(&at.to_string()), Some(at), "{text:?}");
    }
}
