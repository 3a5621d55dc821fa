//! A pass in threads. Each reader fetches and decodes one job and sends its pages through a bounded channel to the one
//! writer. While the database commits a batch, the next pages are already being fetched, and the pages in flight bound
//! the memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::said::{tell, tell_page};
use super::{Source, committed};
use crate::domain::job::Job;
use crate::driver::{
    Ended, Message, Notice, Outcome, PAGES_WAITING_MAX, PassProgress, Reading, Turn,
};
use crate::driver::{Write, Writing};
use crate::retry::Jitter;
use crate::store::{RunId, Store};

/// The interval between two looks at the stop flag while no message arrives.
const POLL: Duration = Duration::from_millis(50);

/// The writer is gone: nothing more can be stored.
struct WriterGone;

/// Does the jobs of the source's queue with `workers` readers.
pub(super) fn read_all(
    store: &mut dyn Store,
    run: RunId,
    mut writing: Writing,
    source: &Arc<Source>,
    workers: usize,
    show: &mut dyn FnMut(PassProgress<'_>),
) -> Outcome {
    let workers = workers.min(source.queue().len());
    let (sender, receiver) = sync_channel(PAGES_WAITING_MAX);
    for _ in 0..workers {
        let (source, sender) = (Arc::clone(source), sender.clone());
        // The thread is not joined: a reader that hangs in a request must not keep the process from exiting.
        let reader = thread::Builder::new().name("reader".to_owned());
        if let Err(error) = reader.spawn(move || do_jobs(&source, &sender)) {
            log::warn!("there is no room for another reader: {error}");
        }
    }
    drop(sender);
    write_all(store, run, &mut writing, &receiver, source, show);
    writing.finish(source.asker().stopped())
}

/// Takes messages until every reader is done, the store fails or the pass has to stop.
fn write_all(
    store: &mut dyn Store,
    run: RunId,
    writing: &mut Writing,
    messages: &Receiver<Message>,
    source: &Source,
    show: &mut dyn FnMut(PassProgress<'_>),
) {
    let asker = source.asker();
    loop {
        match asker.manners(|manners, moment| writing.next(moment, manners.stopped(moment))) {
            Write::Take(wait) => match messages.recv_timeout(wait.min(POLL)) {
                Ok(message) => writing.take(message, asker.moment()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => writing.nobody_left(),
            },
            Write::TakeRest => {
                for message in messages.try_iter() {
                    writing.take(message, asker.moment());
                }
                writing.rest_taken();
            }
            Write::Commit(commit) => {
                let done = committed(store, run, &commit);
                writing.committed(*commit, done);
            }
            Write::Show => show(writing.pass_progress()),
            Write::End => return,
        }
    }
}

/// Does jobs until none is left, the time is over or the writer is gone.
fn do_jobs(source: &Source, writer: &SyncSender<Message>) {
    let asker = source.asker();
    let mut jitter = asker.jitter();
    while let Some(job) = source.next_job() {
        let mut reading = None;
        let walk = || read(&job, source, &mut reading, writer, &mut jitter);
        let ended = match catch_unwind(AssertUnwindSafe(walk)) {
            Ok(Ok(ended)) => ended,
            Ok(Err(WriterGone)) => return,
            Err(_) => {
                if let Some(reading) = &mut reading {
                    asker.manners(|manners, _| reading.abandon(manners));
                }
                Ended::Panicked
            }
        };
        let done = source.done(job, ended);
        if writer.send(Message::Ended(done)).is_err() {
            return;
        }
    }
}

/// Does one job, and returns how it ended.
fn read(
    job: &Job,
    source: &Source,
    reading: &mut Option<Reading>,
    writer: &SyncSender<Message>,
    jitter: &mut Jitter,
) -> Result<Ended, WriterGone> {
    let asker = source.asker();
    let reading = reading.insert(Reading::begin(job, source.terms()));
    loop {
        let left = match asker.manners(|manners, moment| reading.next(manners, moment)) {
            Turn::Over(ended) => return Ok(ended),
            Turn::Wait(wait) => {
                asker.nap(wait);
                continue;
            }
            Turn::Send(left) => left,
        };
        let Some(request) = reading.request() else { continue };
        match asker.client().trades(request, left, asker.budget().clock()) {
            Ok(page) => {
                tell_page(request, &page);
                asker.manners(|manners, _| reading.answered(manners));
                let walked = reading.page(page);
                tell(Notice::of_corrections(&walked));
                writer.send(Message::Page(walked)).map_err(|_| WriterGone)?;
            }
            Err(failure) => tell(
                asker.manners(|manners, moment| reading.failed(failure, manners, jitter, moment)),
            ),
        }
    }
}
