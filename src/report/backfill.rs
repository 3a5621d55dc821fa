//! Text about the past: slices of a backfill, scores, differences.

use std::fmt::Write as _;
use std::time::Duration;

use super::{quoted, shortened};
use crate::cli::Output;
use crate::domain::completeness::{Score, ratio};
use crate::domain::fixed;
use crate::domain::slice::Slice;
use crate::domain::time::Timestamp;
use crate::domain::venue::TapeRate;
use crate::store::Difference;
use crate::words::{duration, second};

/// The widest first column.
const NAME_WIDTH_MAX: usize = 50;
/// Hours shown for each market in the table, and in the JSON.
const WORST_SHOWN: usize = 3;
const WORST_LISTED: usize = 24;

/// The score of a market, and the hours that fall short.
#[derive(Clone, Debug)]
pub struct MarketScore {
    /// The score.
    pub score: Score,
    /// The ends of the hours, in order, each with the missing quantity in 0.01 contract.
    pub short: Vec<(Timestamp, i64)>,
}

impl MarketScore {
    /// The hours with the largest gaps, the worst first.
    fn worst(&self, count: usize) -> Vec<(Timestamp, i64)> {
        let mut worst = self.short.clone();
        worst.sort_by_key(|(ends_at, missing)| (std::cmp::Reverse(*missing), *ends_at));
        worst.truncate(count);
        worst
    }
}

/// The effect of a pruning on `found` raw events, of which `kept` were never normalized.
pub fn prunable(found: u64, kept: u64, before: Timestamp) -> String {
    let goes = found.saturating_sub(kept);
    format!(
        "{goes} raw events received before {} would be deleted; {kept} were never normalized and would be kept\n",
        second(before)
    )
}

/// The plan of a backfill: its slices, and its duration at `rate` requests in a second.
///
/// The number of requests is that of the tape at its usual rate; a market read alone takes at least one for each
/// slice.
pub fn slices(left: &[Slice], tape: TapeRate, rate: f64) -> String {
    if left.is_empty() {
        return "nothing is left to read\n".to_owned();
    }
    let width = left.iter().map(|slice| slice.key.scope().as_str().len()).max().unwrap_or(0);
    let width = width.clamp(6, NAME_WIDTH_MAX);
    let mut text = format!(
        "{:width$}  {:<7}  {:<20}  {:<20}  {:>8}\n",
        "MARKET", "TIER", "FROM", "UNTIL", "REQUESTS"
    );
    let mut total = 0_usize;
    for slice in left {
        let key = &slice.key;
        let is_tape = key.scope().market().is_none();
        let pages = if is_tape { tape.pages(key.until().since(key.from())) } else { 1 };
        total = total.saturating_add(pages);
        let mark = if is_tape { "" } else { "+" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:width$}  {:<7}  {:<20}  {:<20}  {:>8}",
            shortened(key.scope().as_str(), width),
            key.tier().as_str(),
            second(key.from()),
            second(key.until()),
            format!("{pages}{mark}"),
        );
    }
    let seconds = f64::from(u32::try_from(total).unwrap_or(u32::MAX)) / rate;
    let takes = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let _ = writeln!(
        text,
        "\n{} slices, at least {total} requests: {} at {rate} a second",
        left.len(),
        duration(takes)
    );
    text
}

/// A window as text.
pub fn window(from: Timestamp, until: Timestamp) -> String {
    format!("{} to {}", second(from), second(until))
}

/// Scores as a table, JSON or CSV.
pub fn scores(scores: &[MarketScore], output: Output) -> String {
    match output {
        Output::Table => table(scores),
        Output::Json => json(scores),
        Output::Csv => csv(scores),
    }
}

fn contracts(e2: i64) -> String {
    fixed::format(e2.max(0), 2)
}

/// A score with six decimals, truncated and not rounded: only a complete market shows 1.
fn figure(score: &Score) -> String {
    format!("{:.6}", score.value())
}

/// The sums over all markets, those never read included.
struct Universe {
    matched_e2: i64,
    exchange_e2: i64,
    excess_e2: i64,
    complete: usize,
    never_read: usize,
}

impl Universe {
    fn of(scores: &[MarketScore]) -> Universe {
        let mut universe =
            Universe { matched_e2: 0, exchange_e2: 0, excess_e2: 0, complete: 0, never_read: 0 };
        for MarketScore { score, .. } in scores {
            universe.matched_e2 = universe.matched_e2.saturating_add(score.matched_e2());
            universe.exchange_e2 = universe.exchange_e2.saturating_add(score.exchange_e2);
            universe.excess_e2 = universe.excess_e2.saturating_add(score.excess_e2());
            universe.complete += usize::from(score.missing_e2 == 0 && score.excess_e2() == 0);
            universe.never_read += usize::from(score.stored_e2 == 0 && score.exchange_e2 > 0);
        }
        universe
    }

    fn score(&self) -> f64 {
        ratio(self.matched_e2, self.exchange_e2.saturating_add(self.excess_e2))
    }
}

fn table(scores: &[MarketScore]) -> String {
    if scores.is_empty() {
        return "no market has figures to be scored by\n".to_owned();
    }
    let longest = scores.iter().map(|s| s.score.market.as_str().len()).max().unwrap_or(0);
    let width = longest.clamp(6, NAME_WIDTH_MAX);
    let mut text = format!(
        "{:width$}  {:<8}  {:>14}  {:>14}  {:>12}  {:>8}\n",
        "MARKET", "BASIS", "STORED", "EXCHANGE", "MISSING", "SCORE"
    );
    let mut hours = String::new();
    for market in scores {
        let score = &market.score;
        let name = score.market.as_str();
        let _ = writeln!(
            text,
            "{:width$}  {:<8}  {:>14}  {:>14}  {:>12}  {:>8}",
            shortened(name, width),
            score.basis.as_str(),
            contracts(score.stored_e2),
            contracts(score.exchange_e2),
            contracts(score.missing_e2),
            figure(score),
        );
        for (ends_at, missing) in market.worst(WORST_SHOWN) {
            let _ = writeln!(
                hours,
                "{name} lacks {} in the hour that ends {}",
                contracts(missing),
                second(ends_at)
            );
        }
    }
    let universe = Universe::of(scores);
    let _ = writeln!(
        text,
        "\n{} markets, {} complete, {} never read: {} of {} contracts, score {:.6}",
        scores.len(),
        universe.complete,
        universe.never_read,
        contracts(universe.matched_e2),
        contracts(universe.exchange_e2),
        universe.score(),
    );
    text + &hours
}

fn json(scores: &[MarketScore]) -> String {
    let text = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
    let markets: Vec<serde_json::Value> = scores
        .iter()
        .map(|market| {
            let score = &market.score;
            let hour = |(ends_at, missing): (Timestamp, i64)| {
                serde_json::json!({"ends_at": ends_at.to_string(), "missing": contracts(missing)})
            };
            let worst: Vec<_> = market.worst(WORST_LISTED).into_iter().map(hour).collect();
            serde_json::json!({
                "market": score.market.as_str(),
                "basis": score.basis.as_str(),
                "window_from": text(score.from),
                "window_until": text(score.until),
                "stored_quantity": contracts(score.stored_e2),
                "exchange_quantity": contracts(score.exchange_e2),
                "missing_quantity": contracts(score.missing_e2),
                "excess_quantity": contracts(score.excess_e2()),
                "score": score.value(),
                "hours_short": market.short.len(),
                "worst_hours": worst,
            })
        })
        .collect();
    let universe = Universe::of(scores);
    let whole = serde_json::json!({
        "schema_version": 1,
        "markets": markets,
        "universe": {
            "markets": scores.len(),
            "complete": universe.complete,
            "never_read": universe.never_read,
            "stored_quantity": contracts(universe.matched_e2),
            "exchange_quantity": contracts(universe.exchange_e2),
            "score": universe.score(),
        },
    });
    format!("{whole:#}\n")
}

fn csv(scores: &[MarketScore]) -> String {
    let instant = |at: Option<Timestamp>| at.map_or(String::new(), |at| at.to_string());
    let mut text = String::from(
        "market,basis,window_from,window_until,stored_quantity,exchange_quantity,missing_quantity,score,hours_short,excess_quantity\n",
    );
    for market in scores {
        let score = &market.score;
        let fields = [
            score.market.to_string(),
            score.basis.as_str().to_owned(),
            instant(score.from),
            instant(score.until),
            contracts(score.stored_e2),
            contracts(score.exchange_e2),
            contracts(score.missing_e2),
            figure(score),
            market.short.len().to_string(),
            contracts(score.excess_e2()),
        ];
        text.push_str(&fields.map(|field| quoted(&field)).join(","));
        text.push('\n');
    }
    text
}

/// The differences of a second table of trades.
pub fn difference(other: &str, difference: &Difference) -> String {
    let Difference { only_here, only_there, changed, examples } = difference;
    let mut text = format!(
        "only in prediction_market_trades: {only_here}\nonly in {other}: {only_there}\ndifferent: {changed}\n"
    );
    for (id, what) in examples {
        let _ = writeln!(text, "{id}: {what}");
    }
    text
}
