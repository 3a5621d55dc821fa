//! What a command meets outside of itself. The program brings the machine's; whoever wants to turn time, break
//! connections or kill a command between two steps brings others.

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
    /// To be written to.
    fn open(&self, url: &DatabaseUrl, missing: Missing) -> Result<Box<dyn Store>, Failure>;

    /// To be read only, see [`DatabaseUrl::open_to_read`].
    fn open_to_read(&self, url: &DatabaseUrl) -> Result<Box<dyn Store>, Failure>;

    /// Whether it is one that nobody has made yet.
    fn is_missing(&self, url: &DatabaseUrl) -> bool;
}

/// Those that their URLs name.
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

/// The value of a variable of the environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where answers go.
pub type Output = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// Everything that a command comes to from outside.
#[derive(Clone)]
pub struct Outside {
    /// What tells and spends time.
    pub clock: Arc<dyn Clock>,
    /// What the environment says.
    pub environment: Environment,
    /// How the exchange is reached; `None`: over the network.
    pub transport: Option<Arc<dyn Transport>>,
    /// Where trades are stored.
    pub databases: Arc<dyn Databases>,
    /// Where answers go.
    pub output: Output,
    /// What waits are drawn with.
    pub dice: Dice,
    /// How walks are done at the same time.
    pub drive: Drive,
}

impl Outside {
    /// The machine's own, by this clock.
    pub fn machine(clock: Arc<dyn Clock>) -> Outside {
        // A value that is not Unicode is a wrong one, not a missing one.
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

    /// What asks the exchange.
    pub(super) fn client(&self, access: Access) -> Client {
        match &self.transport {
            Some(transport) => Client::by(Arc::clone(transport), access),
            None => Client::new(access),
        }
    }
}
