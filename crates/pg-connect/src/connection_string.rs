//! A connection string, read and completed.

use std::fmt;
use std::str::FromStr;

use crate::dsn;
use crate::error::{Error, ErrorKind};
use crate::notice::Notice;
use crate::options::Options;
use crate::resolve::{self, Host, Plan, Surroundings};

/// A complete connection string: the addresses of the servers and the settings of the connection.
///
/// [`Display`](fmt::Display) and [`Debug`] show hosts, ports and the database, and no secret.
#[derive(Clone)]
pub struct ConnectionString {
    pub(crate) plan: Plan,
    /// The name of the string in advice.
    pub(crate) given_as: String,
    notices: Vec<Notice>,
}

impl Options<'_> {
    /// Reads a connection string and completes it from the service file, the environment and the password file. It
    /// contacts no server.
    pub fn parse(&self, text: &str) -> Result<ConnectionString, Error> {
        let of_process = |name: &str| std::env::var(name).ok();
        let surroundings = Surroundings {
            environment: self.environment.unwrap_or(&of_process),
            os_user: &|| whoami::username().ok(),
            application_name: self.application_name,
        };
        let mut notices = Vec::new();
        let plan = resolve::plan(dsn::parse(text)?, &surroundings, &mut notices)?;
        Ok(ConnectionString { plan, given_as: self.given_as.to_owned(), notices })
    }
}

impl ConnectionString {
    /// Whether the text has one of the two forms: a URL that begins with `postgres://` or `postgresql://`, or
    /// `key=value` pairs. It may still be wrong.
    pub fn is_meant(text: &str) -> bool {
        dsn::is_meant(text)
    }

    /// Reads a connection string with the variables of the process; see [`Options`] for other settings.
    pub fn parse(text: &str) -> Result<ConnectionString, Error> {
        Options::new().parse(text)
    }

    /// The notices of reading the string, to be logged.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The error when no server let us in, and one may do so later.
    pub(crate) fn absent(
        &self,
        advice: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.error(ErrorKind::Unavailable, advice, cause)
    }

    /// The error when no connection was made.
    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        advice: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        let message = format!("connecting to PostgreSQL at {self} failed; {advice}");
        Error::new(kind, message).because(cause)
    }
}

impl FromStr for ConnectionString {
    type Err = Error;

    fn from_str(text: &str) -> Result<ConnectionString, Error> {
        ConnectionString::parse(text)
    }
}

/// Hosts, ports and the database: the parts that may be printed.
impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, server) in self.plan.servers.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            match (&server.host, &server.name) {
                (Host::Socket(path), _) if server.port == resolve::PORT => {
                    write!(f, "{}", path.display())?;
                }
                (Host::Socket(path), _) => write!(f, "{}:{}", path.display(), server.port)?,
                (_, Some(name)) | (Host::Name(name), _) => write!(f, "{name}:{}", server.port)?,
                (Host::Address(address), None) => write!(f, "{address}:{}", server.port)?,
            }
        }
        self.plan.base.get_dbname().map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionString({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_and_no_place_shows_the_password() {
        let parse = |url: &str| Options::new().environment(&|_| None).parse(url);
        let good = parse("postgres://me:hunter2@db.example:6543/orders").ok().unwrap();
        assert_eq!(good.to_string(), "db.example:6543/orders");
        assert_eq!(format!("{good:?}"), "ConnectionString(db.example:6543/orders)");
        for url in [
            "postgres://me:hunter2@db.example/orders?sslmode=maybe",
            "postgres://me:hunter2@db.example/orders?no_such_option=1",
            "postgres://me:hunter2@db.example:port/orders",
            "postgres://me:hunter2@db.example:99999/orders",
            "postgres://me:x@hunter2@db.example/orders",
            "postgres://me:x/y@hunter2@db.example/orders",
            "host=db password=x hunter2=y",
            "host=a@hunter2 user=me",
            "host=db port=hunter2",
            "host=db hostaddr=hunter2",
            "host=db sslmode=hunter2",
            "host=db connect_timeout=hunter2",
        ] {
            let Err(error) = parse(url) else { panic!("{url} was accepted") };
            let line = crate::error::one_line(&error);
            assert!(!line.contains("hunter2"), "{line}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
