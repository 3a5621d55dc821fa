//! The selection, from flags, variables and the watchlist; and the shard of this process.

use std::time::Duration;

use crate::cli::SelectionArgs;
use crate::domain::selection::{OfName, Selection, Shard, Target, Watch};
use crate::domain::ticker::Ticker;
use crate::failure::Failure;
use crate::watchlist;

/// The variable with the number of a pod in a Kubernetes Indexed Job.
const JOB_INDEX: &str = "JOB_COMPLETION_INDEX";

/// All selected entries; an entry without an SLA of its own gets `sla`. The selection may be empty.
pub(super) fn selection(
    typed: &SelectionArgs,
    sla: Duration,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Selection, Failure> {
    let mut watches = Vec::new();
    let named: [(_, _, OfName); 3] = [
        ("market", &typed.market, Target::Market),
        ("event", &typed.event, Target::Event),
        ("series", &typed.series, Target::Series),
    ];
    for (flag, typed, make) in named {
        let typed = with_commas(typed);
        for text in typed.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            // '*' names the tape's checkpoint, so it is no market.
            let ticker = Ticker::new(text);
            let target = ticker.map(make).filter(Target::is_sayable).ok_or_else(|| {
                Failure::config(format!(
                    "--{flag} {text:?} is not a ticker, like KXHIGHNY-26NOV22-T50"
                ))
            })?;
            watches.push(Watch { target, sla });
        }
    }
    if typed.all {
        watches.push(Watch { target: Target::All, sla });
    }
    if let Some(path) = typed.watchlist.as_ref().filter(|path| !path.as_os_str().is_empty()) {
        watches.extend(watchlist::read(path, sla)?);
    }
    Ok(Selection::new(watches, shard(typed.shard.as_deref(), environment)?))
}

/// Joins parts that were split at a comma of a ticker, which has a backslash before it.
fn with_commas(typed: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for text in typed {
        match names.last_mut().filter(|name| name.ends_with('\\')) {
            Some(name) => {
                name.pop();
                name.push(',');
                name.push_str(text);
            }
            None => names.push(text.clone()),
        }
    }
    names
}

/// The selection, for commands that need one: an empty selection is an error.
pub(super) fn required(selection: Selection) -> Result<Selection, Failure> {
    if selection.is_empty() {
        return Err(Failure::config(
            "nothing is selected; name markets with --market TICKER, --event, --series, --all or --watchlist FILE",
        ));
    }
    Ok(selection)
}

/// The shard from `I/N`, or from `/N` with `I` from the Indexed Job.
fn shard(
    typed: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Shard, Failure> {
    let job_index = environment(JOB_INDEX).filter(|text| !text.trim().is_empty());
    let Some(text) = typed.map(str::trim).filter(|text| !text.is_empty()) else {
        // Otherwise each pod would read everything, which is harmless but not the intention.
        return match job_index {
            None => Ok(Shard::WHOLE),
            Some(_) => Err(Failure::config(format!(
                "{JOB_INDEX} is set, but not of how many pods; set KALSHI_SHARD to /N for the Job's N completions, or to 0/1 for no split"
            ))),
        };
    };
    let refuse = || {
        Failure::config(format!(
            "--shard {text:?} is not I/N with I below N, like 0/4; or /4 with I from {JOB_INDEX}"
        ))
    };
    let (index, count) = text.split_once('/').ok_or_else(refuse)?;
    let index = match (index.trim(), job_index) {
        ("", Some(index)) => index,
        ("", None) => {
            return Err(Failure::config(format!(
                "--shard {text:?} takes its index from {JOB_INDEX}, which is not set"
            )));
        }
        (index, _) => index.to_owned(),
    };
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| refuse());
    Shard::new(number(&index)?, number(count)?).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_after_a_backslash_belongs_to_the_ticker() {
        for (typed, names) in [
            ("A,B", &["A", "B"][..]),
            (r"JOBLESS-22SEP10-C220\,000", &["JOBLESS-22SEP10-C220,000"]),
            (r"A,B\,1\,2,C", &["A", "B,1,2", "C"]),
            ("GDP-232022 Q4-T2.5,A", &["GDP-232022 Q4-T2.5", "A"]),
            (r"A\", &[r"A\"]),
            ("", &[""]),
        ] {
            let cut: Vec<String> = typed.split(',').map(str::to_owned).collect();
            assert_eq!(with_commas(&cut), names, "{typed}");
        }
    }

    #[test]
    fn a_shard_is_typed_or_taken_from_the_job() {
        for (typed, job, expected, why) in [
            (None, None, Ok("0/1"), "no split"),
            (Some("2/4"), None, Ok("2/4"), "typed"),
            (Some("2/4"), Some("3"), Ok("2/4"), "the flag beats the environment"),
            (Some("/4"), Some("3"), Ok("3/4"), "the job's index"),
            (Some(""), None, Ok("0/1"), "an empty variable is an unset one"),
            (None, Some("3"), Err("/N"), "of how many?"),
            (Some("/4"), None, Err("not set"), "no job"),
            (Some("/4"), Some("4"), Err("I below N"), "outside"),
            (Some("4/4"), None, Err("I below N"), "outside"),
            (Some("0/0"), None, Err("I below N"), "no shards"),
            (Some("-1/4"), None, Err("I below N"), "negative"),
            (Some("4"), None, Err("I below N"), "no slash"),
            (Some("a/b"), None, Err("I below N"), "no numbers"),
        ] {
            let environment = |name: &str| job.filter(|_| name == JOB_INDEX).map(ToOwned::to_owned);
            let read = shard(typed, &environment);
            match expected {
                Ok(text) => assert_eq!(read.unwrap().to_string(), text, "{why}"),
                Err(part) => {
                    let error = read.unwrap_err().to_string();
                    assert!(error.contains(part), "{why}: {error}");
                }
            }
        }
    }
}
