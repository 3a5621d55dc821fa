//! The log lines of a pass about its own work.

use crate::domain::batch::{Commit, Receipt};
use crate::domain::page::{Page, PageRequest};
use crate::domain::trade::Rejected;
use crate::driver::Notice;

/// Logs these notices.
pub(super) fn tell(notices: impl IntoIterator<Item = Notice>) {
    for notice in notices {
        log::warn!("{notice}");
    }
}

/// Logs the content of a page, at debug level.
pub(super) fn tell_page(request: &PageRequest, page: &Page) {
    let market = &request.scope;
    log::debug!(
        "{market}: {} trades{}, {} refused, {}",
        page.events.len(),
        page.events
            .last()
            .map_or(String::new(), |last| format!(" down to {}", last.trade.traded_at)),
        page.rejected.len(),
        if page.cursor.is_some() { "more to come" } else { "end of the list" },
    );
}

/// Logs the result of a commit.
pub(super) fn tell_commit(commit: &Commit, receipt: &Receipt) {
    log::debug!(
        "committed {} rows, {} of them new, and {} checkpoints",
        commit.rows().len(),
        receipt.inserted.len(),
        commit.checkpoints().len(),
    );
    for rejected in receipt.rejected.iter().map(|at| &commit.rejected()[*at]) {
        log::debug!(
            "{}: event {} is kept in the raw table only: {}",
            rejected.scope,
            rejected.trade_id.as_deref().unwrap_or("without a readable id"),
            rejected.reason,
        );
    }
    for Rejected { scope: market, trade_id, reason, .. } in &receipt.conflicting {
        let id = trade_id.as_deref().unwrap_or_default();
        log::debug!("{market}: trade {id} is kept in the raw table only: {reason}");
    }
    for market in &receipt.overtaken {
        log::warn!("{market}: another pass moved its checkpoint; this pass leaves it");
    }
}
