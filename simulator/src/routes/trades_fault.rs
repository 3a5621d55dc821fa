//! What a fault does to a page of trades.

use super::trades_page::{Page, Query};
use crate::cursor;
use crate::fault::Fault;
use crate::random::SplitMix64;
use crate::tape::Key;

/// What a fault does to a proper page and its cursor.
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
            // The asked cursor goes back as it came; one that is no base64url could break JSON.
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
            // Chance may leave a short page as it was; reversed, two rows are out of order.
            if page.rows.iter().map(|row| &row.key).eq(&in_order) {
                page.rows.reverse();
            }
        }
        Fault::EmptyPageWithCursor => {
            // The next row's own key with something appended lies just above that row.
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
