//! The effect of a fault on a page of trades.

use super::trades_page::{Page, Query};
use crate::cursor;
use crate::fault::Fault;
use crate::random::SplitMix64;
use crate::tape::Key;

/// Applies a fault to a correct page and its cursor.
pub(super) fn spoil(
    page: &mut Page,
    next: &mut Option<String>,
    query: &Query,
    asked: Option<&str>,
    fault: Fault,
    number: u64,
) {
    match fault {
        Fault::RepeatCursor => {
            // The answer repeats the cursor of the request as it was sent. One that is no base64url could make the
            // JSON invalid.
            if let Some(asked) = asked.filter(|asked| cursor::decode(asked).is_some()) {
                *next = Some(asked.to_owned());
            } else if let Some(last) = page.rows.last() {
                *next = Some(cursor::encode(&last.key));
            }
        }
        Fault::DuplicatedRows => {
            page.rows = page.rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
        }
        Fault::Unordered => {
            let in_order: Vec<Key> = page.rows.iter().map(|row| row.key.clone()).collect();
            SplitMix64::new(number).shuffle(&mut page.rows);
            // A random order may be the original one on a short page; then the rows are reversed.
            if page.rows.iter().map(|row| &row.key).eq(&in_order) {
                page.rows.reverse();
            }
        }
        Fault::EmptyPageWithCursor => {
            // The key of the next row with a suffix lies just above that row.
            let (created_us, id) = match page.rows.first() {
                Some(row) => (row.key.created_us, &*row.key.trade_id),
                None => (query.selection.from_us.max(0), ""),
            };
            let trade_id = format!("{id}~{number}").into();
            *next = Some(cursor::encode(&Key { created_us, trade_id }));
            page.rows.clear();
        }
        _ => {}
    }
}
