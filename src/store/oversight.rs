//! What every store promises to the person on call. `tests/it/oversight.rs` holds each store to it.

use std::time::Duration;

use crate::domain::overview::{DAY_STEPS, Overview, Span};
use crate::domain::selection::Watch;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The part of a store that is looked at from outside.
pub trait Oversight {
    /// Notes what a pass was asked for, each entry with its SLA.
    fn note_selection(&mut self, watches: &[Watch], now: Timestamp) -> Result<(), Failure>;

    /// Everything there is to be seen, as of one instant. Reads only, and needs no right to write.
    fn overview(&mut self, now: Timestamp) -> Result<Overview, Failure>;
}

/// An entry is noted again when its note is so old: well below what tells it from one taken out.
pub(super) const NOTED_AGAIN_AFTER: Duration = Duration::from_secs(300);
/// Scores older than this say little about today.
pub(super) const SCORED_LATELY: Duration = Duration::from_secs(30 * 86_400);
/// The most retired markets shown, those that retired last.
pub(super) const RETIRED_MAX: i64 = 200;
/// The most commands shown, the latest.
pub(super) const RUNS_MAX: i64 = 50;
/// Over which passes the use of the overlap is taken.
pub(super) const OVERLAP_SPAN: Duration = Duration::from_secs(3_600);

/// The spans of the day from those in which anything was done.
pub(super) fn day(found: impl IntoIterator<Item = (i64, Span)>) -> Vec<Span> {
    let mut day = vec![Span::default(); DAY_STEPS];
    for (at, span) in found {
        if let Some(place) = usize::try_from(at).ok().and_then(|at| day.get_mut(at)) {
            *place = span;
        }
    }
    day
}
