//! One invocation: opens what is needed, does the task, says how it ended.

mod run;
mod status;

use std::sync::Arc;

use crate::cli::Cli;
use crate::clock::{Clock, StopFlag, SystemClock};
use crate::config::{Config, Task};
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::store::{Missing, Store};

/// Does what was typed. The only place that turns an error into words and a number.
pub fn main(cli: Cli, stop: &StopFlag) -> Exit {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    match dispatch(cli, &clock, stop) {
        Ok(exit) => exit,
        Err(error) => {
            log::error!("{}", one_line(error.as_ref()));
            Exit::of_error(&error)
        }
    }
}

fn dispatch(cli: Cli, clock: &Arc<dyn Clock>, stop: &StopFlag) -> anyhow::Result<Exit> {
    // A value that is not Unicode is a wrong one, not a missing one.
    let environment =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let Config { database, task } = Config::new(cli, clock.now(), &environment)?;
    match task {
        Task::Run(plan) => {
            let mut store = database.open(Missing::Create)?;
            migrate(store.as_mut(), clock.as_ref())?;
            Ok(run::run(*plan, store.as_mut(), clock, stop)?)
        }
        Task::Status { markets, sla, output, check } => {
            let mut store = database.open(Missing::Refuse)?;
            migrate(store.as_mut(), clock.as_ref())?;
            let question = status::Question { markets, sla, output, check };
            status::status(&question, store.as_mut(), clock.now())
        }
        Task::Migrate => {
            let mut store = database.open(Missing::Create)?;
            if migrate(store.as_mut(), clock.as_ref())? == 0 {
                log::info!("the schema of the {database} is up to date");
            }
            Ok(Exit::Ok)
        }
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
