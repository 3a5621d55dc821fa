//! From a connection string to a connection: from server to server until one accepts.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::ToSocketAddrs as _;
use std::str::FromStr;

use postgres::Client;

use crate::dsn;
use crate::error::{Error, ErrorKind};
use crate::negotiate::{Endpoint, Refusal};
use crate::notice::{self, Notice};
use crate::options::Options;
use crate::resolve::{self, Host, Plan, Server, Session, Surroundings};

/// A connection string with all that completes it: where the servers are and how to speak to them.
///
/// [`Display`](fmt::Display) and [`Debug`] show hosts, ports and the database, and no secret.
#[derive(Clone)]
pub struct ConnectionString {
    pub(crate) plan: Plan,
    /// What advice calls the string.
    pub(crate) given_as: String,
    notices: Vec<Notice>,
}

impl Options<'_> {
    /// Reads a connection string and fills in the rest, from the service file, the environment and
    /// the password file. No server is asked.
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
    /// Whether the text has one of the two forms at all: a URL that begins with `postgres://` or
    /// `postgresql://`, or `key=value` pairs. It may still be wrong.
    pub fn is_meant(text: &str) -> bool {
        dsn::is_meant(text)
    }

    /// Reads a connection string with the variables of the process; see [`Options`] for more.
    pub fn parse(text: &str) -> Result<ConnectionString, Error> {
        Options::new().parse(text)
    }

    /// What was noticed while the string was read, to be logged.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Connects to the first server that suits, and tells nobody what it notices on the way.
    pub fn connect(&self) -> Result<Client, Error> {
        self.connect_telling(&mut |_| {})
    }

    /// Connects to the first server that suits, as libpq: the next one is tried when nobody
    /// answers, but not when a server says no. `tell` gets what is noticed on the way: above all
    /// that a connection is not as safe as it could be.
    pub fn connect_telling(&self, tell: &mut dyn FnMut(Notice)) -> Result<Client, Error> {
        let mut servers: Vec<&Server> = self.plan.servers.iter().collect();
        if self.plan.is_shuffled {
            servers.sort_by_cached_key(|_| RandomState::new().build_hasher().finish());
        }
        let wishes: &[Session] = match &self.plan.session {
            Session::PreferStandby => &[Session::Standby, Session::Any],
            other => std::slice::from_ref(other),
        };
        let mut last = None;
        for wish in wishes {
            for server in &servers {
                match self.connect_to(server, *wish, tell) {
                    Ok(client) => return Ok(client),
                    Err(Refusal::Absent(error)) => last = Some(error),
                    Err(refusal @ Refusal::Away { .. }) => return Err(refusal.into_error()),
                }
            }
        }
        Err(last.unwrap_or_else(|| self.absent("name a host", "no place to connect to")))
    }

    fn connect_to(
        &self,
        server: &Server,
        wish: Session,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<Client, Refusal> {
        let endpoints: Vec<Endpoint> = match &server.host {
            Host::Socket(path) => vec![Endpoint::Socket(path.clone())],
            Host::Address(address) => vec![Endpoint::Address(*address)],
            Host::Name(name) => (name.as_str(), server.port)
                .to_socket_addrs()
                .map_err(|error| Refusal::Absent(self.absent("check the host", error)))?
                .map(|address| Endpoint::Address(address.ip()))
                .collect(),
        };
        let mut last = self.absent("check the host", "it has no address");
        for endpoint in endpoints {
            match self.negotiate(server, &endpoint, tell) {
                Ok((mut client, is_encrypted)) => match self.suits(&mut client, wish) {
                    Ok(()) => {
                        self.warning(server, &endpoint, is_encrypted).map(&mut *tell);
                        return Ok(client);
                    }
                    Err(error) => last = error,
                },
                Err(Refusal::Absent(error)) => last = error,
                Err(away) => return Err(away),
            }
        }
        Err(Refusal::Absent(last))
    }

    fn absent(
        &self,
        advice: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.error(ErrorKind::Unavailable, advice, cause)
    }

    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        advice: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        let message = format!("connecting to PostgreSQL at {self} failed; {advice}");
        Error::new(kind, message).because(cause)
    }

    /// Whether the server is of the kind that is wanted.
    fn suits(&self, client: &mut Client, wish: Session) -> Result<(), Error> {
        let (question, expected) = match wish {
            Session::Any | Session::PreferStandby => return Ok(()),
            Session::ReadWrite => ("current_setting('transaction_read_only')", "off"),
            Session::ReadOnly => ("current_setting('transaction_read_only')", "on"),
            Session::Primary => ("pg_is_in_recovery()::text", "false"),
            Session::Standby => ("pg_is_in_recovery()::text", "true"),
        };
        let found = client.query_typed_one(&format!("select {question}"), &[]);
        let found: String = found.map_err(|error| self.absent(&self.advice(&error), error))?.get(0);
        if found == expected {
            return Ok(());
        }
        Err(self.absent("see target_session_attrs", "the server is not of the kind wanted"))
    }

    /// The warning that somebody on the way could read along, or be somebody else.
    fn warning(&self, server: &Server, endpoint: &Endpoint, is_encrypted: bool) -> Option<Notice> {
        let host = server.name.clone().unwrap_or_else(|| match endpoint {
            Endpoint::Address(address) => address.to_string(),
            Endpoint::Socket(path) => path.display().to_string(),
        });
        notice::of_strangers(&host, endpoint, is_encrypted, self.plan.tls.check())
    }
}

impl FromStr for ConnectionString {
    type Err = Error;

    fn from_str(text: &str) -> Result<ConnectionString, Error> {
        ConnectionString::parse(text)
    }
}

/// Hosts, ports and the database: what may be printed.
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
