//! The connection parameters, and their treatment here. The names and variables are libpq's, as of version 18.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::notice::Notice;

/// The treatment of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// The parameter has the same effect as in libpq.
    Honoured,
    /// The parameter has no effect here, for this reason; a notice says so.
    Ignored(&'static str),
    /// Ignoring the parameter would weaken or change the user's intention, so it is an error, for this reason. Only
    /// these values have the same effect as none.
    Refused(&'static [&'static str], &'static str),
}
use Treatment::{Honoured, Ignored, Refused};

/// One of libpq's parameters.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The environment variable that replaces it.
    pub(super) variable: Option<&'static str>,
    pub(super) treatment: Treatment,
}

const fn new(name: &'static str, variable: &'static str, treatment: Treatment) -> Parameter {
    let variable = if variable.is_empty() { None } else { Some(variable) };
    Parameter { name, variable, treatment }
}

const NO_GSS: &str = "there is no GSSAPI here";
const NO_OAUTH: &str = "OAuth is not supported";

pub(super) const PARAMETERS: &[Parameter] = &[
    new("service", "PGSERVICE", Honoured),
    new("servicefile", "PGSERVICEFILE", Honoured),
    new("host", "PGHOST", Honoured),
    new("hostaddr", "PGHOSTADDR", Honoured),
    new("port", "PGPORT", Honoured),
    new("dbname", "PGDATABASE", Honoured),
    new("user", "PGUSER", Honoured),
    new("password", "PGPASSWORD", Honoured),
    new("passfile", "PGPASSFILE", Honoured),
    new("options", "PGOPTIONS", Honoured),
    new("application_name", "PGAPPNAME", Honoured),
    new("fallback_application_name", "", Honoured),
    new("connect_timeout", "PGCONNECT_TIMEOUT", Honoured),
    new("tcp_user_timeout", "", Honoured),
    new("keepalives", "", Honoured),
    new("keepalives_idle", "", Honoured),
    new("keepalives_interval", "", Honoured),
    new("keepalives_count", "", Honoured),
    new("target_session_attrs", "PGTARGETSESSIONATTRS", Honoured),
    new("load_balance_hosts", "PGLOADBALANCEHOSTS", Honoured),
    new("channel_binding", "PGCHANNELBINDING", Honoured),
    new("sslmode", "PGSSLMODE", Honoured),
    new("sslrootcert", "PGSSLROOTCERT", Honoured),
    new("sslcert", "PGSSLCERT", Honoured),
    new("sslkey", "PGSSLKEY", Honoured),
    new("sslcrl", "PGSSLCRL", Honoured),
    new("sslsni", "PGSSLSNI", Honoured),
    new("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Honoured),
    new("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Honoured),
    new("sslpassword", "", Ignored("an encrypted sslkey is refused when it is read")),
    new("sslcompression", "PGSSLCOMPRESSION", Ignored("TLS is never compressed")),
    new("sslkeylogfile", "", Ignored("keys are never written down")),
    new("client_encoding", "PGCLIENTENCODING", Ignored("it is always UTF8")),
    new("krbsrvname", "PGKRBSRVNAME", Ignored(NO_GSS)),
    new("gsslib", "PGGSSLIB", Ignored(NO_GSS)),
    new("gssdelegation", "PGGSSDELEGATION", Ignored(NO_GSS)),
    new("max_protocol_version", "PGMAXPROTOCOLVERSION", Ignored("it is always 3.0")),
    new("gssencmode", "PGGSSENCMODE", Refused(&["disable", "prefer"], NO_GSS)),
    new("min_protocol_version", "PGMINPROTOCOLVERSION", Refused(&["3.0"], "it is always 3.0")),
    new(
        "sslnegotiation",
        "PGSSLNEGOTIATION",
        Refused(&["postgres"], "TLS is always asked for first"),
    ),
    new(
        "sslcertmode",
        "PGSSLCERTMODE",
        Refused(&["allow"], "a certificate is sent if there is one and the server asks"),
    ),
    new("sslcrldir", "PGSSLCRLDIR", Refused(&[], "give one file of lists with sslcrl")),
    new("requirepeer", "PGREQUIREPEER", Refused(&[], "the server's user cannot be looked at")),
    new(
        "require_auth",
        "PGREQUIREAUTH",
        Refused(&[], "the method cannot be looked at; channel_binding=require can take its place"),
    ),
    new("replication", "", Refused(&["0", "false", "off", "no"], "this is no replica")),
    new("scram_client_key", "", Refused(&[], "give a password")),
    new("scram_server_key", "", Refused(&[], "give a password")),
    new("oauth_issuer", "", Refused(&[], NO_OAUTH)),
    new("oauth_client_id", "", Refused(&[], NO_OAUTH)),
    new("oauth_client_secret", "", Refused(&[], NO_OAUTH)),
    new("oauth_scope", "", Refused(&[], NO_OAUTH)),
];

/// The parameter of this name.
pub(super) fn named(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Url,
    Service(String),
    Variable(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Url => f.write_str("the database URL"),
            Origin::Service(name) => write!(f, "the service {name:?}"),
            Origin::Variable(name) => f.write_str(name),
        }
    }
}

/// The given values, by parameter. It has no `Debug`, because it contains passwords.
#[derive(Default)]
pub(super) struct Settings(BTreeMap<&'static str, (String, Origin)>);

impl Settings {
    /// Sets a value. Of two values from one origin, the last one counts.
    pub(super) fn set(&mut self, parameter: &'static Parameter, value: String, origin: Origin) {
        self.0.insert(parameter.name, (value, origin));
    }

    /// Sets a value unless there is one.
    pub(super) fn fill(&mut self, parameter: &'static Parameter, value: String, origin: Origin) {
        self.0.entry(parameter.name).or_insert((value, origin));
    }

    /// The value, if there is one and it is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(named(name).is_some(), "{name}");
        self.0.get(name).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// An error that says which parameter is wrong, where, and which value would be right. It does not show the wrong
    /// value, which may be a piece of a misplaced password.
    pub(super) fn wrong(&self, name: &str, advice: &str) -> Error {
        let server =
            self.0.get(name).map_or_else(String::new, |(_, origin)| format!(" in {origin}"));
        Error::configuration(format!("{name}{server} is wrong: {advice}"))
    }

    /// The value of a parameter that is one of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, Error> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let found = words.iter().find(|(word, _)| *word == value);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, &format!("use {}", words.join(", ")))
        })
    }

    /// The value of a parameter that is a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.trim().parse::<i32>();
        number.map(|number| Some(i64::from(number))).map_err(|_| self.wrong(name, "use a number"))
    }

    /// Rejects parameters that would have to be honoured and cannot be; adds notices about ignored ones.
    pub(super) fn check_treatments(&self, notices: &mut Vec<Notice>) -> Result<(), Error> {
        for (name, (value, origin)) in &self.0 {
            match named(name).map(|parameter| parameter.treatment) {
                Some(Ignored(why)) => {
                    let line = format!("{name} in {origin} changes nothing: {why}");
                    notices.push(Notice::Detail(line));
                }
                Some(Refused(harmless, why))
                    if !value.is_empty() && !harmless.contains(&value.as_str()) =>
                {
                    return Err(Error::configuration(format!(
                        "{name} in {origin} is not supported: {why}"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_honoured_is_refused_unless_it_asks_for_nothing() {
        for (name, value, is_refused) in [
            ("gssencmode", "prefer", false),
            ("gssencmode", "require", true),
            ("sslcrldir", "/crl", true),
            ("requirepeer", "postgres", true),
            ("require_auth", "scram-sha-256", true),
            ("require_auth", "", false),
            ("sslcertmode", "require", true),
            ("sslnegotiation", "direct", true),
            ("replication", "true", true),
            ("krbsrvname", "postgres", false),
            ("sslcompression", "1", false),
            ("sslpassword", "hunter2", false),
        ] {
            let mut settings = Settings::default();
            settings.set(named(name).unwrap(), value.to_owned(), Origin::Url);
            let checked = settings.check_treatments(&mut Vec::new());
            assert_eq!(checked.is_err(), is_refused, "{name}={value}");
            if let Err(error) = checked {
                assert!(error.to_string().contains(name), "{error}");
                assert!(!error.to_string().contains(value), "{error}");
            }
        }
    }

    #[test]
    fn no_parameter_and_no_variable_is_listed_twice() {
        let mut names: Vec<&str> = PARAMETERS.iter().map(|known| known.name).collect();
        names.extend(PARAMETERS.iter().filter_map(|known| known.variable));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
