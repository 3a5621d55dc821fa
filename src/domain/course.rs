//! The common interface of the three walks.

use std::fmt;

use super::page::{Next, Page, Walked};
use super::slice_walk::SliceWalk;
use super::tape::TapeWalk;
use super::walk::Walk;

/// A walk in progress: of a market, of the tape, or of a slice.
pub trait Course: fmt::Debug + Send {
    /// The next request, or the end of the walk.
    fn next(&self) -> Next;

    /// Takes the answer to the current request. Returns the rows to store and the progress that they prove.
    fn page(&mut self, page: Page) -> Walked;

    /// Whether the current request carries a cursor, so that the cursor may be the reason of a refusal.
    fn has_cursor(&self) -> bool;

    /// The exchange refused the request because of its cursor, so the walk goes on by time.
    fn cursor_refused(&mut self);
}

impl Course for Walk {
    fn next(&self) -> Next {
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
    fn next(&self) -> Next {
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
    fn next(&self) -> Next {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checkpoint::Checkpoint;
    use crate::domain::scope::Scope;
    use crate::domain::slice::{Slice, SliceKey};
    use crate::domain::slice_walk::SliceKnown;
    use crate::domain::ticker::Ticker;
    use crate::domain::tier::Tier;
    use crate::domain::walk::tests::transcript::{RULES, page_from, request_text, time};

    /// The driver of a walk follows its cursor and reports if the cursor is refused.
    #[test]
    fn every_course_goes_on_by_cursor_and_by_time_where_that_is_refused() {
        let market = Ticker::new("KX").unwrap();
        let key = SliceKey::new(market.clone(), Tier::Live, time("0"), time("1000")).unwrap();
        let first = Checkpoint::first(Scope::Tape, time("0"));
        let tape = Checkpoint { complete_until: Some(time("500")), ..first };
        let courses: [Box<dyn Course>; 3] = [
            Box::new(Walk::new(&Checkpoint::first(market, time("0")), RULES)),
            Box::new(TapeWalk::of_all(&tape, &[], RULES)),
            Box::new(SliceWalk::new(&Slice::new(key), None, SliceKnown::default(), RULES)),
        ];
        for mut course in courses {
            let asked = |course: &dyn Course| match course.next() {
                Next::Fetch(request) => request_text(&request),
                Next::Done(end) => panic!("{end:?}: {course:?}"),
            };
            assert!(!course.has_cursor(), "{course:?}");
            let walked = course.page(page_from("@2000 a900 b800 >c1"));
            assert_eq!(walked.rows.len(), 2, "{course:?}");
            assert!(course.has_cursor() && asked(&*course).ends_with(" c1"), "{course:?}");
            course.cursor_refused();
            assert!(!course.has_cursor() && asked(&*course).ends_with("..801"), "{course:?}");
        }
    }
}
