//! From a connection string to a connection: tries the servers in order until one accepts.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::ToSocketAddrs as _;

use postgres::Client;

use crate::connection_string::ConnectionString;
use crate::error::Error;
use crate::exposure;
use crate::negotiate::{Endpoint, Refusal};
use crate::notice::Notice;
use crate::resolve::{Host, Server, Session};

impl ConnectionString {
    /// Connects to the first acceptable server, without reporting notices.
    pub fn connect(&self) -> Result<Client, Error> {
        self.connect_telling(&mut |_| {})
    }

    /// Connects to the first acceptable server, as libpq does: the next server is tried when one does not answer, but
    /// not when one refuses. `tell` gets the notices on the way, above all when a connection is not as safe as it
    /// could be.
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

    /// Whether the server is of the wanted kind.
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

    /// The warning that a third party could read the connection, or pose as the server.
    fn warning(&self, server: &Server, endpoint: &Endpoint, is_encrypted: bool) -> Option<Notice> {
        let host = server.name.clone().unwrap_or_else(|| match endpoint {
            Endpoint::Address(address) => address.to_string(),
            Endpoint::Socket(path) => path.display().to_string(),
        });
        exposure::warning(&host, endpoint, is_encrypted, self.plan.tls.check())
    }
}
