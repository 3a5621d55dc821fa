//! The answers, before they are HTTP.

use crate::domain::overview::{Overview, Summary};
use crate::domain::selection::{Selection, Shard};
use crate::domain::time::Timestamp;
use crate::metrics::{self, LastRun};

/// An answer that is not a page may run and load nothing.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// The `Content-Security-Policy`.
    pub(super) policy: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &'static str, body: String) -> Answer {
        Answer { status, content_type, policy: POLICY.to_owned(), body }
    }

    pub(super) fn text(status: u16, body: &str) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", body.to_owned())
    }
}

/// The database's snapshot of one instant.
pub(super) struct View {
    pub(super) now: Timestamp,
    /// The overview, or the reason why there is none.
    pub(super) overview: Result<Overview, String>,
    /// The shard of the markets that it is about.
    pub(super) shard: Shard,
    /// The summaries of the overview.
    pub(super) summaries: Vec<Summary>,
}

impl View {
    /// `selection` limits the view; an empty one stands for the selection of the last passes.
    pub(super) fn new(
        overview: Result<Overview, String>,
        selection: &Selection,
        now: Timestamp,
    ) -> View {
        let shard = selection.shard();
        let summaries = overview.as_ref().map_or_else(
            |_| Vec::new(),
            |found| found.summaries(Some(selection), found.clocks(now)),
        );
        View { now, overview, shard, summaries }
    }
}

pub(super) fn metrics(view: &View) -> Answer {
    match &view.overview {
        Ok(overview) => {
            let last = overview.last_pass.as_ref().and_then(LastRun::of_row);
            let text = metrics::text(overview, &view.summaries, last, view.shard);
            Answer::new(200, "text/plain; version=0.0.4; charset=utf-8", text)
        }
        // A failed scrape is visible; old figures would not be.
        Err(words) => Answer::text(503, &format!("{words}\n")),
    }
}
