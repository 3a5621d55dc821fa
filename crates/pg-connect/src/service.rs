//! The service file: a section of parameters by name.

use std::fs;
use std::path::{Path, PathBuf};

use super::parameters::{Origin, Settings, named};
use crate::error::Error;

/// The directory that Debian's libpq searches last.
const SYSTEM_DIRECTORY: &str = "/etc/postgresql-common";

/// The files that may define a service.
pub(super) struct Files {
    /// The file that the user named; it has to exist.
    pub(super) named: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
    pub(super) system: Option<PathBuf>,
}

/// Fills in the parameters of the service. The first file that defines it counts.
pub(super) fn fill(settings: &mut Settings, service: &str, files: &Files) -> Result<(), Error> {
    let mut candidates = Vec::new();
    match (&files.named, &files.home) {
        (Some(path), _) if !path.exists() => {
            let path = path.display();
            return Err(Error::configuration(format!("the service file {path} does not exist")));
        }
        (Some(path), _) => candidates.push(path.clone()),
        (None, Some(home)) => candidates.push(home.join(".pg_service.conf")),
        (None, None) => {}
    }
    let system = files.system.as_deref().unwrap_or(Path::new(SYSTEM_DIRECTORY));
    candidates.push(system.join("pg_service.conf"));
    for path in candidates.iter().filter(|path| path.exists()) {
        let what = || format!("the service file {}", path.display());
        let text = fs::read_to_string(path).map_err(|error| {
            Error::configuration(format!("{} cannot be read", what())).because(error)
        })?;
        let found = section(&text, service).map_err(|(line, wrong)| {
            Error::configuration(format!("{} is wrong in line {line}: {wrong}", what()))
        })?;
        let Some(entries) = found else { continue };
        for (number, name, value) in entries {
            let Some(parameter) = named(name).filter(|known| known.name != "service") else {
                return Err(Error::configuration(format!(
                    "{} has no parameter of a connection in line {number}",
                    what()
                )));
            };
            settings.fill(parameter, value.to_owned(), Origin::Service(service.to_owned()));
        }
        return Ok(());
    }
    Err(Error::configuration(format!("no service file defines the service {service:?}")))
}

/// A line's number, a name and a value.
type Entry<'a> = (usize, &'a str, &'a str);

/// The entries of the section of this name. The error says which line is no entry, and why.
fn section<'a>(
    text: &'a str,
    service: &str,
) -> Result<Option<Vec<Entry<'a>>>, (usize, &'static str)> {
    let mut found: Option<Vec<Entry<'a>>> = None;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if name.strip_prefix(service).is_some_and(|rest| rest.starts_with(']')) {
                found = Some(Vec::new());
            }
        } else if let Some(entries) = &mut found {
            if line.starts_with("ldap") && line.contains("://") {
                return Err((number, "LDAP is not supported"));
            }
            let Some((name, value)) = line.split_once('=') else {
                return Err((number, "it is not of the form name=value"));
            };
            // Of two entries with one name, the first counts, and only that one is filled in.
            entries.push((number, name, value));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "# all of them\nhost=before\n[one]\n  host=a\nport=1\n\n[two]\nhost=b\n[one]\nuser=late\n";
        assert_eq!(section(text, "one"), Ok(Some(vec![(4, "host", "a"), (5, "port", "1")])));
        assert_eq!(section(text, "two"), Ok(Some(vec![(8, "host", "b")])));
        assert_eq!(section(text, "three"), Ok(None));
        assert_eq!(section("[a]\npassword", "a"), Err((2, "it is not of the form name=value")));
        assert_eq!(section("[a]\nldap://x/y", "a"), Err((2, "LDAP is not supported")));
        assert_eq!(section("[a]\nhost=b=c", "a"), Ok(Some(vec![(2, "host", "b=c")])));
    }

    #[test]
    fn files_are_asked_in_order_and_a_named_one_has_to_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let (home, system) = (directory.path().join("home"), directory.path().join("system"));
        for path in [&home, &system] {
            fs::create_dir(path).unwrap();
        }
        fs::write(home.join(".pg_service.conf"), "[a]\nhost=home\n[bad]\nhunter2\n").unwrap();
        fs::write(system.join("pg_service.conf"), "[a]\nhost=system\n[b]\nhost=system\n").unwrap();
        let host = |service: &str, is_named: bool| {
            let files = Files {
                named: is_named.then(|| directory.path().join("missing")),
                home: Some(home.clone()),
                system: Some(system.clone()),
            };
            let mut settings = Settings::default();
            fill(&mut settings, service, &files).map_err(|error| error.to_string())?;
            Ok(settings.get("host").unwrap().to_owned())
        };
        assert_eq!(host("a", false), Ok("home".to_owned()));
        assert_eq!(host("b", false), Ok("system".to_owned()));
        let error: String = host("c", false).unwrap_err();
        assert!(error.contains("\"c\""), "{error}");
        let error = host("a", true).unwrap_err();
        assert!(error.contains("missing"), "{error}");
        let error = host("bad", false).unwrap_err();
        assert!(error.contains("line 4") && !error.contains("hunter2"), "{error}");
    }
}
