//! The published files that stay as they are, because the database has lost rows of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::plan::{Bare, Plan, Planned};
use super::{Span, Table};
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// A published file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The path below the folder of the export.
    pub path: String,
    /// The series of its markets, if known.
    pub series: Option<Box<str>>,
    /// Its day, if it holds one.
    pub day: Option<Timestamp>,
    /// Its market, if it holds one.
    pub market: Option<Box<str>>,
    /// The number of rows.
    pub rows: u64,
}

/// A market or a day, of all series: a market moves to its series when that becomes known.
type Part<'p> = (Option<&'p str>, Option<Timestamp>);

impl Past {
    fn part(&self) -> Part<'_> {
        (self.market.as_deref(), self.day)
    }

    /// The span of its day, if it holds one.
    fn span(&self) -> Option<Span> {
        self.day.map(|day| Span { from: day, until: day.after(DAY) })
    }
}

fn part_of(file: &Planned) -> Part<'_> {
    (file.market.as_deref(), file.day)
}

/// Takes out of a plan each published file that would vanish or have fewer rows, and notes it as kept. A file whose
/// markets moved to the folder of their series goes. Of `markets` nothing is kept: its rows are about the present.
pub fn keep(plan: &mut Plan, table: Table, past: &[Past]) {
    if table == Table::Markets {
        return;
    }
    let now: BTreeMap<&str, u64> =
        plan.files.iter().map(|file| (&*file.path, file.content.rows)).collect();
    let mut totals: BTreeMap<Part<'_>, (u64, u64)> = BTreeMap::new();
    for file in &plan.files {
        totals.entry(part_of(file)).or_default().0 += file.content.rows;
    }
    for file in past {
        totals.entry(file.part()).or_default().1 += file.rows;
    }
    let has_moved = |file: &Past| {
        file.series.is_none() && totals.get(&file.part()).is_some_and(|(now, past)| now >= past)
    };
    let is_less = |file: &&Past| now.get(&*file.path).copied().unwrap_or(0) < file.rows;
    let kept: Vec<&Past> = past.iter().filter(is_less).filter(|file| !has_moved(file)).collect();
    if kept.is_empty() {
        return;
    }
    let published: BTreeSet<&str> = past.iter().map(|file| &*file.path).collect();
    let paths: BTreeSet<&str> = kept.iter().map(|file| &*file.path).collect();
    let unnamed = kept.iter().filter(|file| file.series.is_none());
    let unnamed: BTreeSet<Part<'_>> = unnamed.map(|file| file.part()).collect();
    let stays = |file: &Planned| {
        let is_new = !published.contains(&*file.path);
        // Of a market that moved and lost rows, a new file would repeat rows of the one that is kept.
        let is_twice = is_new && unnamed.contains(&part_of(file));
        file.content.rows > 0 && !paths.contains(&*file.path) && !is_twice
    };
    let left: Vec<Planned> = plan.files.iter().filter(|file| stays(file)).cloned().collect();
    let markets: BTreeSet<&str> = kept.iter().filter_map(|file| file.market.as_deref()).collect();
    plan.bare.retain(|bare| bare.market.as_deref().is_none_or(|market| !markets.contains(market)));
    for (file, span) in kept.iter().filter_map(|file| Some((file, file.span()?))) {
        let of_series = |bare: Bare| {
            if bare.series == file.series { without(&bare, span) } else { vec![bare] }
        };
        plan.bare = plan.bare.drain(..).flat_map(of_series).collect();
    }
    plan.files = left;
    plan.kept = kept.into_iter().map(|file| file.path.clone()).collect();
}

/// A part without rows, less a day that has some.
fn without(bare: &Bare, day: Span) -> Vec<Bare> {
    let before = Span { until: bare.span.until.min(day.from), ..bare.span };
    let after = Span { from: bare.span.from.max(day.until), ..bare.span };
    [before, after]
        .into_iter()
        .filter(|span| span.from < span.until)
        .map(|span| Bare { span, ..bare.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Claim, Content};
    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_seconds(1_780_272_000 + number * 86_400)
    }

    fn past(series: Option<&str>, of: i64, rows: u64) -> Past {
        let path = format!("{}/{of}", series.unwrap_or("null"));
        Past { path, series: series.map(Box::from), day: Some(day(of)), market: None, rows }
    }

    fn planned(series: Option<&str>, of: i64, rows: u64) -> Planned {
        let Past { path, series, day, .. } = past(series, of, rows);
        let span = Span { from: day.unwrap(), until: day.unwrap().after(DAY) };
        let content = Content { rows, ..Content::default() };
        let (markets, claim) = (Vec::new(), Claim::NONE);
        Planned {
            path,
            series,
            day,
            market: None,
            span,
            window: span,
            markets,
            content,
            claim,
            looked: None,
        }
    }

    /// The paths that are kept, and those that are left in the plan.
    fn kept(files: Vec<Planned>, past: &[Past]) -> (Vec<String>, Vec<String>) {
        let mut plan = Plan { files, ..Plan::default() };
        keep(&mut plan, Table::Trades, past);
        (plan.kept, plan.files.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn a_file_stays_when_its_rows_are_gone_or_fewer() {
        let (a, b) = (Some("A"), Some("B"));
        let before = [past(a, 0, 5), past(a, 1, 5), past(a, 2, 5)];
        let (stay, plan) =
            kept(vec![planned(a, 1, 4), planned(a, 2, 6), planned(b, 0, 9)], &before);
        assert_eq!(stay, ["A/0", "A/1"], "another series is no reason");
        assert_eq!(plan, ["A/2", "B/0"]);
        let (stay, plan) = kept(vec![planned(None, 7, 0)], &before);
        assert_eq!((stay.len(), plan.len()), (3, 0), "no empty file beside them");
    }

    #[test]
    fn a_file_goes_when_its_markets_moved_to_their_series() {
        let before = [past(None, 0, 5), past(Some("A"), 0, 5)];
        let (stay, plan) = kept(vec![planned(Some("A"), 0, 10)], &before);
        assert_eq!((stay.len(), plan.len()), (0, 1), "all rows are there");
        let (stay, plan) = kept(vec![planned(None, 0, 2), planned(Some("B"), 0, 3)], &before[..1]);
        assert_eq!((stay.len(), plan.len()), (0, 2), "one of two markets moved");
        let (stay, plan) = kept(vec![planned(Some("B"), 0, 3)], &before[..1]);
        assert_eq!((stay, plan.len()), (vec!["null/0".to_owned()], 0), "no row is in two files");
        let empty = Past { rows: 0, ..past(None, 0, 0) };
        assert_eq!(kept(vec![planned(Some("A"), 0, 1)], &[empty]).0.len(), 0, "nothing is lost");
    }

    #[test]
    fn a_day_that_has_a_file_is_not_called_empty() {
        let bare = |from, until| {
            let span = Span { from: day(from), until: day(until) };
            Bare { series: Some("A".into()), market: None, span, is_complete: true }
        };
        let other = Bare { series: None, ..bare(0, 5) };
        let mut plan = Plan { bare: vec![bare(0, 5), other.clone()], ..Plan::default() };
        keep(&mut plan, Table::Trades, &[past(Some("A"), 2, 5)]);
        assert_eq!(plan.bare, [bare(0, 2), bare(3, 5), other]);
        let mut plan = Plan { files: vec![planned(Some("A"), 0, 1)], ..Plan::default() };
        keep(&mut plan, Table::Markets, &[past(Some("A"), 0, 5)]);
        assert_eq!((plan.files.len(), plan.kept.len()), (1, 0), "a list of markets is of today");
    }
}
