//! A page of trades and the question that it answers, for those who make it and those who spoil it.

use std::sync::Arc;

use crate::tape::{Event, Key, Selection};

/// Some rows and where the next ones start.
pub(super) struct Page {
    pub(super) rows: Vec<Arc<Event>>,
    /// The row after which the next page starts; `None` at the end of the list.
    pub(super) next: Option<Key>,
}

/// A request understood.
pub(super) struct Query<'a> {
    pub(super) selection: Selection<'a>,
    pub(super) limit: usize,
}
