//! The same pass on one thread: a page of each walk at a time, in turn, and the writer in between.
//! Whoever turns the clock and breaks things off gets the same pass again from the same beginning.

use std::collections::VecDeque;

use super::Sight;
use super::reader::{self, Course, Done, Ended, Message, Source, Work};
use super::writer::Writer;
use crate::domain::page::{End, Step};
use crate::domain::plan::Reading;
use crate::domain::slice::SliceKey;
use crate::domain::trade::Ticker;
use crate::failure::one_line;
use crate::retry::Jitter;

/// How walks are done at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drive {
    /// By threads: fetching, decoding and storing overlap.
    #[default]
    Threads,
    /// In turn, on the thread of the caller. A panic is the caller's.
    Inline,
}

/// A walk at work.
struct Job {
    work: Work,
    scope: Ticker,
    markets: Vec<Ticker>,
    slice: Option<SliceKey>,
    course: Course,
    jitter: Jitter,
}

impl Job {
    fn begin(source: &Source, work: Work) -> Job {
        let (scope, markets) = reader::about(&work);
        let slice = match &work {
            Work::Slice { slice, .. } => Some(slice.key.clone()),
            Work::Planned(_) => None,
        };
        let course = source.course(&work);
        Job { work, scope, markets, slice, course, jitter: source.asker().jitter() }
    }

    /// One question and what comes of it; how the walk ended, if it did.
    fn step(&mut self, source: &Source, writer: &mut Writer<'_>) -> Option<Ended> {
        let asker = source.asker();
        let request = match self.course.next() {
            Step::Done(End::Level) => return Some(Ended::Level),
            Step::Done(End::Guarded(guard)) => return Some(Ended::Guarded(guard)),
            Step::Fetch(request) => request,
        };
        if asker.budget().is_over() {
            return Some(Ended::OutOfTime);
        }
        match asker
            .ask(&mut self.jitter, |client, left, clock| client.trades(&request, left, clock))
        {
            Ok(Some(page)) => {
                reader::log_page(&request, &page);
                let walked = self.course.page(page);
                reader::tell_corrections(&walked);
                writer.take(Message::Page(walked));
                None
            }
            Ok(None) => Some(Ended::OutOfTime),
            Err(failure)
                if self.course.walk().has_cursor() && reader::may_be_the_cursor(&failure) =>
            {
                log::warn!("{}; going on by time", one_line(&failure));
                self.course.walk().cursor_refused();
                None
            }
            Err(failure) => Some(Ended::Failed(failure)),
        }
    }

    fn end(self, ended: Ended, source: &Source) -> Message {
        let Job { work, scope, mut markets, slice, .. } = self;
        if let Work::Planned(Reading::Tape { riders, .. }) = work
            && reader::is_useless(&ended)
        {
            // What the tape does not give is still to be had market by market.
            let riders = riders.into_iter().filter(|rider| markets.contains(&rider.market));
            source.enqueue(riders.map(|rider| Work::Planned(Reading::Alone(rider))));
            markets.retain(Ticker::is_tape);
        }
        Message::Ended(Done { scope, markets, slice, ended })
    }
}

/// Does what is queued, `workers` walks at a time.
pub(super) fn drive(
    source: &Source,
    workers: usize,
    writer: &mut Writer<'_>,
    show: &mut dyn FnMut(Sight<'_>),
) {
    let mut jobs: VecDeque<Job> = VecDeque::new();
    loop {
        while jobs.len() < workers
            && let Some(work) = source.next_work()
        {
            jobs.push_back(Job::begin(source, work));
        }
        let Some(mut job) = jobs.pop_front() else { break };
        match job.step(source, writer) {
            None => jobs.push_back(job),
            Some(ended) => writer.take(job.end(ended, source)),
        }
        if !writer.commit_if_due(show) {
            return;
        }
    }
    writer.commit_rest(show);
}
