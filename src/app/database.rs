//! The database of a command. Only this module opens it, in the way that the command needs.

use std::sync::Arc;
use std::time::Duration;

use super::outside::{Databases, Outside};
use super::recount;
use crate::clock::Clock;
use crate::config::Needs;
use crate::exit::Exit;
use crate::failure::{Failure, Kind, one_line};
use crate::store::{DatabaseUrl, Store};

/// How often a question is repeated when the database connection breaks. The next constant is the wait before each
/// repetition.
const READ_AGAIN_MAX: u32 = 5;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The database of a command, not yet open.
pub(super) struct Database {
    url: DatabaseUrl,
    needs: Needs,
    databases: Arc<dyn Databases>,
    clock: Arc<dyn Clock>,
}

impl Database {
    pub(super) fn new(url: DatabaseUrl, needs: Needs, outside: &Outside) -> Database {
        let (databases, clock) = (Arc::clone(&outside.databases), Arc::clone(&outside.clock));
        Database { url, needs, databases, clock }
    }

    /// Opens the database in the way that the command needs.
    pub(super) fn open(&self) -> Result<Box<dyn Store>, Failure> {
        match self.needs {
            Needs::Migrated(missing) => {
                let mut store = self.databases.open(&self.url, missing)?;
                migrate(store.as_mut(), self.clock.as_ref())?;
                Ok(store)
            }
            Needs::AsItIs(missing) => self.databases.open(&self.url, missing),
            Needs::ReadOnly => self.databases.open_to_read(&self.url),
        }
    }

    /// Opens the database; `None` if it does not exist yet.
    pub(super) fn open_if_made(&self) -> Result<Option<Box<dyn Store>>, Failure> {
        if self.databases.is_missing(&self.url) { Ok(None) } else { self.open().map(Some) }
    }

    /// Answers a question from the database if its schema is the one of this build.
    pub(super) fn read(
        &self,
        mut answer: impl FnMut(&mut dyn Store) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        let mut store = self.open()?;
        ask(store.as_mut(), self.clock.as_ref(), |store| {
            store.check_schema()?;
            answer(store)
        })
    }

    /// Migrates the schema, for the command that does nothing else.
    pub(super) fn migrate(&self, recounts: bool) -> Result<Exit, Failure> {
        let mut store = self.open()?;
        if migrate(store.as_mut(), self.clock.as_ref())? == 0 {
            log::info!("the schema of the {} is up to date", self.url);
            store.make_views()?;
        }
        if recounts {
            let (markets, wrong) = recount::all(store.as_mut())?;
            log::info!("counted the trades of {markets} markets anew; {wrong} counts were wrong");
        }
        Ok(Exit::Ok)
    }
}

/// Applies the missing migrations. Returns their number.
fn migrate(store: &mut dyn Store, clock: &dyn Clock) -> Result<usize, Failure> {
    let steps = store.migrate(clock.now())?;
    for step in &steps {
        log::info!("applied schema step {step}");
    }
    Ok(steps.len())
}

/// Asks a question, and repeats it when the connection breaks or another process writes meanwhile.
pub(super) fn ask<T>(
    store: &mut dyn Store,
    clock: &dyn Clock,
    mut question: impl FnMut(&mut dyn Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut asked = 0;
    loop {
        let error = match question(store) {
            Err(error) if asked < READ_AGAIN_MAX && is_interrupted(&error) => error,
            answered => return answered,
        };
        asked += 1;
        log::debug!("{}; reading it again", one_line(error.as_ref()));
        clock.sleep(READ_AGAIN_AFTER);
        store.reconnect()?;
    }
}

fn is_interrupted(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref::<Failure>();
    failure.is_some_and(|failure| failure.kind == Kind::StoreInterrupted)
}
