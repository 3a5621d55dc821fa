//! The recorded counts, and the judgement of new ones. `tests/it/instructions.rs` tests it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The file with the recorded counts.
#[derive(Deserialize)]
pub(crate) struct Record {
    /// The compiler and the architecture of the counts.
    pub(crate) compiler: String,
    #[serde(flatten)]
    pub(crate) parts: BTreeMap<String, Entry>,
}

/// The record of one part.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Instructions a unit.
    pub(crate) recorded: u64,
    /// The most instructions a unit, whatever is recorded.
    pub(crate) limit: u64,
}

/// How much more than the recorded count is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// 10 %: the compiler is the recorded one.
    Same,
    /// 25 %: another compiler makes other code of the same source.
    Other,
    /// Anything within the limit: the count is about to be recorded.
    Any,
}

impl Record {
    /// Reads the file.
    pub(crate) fn read(text: &str) -> Record {
        toml::from_str(text).unwrap()
    }
}

/// The allowance of a run by `compiler`.
pub(crate) fn allowance(recorded: &str, compiler: &str) -> Allowance {
    if recorded == compiler { Allowance::Same } else { Allowance::Other }
}

/// The change from the recorded count, in percent.
pub(crate) fn percent(recorded: u64, count: u64) -> f64 {
    let float = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    float(count) / float(recorded.max(1)) * 100.0 - 100.0
}

/// An error says which part takes too many instructions, and which remedies there are.
pub(crate) fn judge(
    name: &str,
    entry: Entry,
    count: u64,
    allowance: Allowance,
) -> Result<(), String> {
    let Entry { recorded, limit } = entry;
    if count > limit {
        return Err(format!(
            "{name} takes {count} instructions a unit, and its limit is {limit}: make it faster, or raise the limit in \
             benches/instructions.toml with a reason in the commit"
        ));
    }
    let more = match allowance {
        Allowance::Same => 10,
        Allowance::Other => 25,
        Allowance::Any => return Ok(()),
    };
    if count * 100 > recorded * (100 + more) {
        return Err(format!(
            "{name} takes {count} instructions a unit, more than {more} % above the recorded {recorded}: make it \
             faster, or run `benches/count-instructions --renew` and say why in the commit"
        ));
    }
    Ok(())
}

/// The text of the file with the counts of this run; limits and comments stay.
pub(crate) fn renewed(text: &str, compiler: &str, counts: &[(&str, u64)]) -> String {
    let mut section = "";
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        let count = counts.iter().find(|(name, _)| *name == section);
        lines.push(match count {
            Some((_, count)) if line.starts_with("recorded = ") => format!("recorded = {count}"),
            _ if line.starts_with("compiler = ") => format!("compiler = {compiler:?}"),
            _ => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}
