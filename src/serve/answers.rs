//! What is answered, before it is HTTP.

use crate::domain::overview::{Overview, Summary};
use crate::domain::selection::{Selection, Shard};
use crate::domain::time::Timestamp;
use crate::metrics::{self, LastRun};

/// Nothing that is not a page may run or load anything.
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

/// What the database said at one instant.
pub(super) struct View {
    pub(super) now: Timestamp,
    /// What it said, or why it did not say anything.
    pub(super) overview: Result<Overview, String>,
    /// Which share of the markets it is about.
    pub(super) shard: Shard,
    /// What that comes to.
    pub(super) summaries: Vec<Summary>,
}

impl View {
    /// `selection` narrows it down; an empty one stands for what the last passes were asked for.
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
        // A failed scrape is seen; old figures would not be.
        Err(words) => Answer::text(503, &format!("{words}\n")),
    }
}
