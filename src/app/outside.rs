//! The effects of a command outside of the program. The program uses those of the machine. A test that turns the
//! clock, breaks connections or kills a command between two steps brings its own.

use std::io::{self, Write as _};
use std::sync::Arc;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::ingest::Drive;
use crate::kalshi::{Access, Client, Transport, VENUE};
use crate::retry::Dice;
use crate::store::{DatabaseUrl, Missing, Store};

/// Opens databases.
pub trait Databases: Send + Sync {
    /// Opens the database for writing.
    fn open(&self, url: &DatabaseUrl, missing: Missing) -> Result<Box<dyn Store>, Failure>;

    /// Opens the database for reading only, see [`DatabaseUrl::open_to_read`].
    fn open_to_read(&self, url: &DatabaseUrl) -> Result<Box<dyn Store>, Failure>;

    /// Whether the database does not exist yet.
    fn is_missing(&self, url: &DatabaseUrl) -> bool;
}

/// Opens the databases that the URLs name.
struct Named;

impl Databases for Named {
    fn open(&self, url: &DatabaseUrl, missing: Missing) -> Result<Box<dyn Store>, Failure> {
        url.open(missing, VENUE.source)
    }

    fn open_to_read(&self, url: &DatabaseUrl) -> Result<Box<dyn Store>, Failure> {
        url.open_to_read(VENUE.source)
    }

    fn is_missing(&self, url: &DatabaseUrl) -> bool {
        url.is_missing()
    }
}

/// Returns the value of an environment variable.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Receives the answers.
pub type Output = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// All effects of a command outside of the program.
#[derive(Clone)]
pub struct Outside {
    /// The clock, which also waits.
    pub clock: Arc<dyn Clock>,
    /// The environment variables.
    pub environment: Environment,
    /// The way to the exchange; `None` for the network.
    pub transport: Option<Arc<dyn Transport>>,
    /// The databases that store trades.
    pub databases: Arc<dyn Databases>,
    /// The receiver of the answers.
    pub output: Output,
    /// The dice for random waits.
    pub dice: Dice,
    /// How the walks of a pass run at the same time.
    pub drive: Drive,
}

impl Outside {
    /// The effects of the machine, by this clock.
    pub fn machine(clock: Arc<dyn Clock>) -> Outside {
        // A value that is not Unicode counts as a wrong value, not as a missing one.
        let variable =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let stdout = |bytes: &[u8]| {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        };
        Outside {
            clock,
            environment: Arc::new(variable),
            transport: None,
            databases: Arc::new(Named),
            output: Arc::new(stdout),
            dice: Dice::default(),
            drive: Drive::Threads,
        }
    }

    /// The client that asks the exchange.
    pub(super) fn client(&self, access: Access) -> Client {
        match &self.transport {
            Some(transport) => Client::by(Arc::clone(transport), access),
            None => Client::new(access),
        }
    }
}
