//! One job in flight: its walk chooses the request, its question the time and the number of attempts.

use std::time::Duration;

use super::{Ask, Ended, Manners, Moment, Notice, Question};
use crate::domain::course::Course;
use crate::domain::job::{Background, Job};
use crate::domain::page::{End, Next, Page, PageRequest, Rules, Walked};
use crate::failure::{Failure, Kind, one_line};
use crate::retry::{Jitter, Policy};

/// The terms that all jobs of a pass share.
#[derive(Debug)]
pub struct Terms {
    /// The rules of the walks.
    pub rules: Rules,
    /// The facts that answers are compared with, beside the checkpoints.
    pub background: Background,
    /// How often a request is sent.
    pub policy: Policy,
}

/// The next effect of a job.
#[derive(Debug)]
pub enum Turn {
    /// Do nothing for this time, or less if something stops the pass.
    Wait(Duration),
    /// Send the [request](Reading::request), allow this time for the answer, and report the result.
    Send(Duration),
    /// The job is over.
    Over(Ended),
}

/// A job in flight.
#[derive(Debug)]
pub struct Reading {
    course: Box<dyn Course>,
    policy: Policy,
    /// The current request and its question; None between two requests.
    asked: Option<(PageRequest, Question)>,
}

impl Reading {
    /// Begins a job.
    pub fn begin(job: &Job, terms: &Terms) -> Reading {
        let course = job.begin(terms.rules, &terms.background);
        Reading { course, policy: terms.policy, asked: None }
    }

    /// The next effect.
    pub fn next(&mut self, manners: &mut Manners, moment: Moment) -> Turn {
        let (_, question) = match &mut self.asked {
            Some(asked) => asked,
            None => match self.course.next() {
                Next::Done(End::Level) => return Turn::Over(Ended::Level),
                Next::Done(End::Unproven) => return Turn::Over(Ended::Unproven),
                Next::Done(End::Guarded(guard)) => return Turn::Over(Ended::Guarded(guard)),
                Next::Fetch(_) if moment.is_over() => return Turn::Over(Ended::OutOfTime),
                Next::Fetch(request) => self.asked.insert((request, Question::new(self.policy))),
            },
        };
        match question.next(manners, moment) {
            Ask::Wait(wait) => Turn::Wait(wait),
            Ask::Send(left) => Turn::Send(left),
            Ask::GiveUp(None) => Turn::Over(Ended::OutOfTime),
            Ask::GiveUp(Some(failure)) => Turn::Over(Ended::Failed(failure)),
        }
    }

    /// The current request.
    pub fn request(&self) -> Option<&PageRequest> {
        self.asked.as_ref().map(|(request, _)| request)
    }

    /// The request was answered. The caller passes the answer to [page](Reading::page) next.
    pub fn answered(&mut self, manners: &mut Manners) {
        if let Some((_, mut question)) = self.asked.take() {
            question.answered(manners);
        }
    }

    /// Takes the page. Returns the rows to store and the progress that they prove. It needs nothing that readers
    /// share.
    pub fn page(&mut self, page: Page) -> Walked {
        self.course.page(page)
    }

    /// The request failed. Returns a notice for the log, if there is one.
    pub fn failed(
        &mut self,
        failure: Failure,
        manners: &mut Manners,
        jitter: &mut Jitter,
        moment: Moment,
    ) -> Option<Notice> {
        let (_, question) = self.asked.as_mut()?;
        let line =
            (self.course.has_cursor() && may_be_the_cursor(&failure)).then(|| one_line(&failure));
        let notice = question.failed(failure, manners, jitter, moment);
        let Some(line) = line else { return notice };
        self.course.cursor_refused();
        self.asked = None;
        Some(Notice::ByTime { line })
    }

    /// Ends the job early: no reader continues it.
    pub fn abandon(&mut self, manners: &mut Manners) {
        if let Some((_, mut question)) = self.asked.take() {
            question.abandon(manners);
        }
    }
}

/// Whether the refusal may concern the cursor. The same question without a cursor may be answered.
fn may_be_the_cursor(failure: &Failure) -> bool {
    failure.kind == Kind::ExchangeRefused
        && failure.status.is_some_and(|status| (400..500).contains(&status))
}
