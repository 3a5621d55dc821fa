//! From a connection string to a connection, as libpq would make it.
//!
//! `dsn` reads the string, `resolve` fills in what it leaves out (`service`, the environment,
//! `passfile`), `tls` and `verify` say what encryption has to prove, `negotiate` tries one server.
//! What is done here is to go from place to place until one lets us in.

mod parameters;
mod dsn;
mod service;
mod passfile;
mod resolve;
mod tls;
mod certificate;
mod verify;
mod negotiate;
mod warning;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postgres::Client;

use self::negotiate::{Refusal, Spot, advice};
use self::resolve::{Place, Plan, Session, Surroundings, Way};
use crate::failure::{Failure, Kind};

pub(in crate::store) use self::dsn::is_meant;

/// Where a server is and how to speak to it. No `Debug`: there are passwords in it.
#[derive(Clone)]
pub(in crate::store) struct Target {
    plan: Plan,
    /// Whether it was said that a connection is not as safe as it could be; once is enough.
    is_warned: Arc<AtomicBool>,
}

impl Target {
    /// Reads a connection string and fills in the rest. No error repeats it: it may hold a password.
    pub(in crate::store) fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Target, Failure> {
        let os_user = || whoami::username().ok();
        let plan =
            resolve::plan(dsn::parse(text)?, &Surroundings { environment, os_user: &os_user })?;
        Ok(Target { plan, is_warned: Arc::default() })
    }

    /// Host, port and database: what may be printed.
    pub(in crate::store) fn place(&self) -> String {
        let place = |place: &Place| match (&place.way, &place.name) {
            (Way::Socket(path), _) if place.port == resolve::PORT => path.display().to_string(),
            (Way::Socket(path), _) => format!("{}:{}", path.display(), place.port),
            (_, Some(name)) | (Way::Name(name), _) => format!("{name}:{}", place.port),
            (Way::Address(address), None) => format!("{address}:{}", place.port),
        };
        let places: Vec<String> = self.plan.places.iter().map(place).collect();
        match self.plan.base.get_dbname() {
            Some(name) => format!("{}/{name}", places.join(",")),
            None => places.join(","),
        }
    }

    /// The first place that suits. As libpq: the next one is tried when nobody answers, but not
    /// when a server says no.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let mut places: Vec<&Place> = self.plan.places.iter().collect();
        if self.plan.is_shuffled {
            places.sort_by_cached_key(|_| RandomState::new().build_hasher().finish());
        }
        let wishes: &[Session] = match &self.plan.session {
            Session::PreferStandby => &[Session::Standby, Session::Any],
            other => std::slice::from_ref(other),
        };
        let mut last = None;
        for wish in wishes {
            for place in &places {
                match self.connect_to(place, *wish) {
                    Ok(client) => return Ok(client),
                    Err(Refusal::Absent(failure)) => last = Some(failure),
                    Err(refusal @ Refusal::Away { .. }) => return Err(refusal.into_failure()),
                }
            }
        }
        Err(last.unwrap_or_else(|| self.failure("name a host", "no place to connect to")))
    }

    fn connect_to(&self, place: &Place, wish: Session) -> Result<Client, Refusal> {
        let spots: Vec<Spot> = match &place.way {
            Way::Socket(path) => vec![Spot::Socket(path.clone())],
            Way::Address(address) => vec![Spot::Address(*address)],
            Way::Name(name) => (name.as_str(), place.port)
                .to_socket_addrs()
                .map_err(|error| Refusal::Absent(self.failure("check the host", error)))?
                .map(|address| Spot::Address(address.ip()))
                .collect(),
        };
        let mut last = self.failure("check the host", "it has no address");
        for spot in spots {
            match self.negotiate(place, &spot) {
                Ok((mut client, is_encrypted)) => match self.suits(&mut client, wish) {
                    Ok(()) => {
                        self.warn_of_strangers(place, &spot, is_encrypted);
                        return Ok(client);
                    }
                    Err(failure) => last = failure,
                },
                Err(Refusal::Absent(failure)) => last = failure,
                Err(away) => return Err(away),
            }
        }
        Err(Refusal::Absent(last))
    }

    fn failure(
        &self,
        advice: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Failure {
        let message = format!("connecting to PostgreSQL at {} failed; {advice}", self.place());
        Failure::new(Kind::StoreUnavailable, message).because(cause)
    }

    /// Whether the server is of the kind that is wanted.
    fn suits(&self, client: &mut Client, wish: Session) -> Result<(), Failure> {
        let (question, expected) = match wish {
            Session::Any | Session::PreferStandby => return Ok(()),
            Session::ReadWrite => ("current_setting('transaction_read_only')", "off"),
            Session::ReadOnly => ("current_setting('transaction_read_only')", "on"),
            Session::Primary => ("pg_is_in_recovery()::text", "false"),
            Session::Standby => ("pg_is_in_recovery()::text", "true"),
        };
        let found = client.query_typed_one(&format!("select {question}"), &[]);
        let found: String = found.map_err(|error| self.failure(advice(&error), error))?.get(0);
        if found == expected {
            return Ok(());
        }
        Err(self.failure("see target_session_attrs", "the server is not of the kind wanted"))
    }

    /// Says so when somebody on the way could read along, or be somebody else.
    fn warn_of_strangers(&self, place: &Place, spot: &Spot, is_encrypted: bool) {
        let host = place.name.clone().unwrap_or_else(|| match spot {
            Spot::Address(address) => address.to_string(),
            Spot::Socket(path) => path.display().to_string(),
        });
        if let Some(warning) = warning::warning(&host, spot, is_encrypted, self.plan.tls.check())
            && !self.is_warned.swap(true, Ordering::Relaxed)
        {
            log::warn!("{warning}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_and_no_place_shows_the_password() {
        let parse = |url: &str| Target::parse(url, &|_| None);
        let good = parse("postgres://me:hunter2@db.example:6543/kalshi").ok().unwrap();
        assert_eq!(good.place(), "db.example:6543/kalshi");
        for url in [
            "postgres://me:hunter2@db.example/kalshi?sslmode=maybe",
            "postgres://me:hunter2@db.example/kalshi?no_such_option=1",
            "postgres://me:hunter2@db.example:port/kalshi",
            "postgres://me:hunter2@db.example:99999/kalshi",
            "postgres://me:x@hunter2@db.example/kalshi",
            "postgres://me:x/y@hunter2@db.example/kalshi",
            "host=db password=x hunter2=y",
            "host=a@hunter2 user=me",
            "host=db port=hunter2",
            "host=db hostaddr=hunter2",
            "host=db sslmode=hunter2",
            "host=db connect_timeout=hunter2",
        ] {
            let Err(failure) = parse(url) else { panic!("{url} was accepted") };
            let line = crate::failure::one_line(&failure);
            assert!(!line.contains("hunter2"), "{line}");
        }
    }
}
