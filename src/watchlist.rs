//! The watchlist: a TOML file of the selection, each entry with an SLA of its own.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::cli;
use crate::domain::selection::{OfName, Target, Watch};
use crate::domain::ticker::Ticker;
use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    watch: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    market: Option<Spanned<String>>,
    event: Option<Spanned<String>>,
    series: Option<Spanned<String>>,
    all: Option<Spanned<bool>>,
    sla: Option<Spanned<String>>,
}

/// Reads a watchlist; an entry without an SLA gets `sla`. Errors name the file, the line and the key.
pub fn read(path: &Path, sla: Duration) -> Result<Vec<Watch>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::config(format!("the watchlist {} cannot be read", path.display())).because(error)
    })?;
    read_text(&path.display().to_string(), &text, sla)
}

/// Reads the text of a watchlist; `name` is the name of its file.
pub(crate) fn read_text(name: &str, text: &str, sla: Duration) -> Result<Vec<Watch>, Failure> {
    parse(text, sla).map_err(|(span, reason)| {
        let before = &text.as_bytes()[..span.start.min(text.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        Failure::config(format!("the watchlist {name}, line {line}: {reason}"))
    })
}

/// A part of the text, and its error.
type Mistake = (Range<usize>, String);

fn parse(text: &str, sla: Duration) -> Result<Vec<Watch>, Mistake> {
    let file: File = toml::from_str(text).map_err(|error| {
        let message: Vec<&str> = error.message().split_whitespace().collect();
        (error.span().unwrap_or_default(), message.join(" "))
    })?;
    if file.watch.is_empty() {
        return Err((0..0, "it has no [[watch]] entry".to_owned()));
    }
    file.watch.into_iter().map(|entry| watch(entry, sla)).collect()
}

fn watch(entry: Spanned<Entry>, sla: Duration) -> Result<Watch, Mistake> {
    let span = entry.span();
    let Entry { market, event, series, all, sla: own } = entry.into_inner();
    let mut targets = Vec::new();
    let named: [(_, _, OfName); 3] = [
        ("market", market, Target::Market),
        ("event", event, Target::Event),
        ("series", series, Target::Series),
    ];
    for (key, name, make) in named {
        if let Some(name) = name {
            let wrong = (name.span(), format!("{key} = {:?} is not a ticker", name.get_ref()));
            let ticker = Ticker::new(name.get_ref());
            targets.push(ticker.map(make).filter(Target::is_sayable).ok_or(wrong)?);
        }
    }
    if let Some(all) = all {
        if !*all.get_ref() {
            return Err((
                all.span(),
                "all = false selects nothing; leave the entry out".to_owned(),
            ));
        }
        targets.push(Target::All);
    }
    let sla = match own {
        None => sla,
        Some(text) => {
            let wrong = |why: &str| (text.span(), format!("sla = {:?}: {why}", text.get_ref()));
            let own = cli::parse_duration(text.get_ref()).map_err(|why| wrong(&why))?;
            if own.is_zero() {
                return Err(wrong("it must be longer than nothing"));
            }
            own
        }
    };
    match <[Target; 1]>::try_from(targets) {
        Ok([target]) => Ok(Watch { target, sla }),
        Err(targets) if targets.is_empty() => {
            Err((span, "the entry needs one of market, event, series and all".to_owned()))
        }
        Err(_) => {
            Err((span, "the entry has more than one of market, event, series and all".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn read_text(text: &str) -> Result<Vec<Watch>, String> {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("watch.toml");
        std::fs::write(&path, text).unwrap();
        read(&path, 5 * MINUTE)
            .map_err(|failure| failure.to_string().replace(&*path.to_string_lossy(), "watch.toml"))
    }

    #[test]
    fn entries_have_one_target_and_maybe_an_sla() {
        let text = "[[watch]]\nseries = \"KXBTCD\"\nsla = \"2m\"\n\n[[watch]]\nall = true\n";
        let ticker = Ticker::new("KXBTCD").unwrap();
        let expected = [
            Watch { target: Target::Series(ticker), sla: 2 * MINUTE },
            Watch { target: Target::All, sla: 5 * MINUTE },
        ];
        assert_eq!(read_text(text).unwrap(), expected);
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_key() {
        for (text, line, part, why) in [
            ("[[watch]]\nmarket = \"A\"\n\n[[watch]]\nmaket = \"B\"\n", 5, "maket", "a typo"),
            ("[[wach]]\nmarket = \"A\"\n", 1, "wach", "a typo in the heading"),
            ("[[watch]]\nmarket = \"A\"\nsla = \"soon\"\n", 3, "sla", "no span"),
            ("[[watch]]\nmarket = \"A\"\nsla = \"0s\"\n", 3, "sla", "never to be met"),
            ("[[watch]]\nmarket = \"A\\tB\"\n", 2, "market", "a tab in it"),
            ("[[watch]]\nseries = \"A B\"\n", 2, "series", "a blank in it"),
            ("[[watch]]\nmarket = \"*\"\n", 2, "market", "the name of the tape"),
            ("[[watch]]\nall = false\n", 2, "all", "selects nothing"),
            ("[[watch]]\nall = 1\n", 2, "", "not a flag"),
            ("\n[[watch]]\nsla = \"5m\"\n", 2, "needs one of", "no target"),
            ("[[watch]]\nmarket = \"A\"\nevent = \"B\"\n", 1, "more than one", "two targets"),
            ("[[watch]]\nmarket = \"A\n", 2, "", "no TOML"),
            ("", 1, "no [[watch]]", "nothing"),
        ] {
            let error = read_text(text).unwrap_err();
            let start = format!("the watchlist watch.toml, line {line}: ");
            assert!(error.starts_with(&start) && error.contains(part), "{why}: {error}");
            assert!(!error.contains('\n'), "{why}: {error}");
        }
    }
}
