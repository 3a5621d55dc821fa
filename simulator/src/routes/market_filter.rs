//! The markets that a request asks for.

use super::paging;
use crate::catalogue::{Listed, Place};
use crate::http::Request;
use crate::market::{Market, Status};
use crate::rules::Rules;
use crate::tier::Tier;
use crate::timestamp::SECOND_US;
use crate::world::World;

/// A word of the status filter; answers have other words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StatusFilter {
    Unopened,
    Open,
    Paused,
    Closed,
    Settled,
}

const BAD_STATUS: &str = "invalid status filter";
const SEVERAL_STATUSES: &str = "only one status filter may be supplied";
const SEVERAL_TIMES: &str = "timestamp filters are mutually exclusive";
const TIME_AND_STATUS: &str = "timestamp filter is not compatible with status filter";
const UPDATED_AND_MORE: &str =
    "updated timestamp filters require mve_filter=exclude and allow only series_ticker besides";
const SEVERAL_SCOPES: &str = "tickers, event_ticker and series_ticker are mutually exclusive";

/// The filter of a list of markets.
#[derive(Default)]
pub(super) struct Filter<'a> {
    tickers: Option<Vec<&'a str>>,
    event_ticker: Option<&'a str>,
    series_ticker: Option<&'a str>,
    status: Option<StatusFilter>,
    window: Option<Window>,
    is_combo: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Created,
    Close,
    Settled,
    Updated,
}

struct Window {
    family: Family,
    from_us: i64,
    /// The end of the window, exclusive.
    until_us: i64,
    has_min: bool,
}

impl StatusFilter {
    pub(super) fn asked(request: &Request) -> Result<Option<StatusFilter>, &'static str> {
        match request.filled_param("status") {
            None => Ok(None),
            Some("unopened") => Ok(Some(StatusFilter::Unopened)),
            Some("open") => Ok(Some(StatusFilter::Open)),
            Some("paused") => Ok(Some(StatusFilter::Paused)),
            Some("closed") => Ok(Some(StatusFilter::Closed)),
            Some("settled") => Ok(Some(StatusFilter::Settled)),
            Some(words) if words.contains(',') => Err(SEVERAL_STATUSES),
            Some(_) => Err(BAD_STATUS),
        }
    }

    /// Whether the filter takes a market. A market that is paused during its trading hours also counts as open.
    pub(super) fn takes(self, market: &Market, now_us: i64) -> bool {
        let is_within_hours = (market.open_us..market.close_us).contains(&now_us);
        match market.status_at(now_us) {
            Status::Initialized => self == StatusFilter::Unopened,
            Status::Active => self == StatusFilter::Open,
            Status::Inactive if is_within_hours => {
                matches!(self, StatusFilter::Paused | StatusFilter::Open)
            }
            Status::Inactive => self == StatusFilter::Paused,
            Status::Closed | Status::Determined | Status::Disputed | Status::Amended => {
                self == StatusFilter::Closed
            }
            Status::Finalized => self == StatusFilter::Settled,
        }
    }
}

impl<'a> Filter<'a> {
    /// The filter of `/markets`; the error is the `details` of a 400.
    pub(super) fn live(rules: &Rules, request: &'a Request) -> Result<Filter<'a>, &'static str> {
        let filter = Filter {
            status: StatusFilter::asked(request)?,
            window: window(rules, request)?,
            is_combo: match request.param("mve_filter") {
                Some("only") => Some(true),
                Some("exclude") => Some(false),
                _ => None,
            },
            ..Filter::scope(request)
        };
        filter.check_window()?;
        Ok(filter)
    }

    /// The filter of `/historical/markets`; the error is the `details` of a 400.
    pub(super) fn historical(request: &'a Request) -> Result<Filter<'a>, &'static str> {
        let is_combo = (request.param("mve_filter") == Some("exclude")).then_some(false);
        let filter = Filter { is_combo, ..Filter::scope(request) };
        let scopes = [
            filter.tickers.is_some(),
            filter.event_ticker.is_some(),
            filter.series_ticker.is_some(),
        ];
        match scopes.iter().filter(|is_given| **is_given).count() {
            0 | 1 => Ok(filter),
            _ => Err(SEVERAL_SCOPES),
        }
    }

    fn scope(request: &'a Request) -> Filter<'a> {
        Filter {
            tickers: paging::list(request, "tickers"),
            event_ticker: request.filled_param("event_ticker"),
            series_ticker: request.filled_param("series_ticker"),
            ..Filter::default()
        }
    }

    /// Checks the time filter: it goes with some statuses only, and the time of updates with almost no other filter.
    fn check_window(&self) -> Result<(), &'static str> {
        let Some(window) = &self.window else { return Ok(()) };
        let status = self.status;
        let is_allowed = match window.family {
            Family::Created => {
                matches!(status, None | Some(StatusFilter::Unopened | StatusFilter::Open))
            }
            Family::Close => {
                matches!(status, None | Some(StatusFilter::Closed))
                    || (status == Some(StatusFilter::Open) && !window.has_min)
            }
            Family::Settled => matches!(status, None | Some(StatusFilter::Settled)),
            Family::Updated => {
                let has_more =
                    status.is_some() || self.tickers.is_some() || self.event_ticker.is_some();
                if has_more || self.is_combo != Some(false) {
                    return Err(UPDATED_AND_MORE);
                }
                true
            }
        };
        if is_allowed { Ok(()) } else { Err(TIME_AND_STATUS) }
    }

    /// The selected markets of a tier below a position, newest first.
    pub(super) fn select(
        &self,
        world: &'a World,
        tier: Tier,
        below: Option<&Place>,
    ) -> impl Iterator<Item = &'a Listed> {
        let now_us = world.now_us();
        self.candidates(world, below)
            .filter(move |listed| (tier == Tier::Historical) == world.is_archived(&listed.market))
            .filter(move |listed| world.shows(listed.is_implicit))
            .filter(move |listed| !world.unlisted.contains(&listed.market.ticker))
            .filter(move |listed| self.takes(listed, now_us))
    }

    fn candidates(
        &self,
        world: &'a World,
        below: Option<&Place>,
    ) -> Box<dyn Iterator<Item = &'a Listed> + 'a> {
        let series_of = |event_ticker: &str| {
            world.catalogue.group(event_ticker).map(|group| group.series_ticker.as_str())
        };
        if let Some(tickers) = &self.tickers {
            let named = tickers.iter().filter_map(|ticker| world.catalogue.market(ticker));
            let mut named: Vec<&Listed> = named
                .map(|listed| &**listed)
                .filter(|listed| below.is_none_or(|below| listed.place < *below))
                .filter(|listed| {
                    self.event_ticker.is_none_or(|event| event == listed.market.event_ticker)
                        && self.series_ticker.is_none_or(|series| {
                            series_of(&listed.market.event_ticker) == Some(series)
                        })
                })
                .collect();
            named.sort_unstable_by(|a, b| b.place.cmp(&a.place));
            named.dedup_by(|a, b| a.place == b.place);
            return Box::new(named.into_iter());
        }
        if let (Some(event), Some(series)) = (self.event_ticker, self.series_ticker)
            && series_of(event) != Some(series)
        {
            return Box::new(std::iter::empty());
        }
        let Some(markets) = world.catalogue.markets(self.series_ticker, self.event_ticker) else {
            return Box::new(std::iter::empty());
        };
        let rows = match below {
            Some(below) => markets.range(..below),
            None => markets.range::<Place, _>(..),
        };
        Box::new(rows.rev().map(|(_, listed)| &**listed))
    }

    fn takes(&self, listed: &Listed, now_us: i64) -> bool {
        let market = &listed.market;
        let is_in_window = self.window.as_ref().is_none_or(|window| {
            let us = match window.family {
                Family::Created => Some(market.created_us),
                Family::Close => Some(market.close_us),
                Family::Settled => market.settled_us,
                Family::Updated => Some(market.updated_us),
            };
            us.is_some_and(|us| (window.from_us..window.until_us).contains(&us))
        });
        is_in_window
            && self.is_combo.is_none_or(|is_combo| is_combo == market.is_combo)
            && self.status.is_none_or(|status| status.takes(market, now_us))
    }
}

/// The time filter; at most one is allowed.
fn window(rules: &Rules, request: &Request) -> Result<Option<Window>, &'static str> {
    let families = [
        (Family::Created, "min_created_ts", "max_created_ts"),
        (Family::Close, "min_close_ts", "max_close_ts"),
        (Family::Settled, "min_settled_ts", "max_settled_ts"),
        (Family::Updated, "min_updated_ts", "max_updated_ts"),
    ];
    let mut found = None;
    for (family, min_name, max_name) in families {
        let min_s = paging::seconds(request, min_name)?;
        let max_s = paging::seconds(request, max_name)?;
        if min_s.is_none() && max_s.is_none() {
            continue;
        }
        if found.is_some() {
            return Err(SEVERAL_TIMES);
        }
        let (from_us, until_us) = if family == Family::Updated {
            // Strictly later than the lower bound, and at or before the upper bound.
            (min_s.map(after_us), max_s.map(after_us))
        } else {
            (min_s.map(start_us), max_s.map(|max_s| start_us(paging::until_s(rules, max_s))))
        };
        let (from_us, until_us) = (from_us.unwrap_or(i64::MIN), until_us.unwrap_or(i64::MAX));
        found = Some(Window { family, from_us, until_us, has_min: min_s.is_some() });
    }
    Ok(found)
}

fn start_us(second: i64) -> i64 {
    second.saturating_mul(SECOND_US)
}

fn after_us(second: i64) -> i64 {
    start_us(second).saturating_add(1)
}
