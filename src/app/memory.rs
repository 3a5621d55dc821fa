//! The memory of the exchange that the passes of a shard share: the clocks, the newest trade of the tape, the archive
//! cutoff. It is loaded before the first question and saved after the pass has judged.

use std::time::Duration;

use crate::domain::checkpoint::Checkpoint;
use crate::domain::evidence::{Anchor, ExchangeClock};
use crate::domain::exchange_record::ExchangeRecord;
use crate::domain::page::Rules;
use crate::domain::pulse::{Pulse, Share};
use crate::domain::time::Timestamp;
use crate::domain::walk::Walk;
use crate::failure::Failure;
use crate::ingest::Asker;
use crate::kalshi::VENUE;
use crate::store::{ExchangeKey, Store};
use crate::words;

/// The age after which facts that seldom change are asked for again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(3_600);
/// The clock difference above which the log reports it.
const OFFSET_TOLD: Duration = Duration::from_secs(5);
/// A market whose claim is younger than this needs no judgement of its silence.
const KNOWN_LATELY: Duration = Duration::from_secs(30);
/// Lower bounds are lowered by less than this number of seconds; the number differs from pass to pass.
const NUDGES: i64 = 7;

/// The memory of a pass.
pub(super) struct Memory {
    key: ExchangeKey,
    record: ExchangeRecord,
    pulse: Pulse,
    /// The time since the previous pass.
    interval: Duration,
}

impl Memory {
    /// Loads the record of earlier passes. From now on `asker` uses the remembered clock.
    pub(super) fn load(
        key: ExchangeKey,
        store: &mut dyn Store,
        asker: &Asker,
        ours: Timestamp,
    ) -> Result<Memory, Failure> {
        let record = store.exchange_record(&key)?.unwrap_or_default();
        let base = record.base(ours);
        if asker.exchange_clock().last().is_none() {
            asker.remember(ExchangeClock::remembered(base, record.offset_us()));
        }
        let newest = record
            .newest_at
            .map(|at| Anchor { at, id: record.newest_id.as_deref().map(Box::from) });
        let share = record.moved_share.zip(record.moved_passes);
        let pulse = Pulse {
            newest,
            share: share.map(|(moved, passes)| Share { moved, passes }),
            still: record.still_passes,
        };
        let interval = base.map_or(Duration::ZERO, |base| ours.since(base.ours));
        Ok(Memory { key, record, pulse, interval })
    }

    /// The same memory for a command that does not run at regular intervals.
    #[must_use]
    pub(super) fn by_the_minute(self) -> Memory {
        Memory { interval: Duration::ZERO, ..self }
    }

    /// The newest trade of the tape that earlier passes were shown.
    pub(super) fn newest(&self) -> Option<&Anchor> {
        self.pulse.newest.as_ref()
    }

    /// The rules of a pass over these markets, with the remembered facts. The archive cutoff is asked for if a market
    /// needs it.
    pub(super) fn rules(
        &mut self,
        rules: Rules,
        active: &[Checkpoint],
        asker: &Asker,
        ours: Timestamp,
    ) -> Rules {
        let base = self.record.base(ours);
        let nudge = (ours.second() / 60).rem_euclid(NUDGES);
        let rules = Rules { base, nudge, ..rules };
        let now = asker.exchange_now();
        let is_old = |row: &Checkpoint| {
            let lowest = Walk::new(row, rules).lower_edge();
            let is_below = lowest.is_none_or(|edge| now.since(edge) > VENUE.live_min);
            is_below && !(row.scope.is_tape() && row.complete_until.is_none())
        };
        if !active.iter().any(is_old) {
            return rules;
        }
        Rules { cutoff: self.cutoff(asker, ours), ..rules }
    }

    /// The archive cutoff, from memory or from the exchange.
    fn cutoff(&mut self, asker: &Asker, ours: Timestamp) -> Option<Timestamp> {
        let is_recent = |at: Timestamp| at <= ours && ours.since(at) < ASKED_AGAIN_AFTER;
        if self.record.cutoff_at.is_none_or(|at| !is_recent(at)) && !asker.is_forbidden() {
            let mut jitter = asker.jitter();
            let answer =
                asker.ask_at_most(1, &mut jitter, |client, left, clock| client.cutoff(left, clock));
            match answer {
                // The live endpoint holds weeks at least, so a later cutoff is wrong.
                Ok(Some((cutoff, as_of))) if as_of.since(cutoff) >= VENUE.live_min => {
                    (self.record.cutoff, self.record.cutoff_at) = (Some(cutoff), Some(ours));
                }
                Ok(Some((cutoff, _))) => {
                    log::warn!("the exchange says that its archive ends at {cutoff}: not believed");
                }
                Ok(None) => {}
                Err(failure) => log::debug!("{failure}; going on without the cutoff"),
            }
        }
        self.record.cutoff
    }

    /// The newest trade of the tape, as this pass read it or asks for it now. `needs` says whether any market is
    /// silent.
    pub(super) fn head(read: Option<Anchor>, needs: bool, asker: &Asker) -> Head {
        if let Some(newest) = read {
            return Head::Shown(newest);
        }
        let ask = || asker.ask_aside(|client, left, clock| client.head(left, clock));
        match needs.then(ask).flatten() {
            Some(page) => page.newest().map_or(Head::Nothing, Head::Shown),
            None => Head::Unknown,
        }
    }

    /// Whether the silence of a market is plausible, given the newest trade of the tape. `needs` says whether any
    /// market is silent; `shown` is the newest trade of any market.
    pub(super) fn judge_silence(
        &mut self,
        head: Head,
        shown: Option<Anchor>,
        needs: bool,
        asker: &Asker,
        ours: Timestamp,
    ) -> bool {
        let now = asker.exchange_now();
        let is_live = |trade: &Anchor| now.since(trade.at) < VENUE.live_min;
        let is_traded =
            self.pulse.newest.as_ref().is_some_and(is_live) || shown.as_ref().is_some_and(is_live);
        if head == Head::Nothing && is_traded {
            // An exchange that traded lately shows its trades. If an answer shows none, none of its silences is
            // believed.
            self.pulse = self.pulse.after(None);
            return false;
        }
        // When a market has a new trade, the tape has one too: the pulse learns it without an answer.
        let is_news = |at: &Anchor| self.pulse.newest.as_ref().is_none_or(|of| of.at < at.at);
        let head = head.shown().or_else(|| shown.filter(is_news));
        // Without a newest trade, the pulse stays as earlier passes learnt it.
        if head.is_some() {
            self.pulse = self.pulse.after(head);
        }
        if !needs || self.pulse.is_quiet_plausible(now, self.interval) {
            return true;
        }
        let is_trading = asker.ask_aside(|client, left, clock| client.is_trading(left, clock));
        if is_trading.is_some() {
            (self.record.is_trading, self.record.status_at) = (is_trading, Some(ours));
        }
        is_trading == Some(false)
    }

    /// Reports a wrong clock, as far as the answers of this pass show one.
    pub(super) fn tell_clock(asker: &Asker) {
        let known = asker.exchange_clock();
        let Some(last) = known.last() else { return };
        if !known.is_confirmed()
            && let Some(base) = known.base()
        {
            log::warn!(
                "the exchange's clock moved {} since the pass before, and this machine's {}: \
                 its answers are old, or a clock was set; check this machine's time service",
                words::duration(last.date.since(base.date)),
                words::duration(last.ours.since(base.ours)),
            );
            return;
        }
        let offset = Duration::from_micros(last.offset_us().unsigned_abs());
        if offset > OFFSET_TOLD {
            let word = if last.offset_us() < 0 { "ahead of" } else { "behind" };
            // An error rather than a warning: a person has to correct the clock, also where the log shows only errors.
            log::error!(
                "this machine's clock is {} {word} the exchange's: check its time service",
                words::duration(offset)
            );
        }
    }

    /// Notes and saves the facts that this pass was told.
    pub(super) fn save(
        &mut self,
        store: &mut dyn Store,
        asker: &Asker,
        ours: Timestamp,
    ) -> Result<(), Failure> {
        let known = asker.exchange_clock();
        let Some(last) = known.last() else { return Ok(()) };
        (self.record.told_date, self.record.told_at) = (Some(last.date), Some(last.ours));
        self.record.set_offset_us(known.offset_us());
        self.record.newest_at = self.pulse.newest.as_ref().map(|newest| newest.at);
        self.record.newest_id =
            self.pulse.newest.as_ref().and_then(|newest| newest.id.as_deref().map(str::to_owned));
        self.record.moved_share = self.pulse.share.map(|share| share.moved);
        self.record.moved_passes = self.pulse.share.map(|share| share.passes);
        self.record.still_passes = self.pulse.still;
        store.save_exchange_record(&self.key, &self.record, ours)
    }
}

/// The newest trade of the whole exchange, as a pass was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The newest trade.
    Shown(Anchor),
    /// The answer shows no trade at all.
    Nothing,
    /// There was no question, or no answer.
    Unknown,
}

impl Head {
    pub(super) fn shown(self) -> Option<Anchor> {
        match self {
            Head::Shown(newest) => Some(newest),
            Head::Nothing | Head::Unknown => None,
        }
    }
}

/// Whether a market is silent: the instant up to which it was heard lies well after the end of its claim.
pub(super) fn is_silent(row: &Checkpoint, heard: Timestamp) -> bool {
    row.complete_until.is_none_or(|until| heard.since(until) > KNOWN_LATELY)
}
