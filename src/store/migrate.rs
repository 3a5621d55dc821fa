//! Finds the numbered SQL files that are still to be applied. It does no I/O; each store applies them itself, in one
//! transaction with their records.

use crate::failure::{Failure, Kind};

/// One numbered file. A released file is never edited again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Migration {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// Statements for databases to which the released step cannot be applied. They run before it, in the same
    /// transaction, and are no part of its checksum.
    pub(super) preparation: Option<&'static str>,
}

/// Embeds `sql/<dialect>/migrations/<name>.sql` for each step, in order. The preparation of a step is another such
/// file.
macro_rules! migrations {
    ($dialect:literal) => {
        $crate::store::migrate::migrations!($dialect:
            "001_pipeline",
            "002_coverage",
            "003_history",
            "004_operations",
            "005_claims",
            "006_absence",
            "007_content" prepared by "before_007_content",
            "008_names",
            "009_account_limits",
            "010_trade_counts",
            "011_market_candles",
            "012_analysts",
            "013_trade_hours",
            "014_market_changes",
        )
    };
    ($dialect:literal: $($name:literal $(prepared by $preparation:literal)?),+ $(,)?) => {
        &[$($crate::store::migrate::Migration {
            name: $name,
            sql: $crate::store::migrate::file!($dialect, $name),
            preparation: [
                $(Some($crate::store::migrate::file!($dialect, $preparation)),)? None
            ][0],
        }),+]
    };
}

/// The text of `sql/<dialect>/migrations/<name>.sql`.
macro_rules! file {
    ($dialect:literal, $name:literal) => {
        include_str!(concat!("../../../sql/", $dialect, "/migrations/", $name, ".sql"))
    };
}
pub(super) use file;
pub(super) use migrations;

impl Migration {
    /// The scripts that are to be run, in order.
    pub(super) fn scripts(&self) -> impl Iterator<Item = &'static str> {
        self.preparation.into_iter().chain([self.sql])
    }

    /// SHA-256 of the file, in hexadecimal.
    pub(super) fn checksum(&self) -> String {
        use std::fmt::Write as _;
        let digest = ring::digest::digest(&ring::digest::SHA256, self.sql.as_bytes());
        digest.as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// The record of an applied step.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) name: String,
    pub(super) checksum: String,
}

/// The failure when nothing can be read before `next` is applied. `whether` names a role that may not apply it, `who`
/// one that may.
pub(super) fn behind(next: &Migration, is_first: bool, whether: &str, who: &str) -> Failure {
    let message = if is_first {
        format!(
            "the database holds nothing of kalshi-ingest yet (step {} is next){whether}; \
             check --database-url, or run `kalshi-ingest migrate` as {who}",
            next.name
        )
    } else {
        format!(
            "the schema is not up to date (step {} is next){whether}; \
             run `kalshi-ingest migrate` as {who}",
            next.name
        )
    };
    Failure::new(Kind::StoreRefused, message)
}

/// The steps that are left to apply. The applied steps must be the first of the known ones.
pub(super) fn pending<'a>(
    known: &'a [Migration],
    applied: &[Applied],
) -> Result<&'a [Migration], Failure> {
    let refuse = |message: String| Failure::new(Kind::StoreRefused, message);
    for (at, step) in applied.iter().enumerate() {
        let Some(ours) = known.get(at) else {
            return Err(refuse(format!(
                "the database's schema is newer than this build (it has {}); run a newer kalshi-ingest",
                step.name,
            )));
        };
        if step.name != ours.name || step.checksum != ours.checksum() {
            return Err(refuse(format!(
                "the database records schema step {} where this build has another {}; \
                 use the build that made it, or a fresh database",
                step.name, ours.name,
            )));
        }
    }
    Ok(&known[applied.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn step(name: &'static str, sql: &'static str) -> Migration {
        Migration { name, sql, preparation: None }
    }

    const KNOWN: &[Migration] = &[step("001_a", "a"), step("002_b", "b")];

    fn applied(steps: &[Migration]) -> Vec<Applied> {
        steps
            .iter()
            .map(|step| Applied { name: step.name.to_owned(), checksum: step.checksum() })
            .collect()
    }

    #[test]
    fn only_a_prefix_of_the_known_steps_is_accepted() {
        let newer = [KNOWN, &[step("003_c", "c")]].concat();
        let edited = [step("001_a", "edited")];
        for (have, left, why) in [
            (&KNOWN[..0], Some(2), "a fresh database"),
            (&KNOWN[..1], Some(1), "one step behind"),
            (KNOWN, Some(0), "up to date"),
            (&newer[..], None, "newer than the build"),
            (&edited[..], None, "a step was changed after it was applied"),
            (&KNOWN[1..], None, "a step is missing"),
        ] {
            let pending = pending(KNOWN, &applied(have)).map(<[_]>::len);
            assert_eq!(pending.ok(), left, "{why}");
        }
        let message = pending(KNOWN, &applied(&newer)).unwrap_err().to_string();
        assert!(message.contains("run a newer kalshi-ingest"), "{message}");
    }

    #[test]
    fn a_preparation_runs_first_and_is_no_part_of_the_step() {
        let prepared = Migration { preparation: Some("before"), ..KNOWN[0] };
        assert_eq!(prepared.scripts().collect::<Vec<_>>(), ["before", "a"]);
        assert_eq!(prepared.checksum(), KNOWN[0].checksum());
    }
}
