//! The database of a command: the only place that opens it, as the command needs it.

use std::sync::Arc;
use std::time::Duration;

use super::outside::{Databases, Outside};
use crate::clock::Clock;
use crate::config::Needs;
use crate::exit::Exit;
use crate::failure::{Failure, Kind, one_line};
use crate::store::{DatabaseUrl, Store};

/// How often a question is asked again when the database breaks off, and after how long.
const READ_AGAIN_MAX: u32 = 5;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The database of a command, which opens it when it is time.
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

    /// Opens it as the command needs it.
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

    /// The same; `None` where nobody has made it yet.
    pub(super) fn open_if_made(&self) -> Result<Option<Box<dyn Store>>, Failure> {
        if self.databases.is_missing(&self.url) { Ok(None) } else { self.open().map(Some) }
    }

    /// Answers a question from it when its schema is that of this build.
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

    /// Does the command that does no more than that.
    pub(super) fn migrate(&self) -> Result<Exit, Failure> {
        let mut store = self.open()?;
        if migrate(store.as_mut(), self.clock.as_ref())? == 0 {
            log::info!("the schema of the {} is up to date", self.url);
        }
        Ok(Exit::Ok)
    }
}

/// Applies what is missing; answers with how many steps that were.
fn migrate(store: &mut dyn Store, clock: &dyn Clock) -> Result<usize, Failure> {
    let steps = store.migrate(clock.now())?;
    for step in &steps {
        log::info!("applied schema step {step}");
    }
    Ok(steps.len())
}

/// Asks, and asks again when the database breaks off or was written to meanwhile.
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
