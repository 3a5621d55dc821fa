//! What the three walks have in common, as whoever drives them sees it.

use std::fmt;

use super::page::{Page, Step, Walked};
use super::slice_walk::SliceWalk;
use super::tape::TapeWalk;
use super::walk::Walk;

/// A walk at work: of a market, of the tape, or of a slice.
pub trait Course: fmt::Debug + Send {
    /// What to ask next, or how it ended.
    fn next(&self) -> Step;

    /// Takes the answer to the request in hand; says what to store and what that proves.
    fn page(&mut self, page: Page) -> Walked;

    /// Whether the request in hand carries a cursor, so that refusing it may be the cursor's fault.
    fn has_cursor(&self) -> bool;

    /// The exchange refused the request because of its cursor: go on by time instead.
    fn cursor_refused(&mut self);
}

impl Course for Walk {
    fn next(&self) -> Step {
        Walk::next(self)
    }

    fn page(&mut self, page: Page) -> Walked {
        Walk::page(self, page)
    }

    fn has_cursor(&self) -> bool {
        Walk::has_cursor(self)
    }

    fn cursor_refused(&mut self) {
        Walk::cursor_refused(self);
    }
}

impl Course for TapeWalk {
    fn next(&self) -> Step {
        TapeWalk::next(self)
    }

    fn page(&mut self, page: Page) -> Walked {
        TapeWalk::page(self, page)
    }

    fn has_cursor(&self) -> bool {
        self.walk().has_cursor()
    }

    fn cursor_refused(&mut self) {
        self.walk_mut().cursor_refused();
    }
}

impl Course for SliceWalk {
    fn next(&self) -> Step {
        SliceWalk::next(self)
    }

    fn page(&mut self, page: Page) -> Walked {
        SliceWalk::page(self, page)
    }

    fn has_cursor(&self) -> bool {
        self.walk().has_cursor()
    }

    fn cursor_refused(&mut self) {
        self.walk_mut().cursor_refused();
    }
}
