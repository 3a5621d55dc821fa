//! A pass in one thread: it carries out the driver's effects one after the other. The same dice, the same answers and
//! the same clock make the same pass. It does not catch a panic, because simulations search for panics.

use super::said::{tell, tell_page};
use super::{Source, committed};
use crate::driver::{Driver, Effect, Outcome, PassProgress, Writing};
use crate::store::{RunId, Store};

/// Does the jobs of the source's queue, `workers` at once.
pub(super) fn read_all(
    store: &mut dyn Store,
    run: RunId,
    writing: Writing,
    source: &Source,
    workers: usize,
    show: &mut dyn FnMut(PassProgress<'_>),
) -> Outcome {
    let asker = source.asker();
    let clock = asker.budget().clock();
    let queue = std::mem::take(&mut *source.queue());
    let mut driver = Driver::new(source.terms(), queue, writing, workers, asker.jitter());
    loop {
        match asker.manners(|manners, moment| driver.next(manners, moment)) {
            Effect::Ask { worker, request, left } => {
                let answer = asker.client().trades(&request, left, clock);
                if let Ok(page) = &answer {
                    tell_page(&request, page);
                }
                driver.heard(worker, answer);
            }
            Effect::Wait(wait) => {
                asker.budget().sleep(wait);
            }
            Effect::Commit(commit) => {
                let done = committed(store, run, &commit);
                driver.committed(*commit, done);
            }
            Effect::Say(notice) => tell(Some(notice)),
            Effect::Show => show(driver.pass_progress()),
            Effect::End => break,
        }
    }
    asker.manners(|manners, moment| driver.finish(manners, moment))
}
