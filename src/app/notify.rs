//! The receivers of a pass's result: the metrics file, the push gateway, the dead-man switch. A failure of theirs is
//! logged and never changes the exit status.

use crate::config::Notify;
use crate::domain::freshness::Now;
use crate::domain::selection::Selection;
use crate::failure::one_line;
use crate::metrics::{self, LastRun};
use crate::store::Store;
use crate::webhook;

/// Writes and pushes the metrics of a pass that has just ended.
pub(super) fn metrics(
    notify: &Notify,
    selection: &Selection,
    store: &mut dyn Store,
    last: LastRun,
    now: Now,
) {
    if notify.metrics_file.is_none() && notify.push_gateway.is_none() {
        return;
    }
    match store.overview(now.ours) {
        Ok(overview) => {
            let summaries = overview.summaries(Some(selection), now);
            hand_out(
                notify,
                selection,
                &metrics::text(&overview, &summaries, Some(last), selection.shard()),
            );
        }
        Err(failure) => {
            log::debug!("{}; the metrics of before are kept", one_line(&failure));
            unavailable(notify, selection, last);
        }
    }
}

/// Writes and pushes the metrics when the database does not answer: only the end of the pass is new then.
pub(super) fn unavailable(notify: &Notify, selection: &Selection, last: LastRun) {
    let before = notify.metrics_file.as_deref().and_then(metrics::file::read);
    hand_out(
        notify,
        selection,
        &metrics::amended(&before.unwrap_or_default(), last, selection.shard()),
    );
}

fn hand_out(notify: &Notify, selection: &Selection, text: &str) {
    if let Some(Err(failure)) =
        notify.metrics_file.as_deref().map(|path| metrics::file::replace(path, text))
    {
        log::error!("{}", one_line(&failure));
    }
    let shard = selection.shard().file_name();
    if let Some(Err(failure)) =
        notify.push_gateway.as_ref().map(|gateway| webhook::push(gateway, &shard, text))
    {
        log::error!("{}", one_line(&failure));
    }
}
