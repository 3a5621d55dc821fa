//! Finds the database: by the flag, then by the environment, then as a file in the working directory.

use crate::failure::Failure;
use crate::store::DatabaseUrl;

const DATABASE_URL_DEFAULT: &str = "sqlite:kalshi.db";

/// libpq's variables (`PGHOST` and others) complete a URL that omits something; alone they name no database.
pub(super) fn database(
    flag: Option<String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<DatabaseUrl, Failure> {
    if let Some(url) = flag {
        return DatabaseUrl::parse(&url, environment);
    }
    let is_empty = |name: &str| environment(name).is_some_and(|value| value.trim().is_empty());
    if let Some(name) =
        ["DATABASE_URL", "DATABASE_URL_FILE"].into_iter().find(|name| is_empty(name))
    {
        // A secret that was lost on the way must not lead to a file in the working directory.
        return Err(Failure::config(format!("{name} is set but empty; set or unset it")));
    }
    match (environment("DATABASE_URL"), environment("DATABASE_URL_FILE")) {
        (Some(_), Some(_)) => Err(Failure::config(
            "both DATABASE_URL and DATABASE_URL_FILE are set; unset one of them",
        )),
        (Some(url), None) => DatabaseUrl::parse(&url, environment),
        (None, Some(path)) => {
            let path = path.trim();
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::config(format!("DATABASE_URL_FILE {path} cannot be read")).because(error)
            })?;
            // Some editors put this mark at the beginning of a file.
            let url = text.trim_start_matches('\u{feff}').trim();
            if url.is_empty() {
                return Err(Failure::config(format!(
                    "the file {path} is empty; DATABASE_URL_FILE names it"
                )));
            }
            DatabaseUrl::parse(url, environment)
        }
        (None, None) => DatabaseUrl::parse(DATABASE_URL_DEFAULT, environment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<String, String> {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        database(flag.map(str::to_owned), &environment)
            .map(|database| database.to_string())
            .map_err(|failure| crate::failure::one_line(&failure))
    }

    #[test]
    fn the_variables_of_postgresql_complete_a_url_and_are_none() {
        let around = [("PGHOST", "db.example"), ("PGDATABASE", "kalshi"), ("PGUSER", "me")];
        assert_eq!(place(None, &around).unwrap(), "SQLite file kalshi.db");
        for url in ["postgres://", "postgresql:///", "port=5432"] {
            let server = "PostgreSQL at db.example:5432/kalshi";
            assert_eq!(place(Some(url), &around).unwrap(), server, "{url}");
            let variables = [&around[..], &[("DATABASE_URL", url)]].concat();
            assert_eq!(place(None, &variables).unwrap(), server, "{url}");
        }
    }

    #[test]
    fn what_is_no_database_is_said_to_be_none() {
        for url in ["", " ", "kalshi", "mysql://x", "mysql://host/?a=b", "HOST=db"] {
            let error = place(Some(url), &[]).unwrap_err();
            assert!(error.contains("sqlite:kalshi.db"), "{url:?}: {error}");
        }
    }
}
