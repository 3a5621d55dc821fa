//! Empty lists: before one is believed, other questions ask for the markets behind it.

use super::super::absence::{self, Behind, Events};
use super::super::broken::Broken;
use super::{Read, Syncer, Target, WatchChange, WatchRecord};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};
use crate::kalshi::{MarketList, MarketsPage, means_combos};
use crate::retry::Policy;

/// The number of events without live markets that the archive is asked about. If the archive dropped its list by
/// mistake, each of them shows it.
const BARE_MAX: usize = 3;

impl Syncer<'_> {
    /// Whether other questions agree with these empty lists. `rows` is the number of rows on the other lists.
    /// Contradicting rows are stored, and the entry is synced again.
    pub(super) fn agree(
        &mut self,
        target: &Target,
        record: &WatchRecord,
        mark: Option<Timestamp>,
        empty: &[MarketList],
        rows: usize,
    ) -> Result<bool, Failure> {
        match (target, mark) {
            // The list of everything is never empty in truth; and a run reads the changes again from the same mark.
            (Target::All | Target::Market(_), _) => Ok(true),
            (_, Some(_)) if !self.is_by_hand => Ok(true),
            (Target::Series(series), Some(mark)) if !means_combos(target) => {
                self.agree_on_changes(target, series, mark)
            }
            _ => self.agree_on_lists(target, record, empty, rows),
        }
    }

    /// Checks a list without changes: if nothing changed, nothing is listed that is not on record.
    fn agree_on_changes(
        &mut self,
        target: &Target,
        series: &Ticker,
        mark: Timestamp,
    ) -> Result<bool, Failure> {
        let from = Some(mark.before(super::EMPTY_AGAIN).second());
        let list =
            MarketList { series: Some(series.clone()), closing_from: from, ..MarketList::ALL };
        let seen_before = self.seen.clone();
        if !self.list_unknown(&list)? {
            return Ok(false);
        }
        let is_agreed = self.seen == seen_before;
        if !is_agreed {
            self.doubt(target);
        }
        Ok(is_agreed)
    }

    /// Reads a list and stores only the markets that are not on record. Returns whether it was read to its end.
    fn list_unknown(&mut self, list: &MarketList) -> Result<bool, Failure> {
        let attempts_max = Policy::default().attempts_max;
        let (asker, mut jitter) = (self.asker, self.jitter.clone());
        let listing =
            super::list::each_page(asker, &mut jitter, attempts_max, list, &mut |mut page| {
                let known = self.store.known_markets(&page.tickers).map_err(Broken::Store)?;
                page.markets.retain(|row| known.iter().all(|k| k.ticker != row.market.ticker));
                if page.markets.is_empty() {
                    return Ok(());
                }
                self.save(page.markets, &[]).map_err(Broken::Store)
            });
        self.jitter = jitter;
        match listing {
            Ok(super::Listing::Whole) => Ok(true),
            Ok(super::Listing::OutOfTime) => {
                self.synced.is_whole = false;
                Ok(false)
            }
            Err(broken) => {
                self.synced.troubles.push(broken.of_exchange()?);
                self.synced.is_whole = false;
                Ok(false)
            }
        }
    }

    /// Checks an entry of which all lists were read and some were empty: asks for its events, and asks the archive
    /// again.
    fn agree_on_lists(
        &mut self,
        target: &Target,
        record: &WatchRecord,
        empty: &[MarketList],
        rows: usize,
    ) -> Result<bool, Failure> {
        let mut is_agreed = true;
        let mut bare = Vec::new();
        if empty.iter().any(|list| !list.is_archived) {
            let Some(events) = self.look_behind(target, record, rows > 0)? else {
                return Ok(false);
            };
            bare = events.bare;
            is_agreed &= self.take_strays(events.pages)?;
        }
        for list in empty.iter().filter(|list| list.is_archived) {
            // The same question with another page size, and by some of the events that must be there.
            let again = MarketList { page_rows: list.page_rows - 1, ..list.clone() };
            let by_event = bare.iter().take(BARE_MAX).map(|event| MarketList {
                event: Some(event.clone()),
                series: None,
                ..again.clone()
            });
            for list in std::iter::once(again.clone()).chain(by_event) {
                let mut read = Read::default();
                if !self.list(&list, &mut read)? {
                    self.synced.is_whole = false;
                    return Ok(false);
                }
                is_agreed &= read.rows == 0;
            }
        }
        if !is_agreed {
            self.doubt(target);
        } else if rows == 0 {
            let now = self.asker.budget().clock().now();
            let (watch, now) = (record.watch.clone(), Some(now));
            let change =
                WatchChange { watch, known_at: now, empty_at: now, ..WatchChange::default() };
            self.store.save_watches(&[change])?;
        }
        Ok(is_agreed)
    }

    /// The markets that the events show, and the events that show none; `None` when neither could be found out.
    fn look_behind(
        &mut self,
        target: &Target,
        record: &WatchRecord,
        is_known: bool,
    ) -> Result<Option<Events>, Failure> {
        let attempts_max = Policy::default().attempts_max;
        let (asker, jitter) = (self.asker, &mut self.jitter);
        match absence::behind(asker, jitter, attempts_max, target, is_known, true) {
            Ok(Behind::Known(events)) => return Ok(Some(events)),
            Ok(Behind::Unknown) => {
                self.judge_unknown(target, record)?;
            }
            Ok(Behind::OutOfTime) => self.synced.is_whole = false,
            Err(failure) => {
                self.synced.is_whole = false;
                self.synced.troubles.push(failure);
            }
        }
        Ok(None)
    }

    /// Stores the markets that the events show. Returns whether there are none.
    fn take_strays(&mut self, pages: Vec<MarketsPage>) -> Result<bool, Failure> {
        let mut is_nothing = true;
        for page in pages {
            is_nothing &= page.tickers.is_empty();
            self.save(page.markets, &[])?;
        }
        Ok(is_nothing)
    }

    fn judge_unknown(&mut self, target: &Target, record: &WatchRecord) -> Result<(), Failure> {
        if record.known_at.is_none() && !self.store.is_on_record(target)? {
            self.refuse(target);
            return Ok(());
        }
        let message = format!("{}: the exchange does not know it any more", target.name());
        self.synced.is_whole = false;
        self.synced.troubles.push(Failure::new(Kind::ExchangeUnavailable, message));
        Ok(())
    }

    fn doubt(&mut self, target: &Target) {
        let message = format!(
            "{}: a list of its markets was empty, but there are some; what was shown is stored, run it again for the rest",
            target.name()
        );
        self.synced.is_whole = false;
        self.synced.troubles.push(Failure::new(Kind::ExchangeUnavailable, message));
    }
}
