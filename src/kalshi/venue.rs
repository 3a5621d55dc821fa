//! Kalshi as the rest of the program knows it: its name, its figures, and the names of its combos.

use std::time::Duration;

use crate::domain::selection::Target;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::venue::Venue;

const DAY: Duration = Duration::from_secs(86_400);

/// Kalshi's figures.
///
/// * A page of trades holds 1,000 rows at most: `limit` in the published specification.
/// * The tape's rate is that of a busy evening, so that the first guess prefers to read markets alone. Kalshi's own
///   daily files give 2,144 trades a minute as the average of April 2026 and evenings of up to 4,100.
/// * The first daily file is of 2021-06-30; the figure leaves half a year of room below it.
/// * The live tier was observed to hold some sixty days: the program relies on at least thirty and at most
///   sixty-eight.
pub const VENUE: Venue = Venue {
    source: "kalshi",
    rows_per_page: 1_000,
    tape_rate: 4_000.0 / 60.0,
    first_trades: Timestamp::from_seconds(1_609_459_200),
    live_min: DAY.saturating_mul(30),
    live_max: DAY.saturating_mul(68),
};

/// The beginning of the ticker of every series, event and market of combos (multivariate markets).
const COMBO_PREFIX: &str = "KXMVE";

/// Whether a market, an event or a series belongs to the combos.
pub fn is_combo(ticker: &Ticker) -> bool {
    ticker.as_str().starts_with(COMBO_PREFIX)
}

/// Whether an entry of the selection means combos. Other entries leave them out of every list: combos outnumber all
/// other markets.
pub fn means_combos(target: &Target) -> bool {
    match target {
        Target::Market(ticker) | Target::Event(ticker) | Target::Series(ticker) => is_combo(ticker),
        Target::All => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes of two builds share a database: what one takes for archived, the other must not look for elsewhere.
    #[test]
    fn the_figures_do_not_change_by_accident() {
        let days = |count: u64| Duration::from_secs(count * 86_400);
        assert_eq!((VENUE.source, VENUE.rows_per_page), ("kalshi", 1_000));
        assert_eq!((VENUE.live_min, VENUE.live_max), (days(30), days(68)));
        assert_eq!(VENUE.first_trades.to_string(), "2021-01-01T00:00:00.000000Z");
        assert_eq!(VENUE.tape(None).pages(Duration::from_secs(59)), 4);
        assert_eq!(VENUE.tape(Some(50.0)).pages(Duration::from_secs(60)), 3);
    }

    #[test]
    fn a_combo_is_told_by_its_prefix_whatever_it_names() {
        for (name, is_combo) in [
            ("event:KXMVE-1", true),
            ("series:KXMVESPORTS", true),
            ("market:KXMVE-1-A", true),
            ("market:XKXMVE-1", false),
            ("series:KXA", false),
            ("all", false),
        ] {
            assert_eq!(means_combos(&Target::of_name(name).unwrap()), is_combo, "{name}");
        }
    }
}
