//! The figures of `completeness` about the files of an export.

use std::collections::HashMap;
use std::time::Duration;

use super::{Member, Span};
use crate::domain::completeness::ratio;
use crate::domain::time::Timestamp;

/// A row of `completeness_scores`: the latest one of a market and a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The ticker of the market.
    pub market: Box<str>,
    /// The window; `None` for the whole life.
    pub span: Option<Span>,
    /// The stored quantity at that time, in 0.01 contract.
    pub stored_e2: i64,
    /// The quantity by the exchange.
    pub exchange_e2: i64,
    /// The score.
    pub score: f64,
    /// The time of the comparison.
    pub scored_at: Timestamp,
}

/// The comparisons that are about a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Looked {
    /// The quantity that both sides have, divided by the quantity that either side has.
    pub score: f64,
    /// The stored quantity at that time, in 0.01 contract.
    pub stored_e2: i64,
    /// The quantity by the exchange.
    pub exchange_e2: i64,
    /// The oldest of the comparisons.
    pub scored_at: Timestamp,
    /// Whether the figures are about the window of the file; else they are about longer spans.
    pub is_of_window: bool,
}

/// The scores of all markets.
#[derive(Clone, Debug, Default)]
pub struct Scores(HashMap<Box<str>, Vec<Scored>>);

impl Scores {
    /// Sorts scores by their markets.
    pub fn of(rows: Vec<Scored>) -> Scores {
        let mut scores: HashMap<Box<str>, Vec<Scored>> = HashMap::new();
        for row in rows {
            scores.entry(row.market.clone()).or_default().push(row);
        }
        Scores(scores)
    }

    /// The comparisons about a file with this window: of each market the one with the shortest span that holds the
    /// window, and the latest of these. `None` if a market with rows was never looked at.
    pub(super) fn of_file<'m>(
        &self,
        members: impl Iterator<Item = &'m Member>,
        has_rows: impl Fn(&str) -> bool,
        window: Span,
    ) -> Option<Looked> {
        let mut found: Vec<&Scored> = Vec::new();
        for member in members {
            match self.best(member, window) {
                Some(scored) => found.push(scored),
                None if has_rows(member.market.as_str()) => return None,
                None => {}
            }
        }
        let scored_at = found.iter().map(|scored| scored.scored_at).min()?;
        let mut sums = Sums::default();
        for scored in &found {
            sums.add(scored);
        }
        let score = match found[..] {
            [one] => one.score,
            _ => ratio(sums.matched, sums.exchange.saturating_add(sums.excess)),
        };
        let is_of_window = found.iter().all(|scored| scored.span == Some(window));
        let (stored_e2, exchange_e2) = (sums.stored, sums.exchange);
        Some(Looked { score, stored_e2, exchange_e2, scored_at, is_of_window })
    }

    fn best(&self, member: &Member, window: Span) -> Option<&Scored> {
        let rows = self.0.get(member.market.as_str())?;
        let from = member.open_time.map_or(window.from, |open| open.max(window.from));
        let until = member.close_time.map_or(window.until, |close| close.min(window.until));
        let holds = |span: Span| span.from <= from && until <= span.until;
        let length =
            |row: &Scored| row.span.map_or(Duration::MAX, |span| span.until.since(span.from));
        let about = rows.iter().filter(|row| row.span.is_none_or(holds));
        about.min_by(|a, b| length(a).cmp(&length(b)).then(b.scored_at.cmp(&a.scored_at)))
    }
}

/// Sums of quantities in 0.01 contract.
#[derive(Default)]
struct Sums {
    stored: i64,
    exchange: i64,
    matched: i64,
    excess: i64,
}

impl Sums {
    fn add(&mut self, scored: &Scored) {
        let matched = matched(scored);
        self.stored = self.stored.saturating_add(scored.stored_e2);
        self.exchange = self.exchange.saturating_add(scored.exchange_e2);
        self.matched = self.matched.saturating_add(matched);
        self.excess = self.excess.saturating_add(scored.stored_e2.saturating_sub(matched).max(0));
    }
}

/// The quantity that both sides have. The tables keep the score, which is this quantity divided by the quantity that
/// either side has, cut to millionths.
fn matched(scored: &Scored) -> i64 {
    let micros = Duration::try_from_secs_f64(scored.score).map_or(0, |share| share.as_micros());
    let Ok(millionths) = i128::try_from(micros) else { return 0 };
    let both = i128::from(scored.stored_e2) + i128::from(scored.exchange_e2);
    let matched = (millionths * both + 500_000) / (1_000_000 + millionths);
    let most = scored.stored_e2.min(scored.exchange_e2);
    i64::try_from(matched).unwrap_or(most).min(most)
}
