//! A page of trades and its request, for the code that makes it and the code that adds faults.

use std::sync::Arc;

use crate::tape::{Event, Key, Selection};

/// Some rows, and the position of the next ones.
pub(super) struct Page {
    pub(super) rows: Vec<Arc<Event>>,
    /// The row after which the next page starts; `None` at the end of the list.
    pub(super) next: Option<Key>,
}

/// A parsed request.
pub(super) struct Query<'a> {
    pub(super) selection: Selection<'a>,
    pub(super) limit: usize,
}
