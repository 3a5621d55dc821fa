//! One job at work: its walk says what to ask, its question how.

use std::time::Duration;

use super::{Ask, Ended, Manners, Moment, Notice, Question};
use crate::domain::course::Course;
use crate::domain::job::{Background, Job};
use crate::domain::page::{End, Page, PageRequest, Rules, Step, Walked};
use crate::failure::{Failure, Kind, one_line};
use crate::retry::{Jitter, Policy};

/// On which terms all jobs of a pass are done.
#[derive(Debug)]
pub struct Terms {
    /// How walks are done.
    pub rules: Rules,
    /// What their answers are held against beside the checkpoints.
    pub background: Background,
    /// How often a request is sent.
    pub policy: Policy,
}

/// What is to be done for a job.
#[derive(Debug)]
pub enum Turn {
    /// Nothing for so long, or less if something stops the pass.
    Wait(Duration),
    /// Send its [request](Reading::request) with so much time for the answer, and say what was heard.
    Send(Duration),
    /// Nothing more.
    Over(Ended),
}

/// A job at work.
#[derive(Debug)]
pub struct Reading {
    course: Box<dyn Course>,
    policy: Policy,
    /// What is being asked.
    asked: Option<(PageRequest, Question)>,
}

impl Reading {
    /// Begins a job.
    pub fn begin(job: &Job, terms: &Terms) -> Reading {
        let course = job.begin(terms.rules, &terms.background);
        Reading { course, policy: terms.policy, asked: None }
    }

    /// What to do next.
    pub fn next(&mut self, manners: &mut Manners, moment: Moment) -> Turn {
        let (_, question) = match &mut self.asked {
            Some(asked) => asked,
            None => match self.course.next() {
                Step::Done(End::Level) => return Turn::Over(Ended::Level),
                Step::Done(End::Unproven) => return Turn::Over(Ended::Unproven),
                Step::Done(End::Guarded(guard)) => return Turn::Over(Ended::Guarded(guard)),
                Step::Fetch(_) if moment.is_over() => return Turn::Over(Ended::OutOfTime),
                Step::Fetch(request) => self.asked.insert((request, Question::new(self.policy))),
            },
        };
        match question.next(manners, moment) {
            Ask::Wait(wait) => Turn::Wait(wait),
            Ask::Send(left) => Turn::Send(left),
            Ask::GiveUp(None) => Turn::Over(Ended::OutOfTime),
            Ask::GiveUp(Some(failure)) => Turn::Over(Ended::Failed(failure)),
        }
    }

    /// What is being asked.
    pub fn request(&self) -> Option<&PageRequest> {
        self.asked.as_ref().map(|(request, _)| request)
    }

    /// The request was answered; its [page](Reading::page) follows.
    pub fn answered(&mut self, manners: &mut Manners) {
        if let Some((_, mut question)) = self.asked.take() {
            question.answered(manners);
        }
    }

    /// Takes the page; says what to store and what that proves. Nothing that others share is needed for it.
    pub fn page(&mut self, page: Page) -> Walked {
        self.course.page(page)
    }

    /// The request failed; what is to be said of it.
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

    /// Nobody goes on with it.
    pub fn abandon(&mut self, manners: &mut Manners) {
        if let Some((_, mut question)) = self.asked.take() {
            question.abandon(manners);
        }
    }
}

/// A refusal that could be about the cursor: the same question without one may be answered.
fn may_be_the_cursor(failure: &Failure) -> bool {
    failure.kind == Kind::ExchangeRefused
        && failure.status.is_some_and(|status| (400..500).contains(&status))
}
