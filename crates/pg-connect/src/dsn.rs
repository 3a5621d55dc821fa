//! Parses a connection string: a URL or libpq's `key=value` form. It does no I/O. No error repeats any part of the
//! string but the name of a parameter: a password may stand anywhere in it.

use percent_encoding::percent_decode_str;

use super::parameters::{Origin, Settings, named};
use crate::error::Error;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];
const ENCODE: &str =
    "percent-encode the password's special characters (@ is %40, / is %2F, # is %23, % is %25)";

/// Whether the text has one of the two forms at all.
pub(crate) fn is_meant(text: &str) -> bool {
    let is_pair = text.split_once('=').is_some_and(|(name, _)| is_name(name.trim()));
    is_pair || SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Reads either form.
pub(super) fn parse(text: &str) -> Result<Settings, Error> {
    match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => url(rest),
        None => pairs(text),
    }
}

/// Whether the text looks like the name of a parameter; a password rarely does.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn unknown(name: &str) -> Error {
    if is_name(name) {
        Error::configuration(format!(
            "the database URL has {name}, which is no connection parameter"
        ))
    } else {
        Error::configuration("the database URL has something that is no connection parameter")
    }
}

fn url(rest: &str) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    let mut set = |name: &str, raw: &str| -> Result<(), Error> {
        let parameter = named(name).ok_or_else(|| unknown(name))?;
        settings.set(parameter, decoded(raw)?, Origin::Url);
        Ok(())
    };
    // The first @ before any slash ends the credentials, as in libpq.
    let (credentials, rest) = match rest.find(['@', '/']) {
        Some(at) if rest[at..].starts_with('@') => (&rest[..at], &rest[at + 1..]),
        _ => ("", rest),
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    if hosts.contains('@') || database.contains('@') {
        return Err(Error::configuration(format!("the database URL has an @ too many; {ENCODE}")));
    }
    let (hosts, ports) = servers(hosts)?;
    for (name, raw) in [
        ("user", user),
        ("password", password),
        ("host", &hosts),
        ("port", &ports),
        ("dbname", database),
    ] {
        if !raw.is_empty() {
            set(name, raw)?;
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, raw)) = pair.split_once('=').filter(|(_, raw)| !raw.contains('=')) else {
            return Err(Error::configuration(format!(
                "an option in the database URL is not of the form name=value; {ENCODE}"
            )));
        };
        let name = decoded(name)?;
        match (name.as_str(), raw) {
            // JDBC writes it so; libpq accepts it, too.
            ("ssl", "true") => set("sslmode", "require")?,
            // Without this, the text after a `?` in a password would be named in an error.
            (name, _) if named(name).is_none() && query.contains('@') => return Err(unknown("")),
            (name, raw) => set(name, raw)?,
        }
    }
    Ok(settings)
}

/// `host:port,host:port` as two lists.
fn servers(text: &str) -> Result<(String, String), Error> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for server in text.split(',') {
        let (host, port) = if let Some(rest) = server.strip_prefix('[') {
            let (address, port) = rest.split_once(']').unwrap_or(("", rest));
            let port = if port.is_empty() { Some("") } else { port.strip_prefix(':') };
            let Some(port) = port.filter(|_| !address.is_empty()) else {
                return Err(Error::configuration(
                    "the database URL has a [ without an IPv6 address and a ] after it",
                ));
            };
            (address, port)
        } else {
            server.split_once(':').unwrap_or((server, ""))
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::configuration(format!(
                "the database URL has a port that is no number; {ENCODE}"
            )));
        }
        hosts.push(host);
        ports.push(port);
    }
    let joined = |parts: Vec<&str>| {
        if parts.iter().all(|part| part.is_empty()) { String::new() } else { parts.join(",") }
    };
    Ok((joined(hosts), joined(ports)))
}

fn decoded(raw: &str) -> Result<String, Error> {
    let is_hex = |at: usize| raw.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let is_whole = raw
        .match_indices('%')
        .all(|(at, _)| is_hex(at + 1) && is_hex(at + 2) && raw.get(at + 1..at + 3) != Some("00"));
    let text = percent_decode_str(raw).decode_utf8().ok().filter(|_| is_whole);
    text.map(std::borrow::Cow::into_owned).ok_or_else(|| {
        Error::configuration(
            "the database URL has a % that begins no character; write % itself as %25",
        )
    })
}

fn pairs(text: &str) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    let mut rest = text.trim_start();
    let mut last = "";
    while !rest.is_empty() {
        // A blank in a password turns the text after it into the name of a parameter.
        let stray = |name: &str| {
            if last == "password" {
                Error::configuration(
                    "the word after password=… in the database URL is no connection parameter; \
                     put ' around a password that has blanks in it",
                )
            } else {
                unknown(name)
            }
        };
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let parameter = named(name);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            let missing =
                |_| Error::configuration(format!("{name} in the database URL has no value"));
            return Err(parameter.map_or_else(|| stray(""), missing));
        };
        let Some(parameter) = parameter else { return Err(stray(name)) };
        let (value, after) = value(after.trim_start())?;
        settings.set(parameter, value, Origin::Url);
        (last, rest) = (parameter.name, after.trim_start());
    }
    Ok(settings)
}

/// The value at the beginning of `text`, and the text after it. A backslash takes the next character literally.
fn value(text: &str) -> Result<(String, &str), Error> {
    let (is_quoted, text) = text.strip_prefix('\'').map_or((false, text), |text| (true, text));
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if is_quoted => return Ok((value, &text[at + 1..])),
            blank if blank.is_ascii_whitespace() && !is_quoted => return Ok((value, &text[at..])),
            other => value.push(other),
        }
    }
    if is_quoted {
        return Err(Error::configuration("the database URL has a ' without an end"));
    }
    Ok((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::PARAMETERS;

    fn read(text: &str) -> Result<String, String> {
        let settings = parse(text).map_err(|error| crate::error::one_line(&error))?;
        let said = PARAMETERS.iter().filter_map(|parameter| {
            settings.get(parameter.name).map(|value| format!("{}={value}", parameter.name))
        });
        Ok(said.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn both_forms_say_the_same_things() {
        for (text, said) in [
            ("postgres://", ""),
            ("postgresql:///orders", "dbname=orders"),
            ("postgres://me@", "user=me"),
            ("postgres://db", "host=db"),
            ("postgres://:5433", "port=5433"),
            (
                "postgres://me:a%40b@db:5433/orders",
                "host=db port=5433 dbname=orders user=me password=a@b",
            ),
            ("postgres://[::1]:5433/k", "host=::1 port=5433 dbname=k"),
            ("postgres://a,b:2/k", "host=a,b port=,2 dbname=k"),
            ("postgres://%2Frun%2Fpg/k", "host=/run/pg dbname=k"),
            ("postgres://me:a:b@db", "host=db user=me password=a:b"),
            ("postgres://me:a?b@db/k", "host=db dbname=k user=me password=a?b"),
            (
                "postgres://db/k?user=me@corp&password=p@ss",
                "host=db dbname=k user=me@corp password=p@ss",
            ),
            ("postgres://a/k?host=b&sslmode=allow", "host=b dbname=k sslmode=allow"),
            ("postgres://a?ssl=true", "host=a sslmode=require"),
            ("host=db port=5432 dbname=orders", "host=db port=5432 dbname=orders"),
            ("  host = db\n\tuser=me ", "host=db user=me"),
            (r"password='a b' user='it\'s' host=c\ d", "host=c d user=it's password=a b"),
            (r"password=a\\b\'c", r"password=a\b'c"),
            ("password='' user=me", "user=me"),
            ("host= user=me", "host=user=me"),
            ("user=a user=b", "user=b"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(said), "{text}");
            assert!(is_meant(text), "{text}");
        }
        for text in ["", "orders", "mysql://x", "http://a/?b=c", "=x", "/var/lib/orders.db"] {
            assert!(!is_meant(text), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named_and_no_secret_is() {
        for (text, part) in [
            ("postgres://me:secret@db/k?no_such_option=1", "no_such_option"),
            ("postgres://me:secret@db/k?sslmode", "name=value"),
            ("postgres://me:secret@db:port/k", "port"),
            ("postgres://me:x@secret@db/k", "an @ too many"),
            ("postgres://me:x/secret@db/k", "%2F"),
            ("postgres://me:1/secret@db/k", "an @ too many"),
            ("postgres://me:1/x?secret=1@db/k", "no connection parameter"),
            ("postgres://me:100%secret@db/k", "%25"),
            ("postgres://me:secret%00@db/k", "%25"),
            ("postgres://me:secret@[db/k", "IPv6"),
            ("host=db no_such_option=1", "no_such_option"),
            ("host=db Secret=1", "no connection parameter"),
            ("password=two secret=x", "put ' around"),
            ("password=two secret", "put ' around"),
            ("host=db secret", "no connection parameter"),
            ("host=db user", "user in the database URL has no value"),
            ("password='secret", "without an end"),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.contains(part) && !error.to_lowercase().contains("secret"),
                "{text}: {error}"
            );
        }
    }
}
