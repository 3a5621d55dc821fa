//! The request rate of a command. With a key it is the rate of the account: the exchange is asked for it before the
//! first question of the command, at most once an hour. Commands that last longer keep the rate that they began with;
//! refusals slow them down.

use crate::config::ExchangePlan;
use crate::domain::account_limits::{AccountRecord, FAILED_AGAIN_AFTER, RequestRate};
use crate::domain::selection::Shard;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, one_line};
use crate::ingest::Asker;
use crate::kalshi::Signer;
use crate::pace::Pace;
use crate::store::{ExchangeKey, Store};
use crate::words;

/// The rate of a command, and the facts that it follows from.
pub(super) struct Pacing {
    /// The key of the record that the passes of a shard share.
    pub(super) key: ExchangeKey,
    rate: RequestRate,
    shards: u32,
    /// A digest of the API key's id; `None` without a key.
    key_digest: Option<String>,
    account: AccountRecord,
    /// Whether the account changed since it was loaded.
    is_changed: bool,
    is_settled: bool,
}

impl Pacing {
    /// The rate of a command that knows nothing of earlier passes.
    pub(super) fn new(exchange: &ExchangePlan, shard: Shard) -> Pacing {
        let access = &exchange.access;
        Pacing {
            key: ExchangeKey { shard: shard.to_string(), host: access.endpoint.host() },
            rate: exchange.rate,
            shards: shard.count(),
            key_digest: access.signer.as_ref().map(Signer::digest),
            account: AccountRecord::default(),
            is_changed: false,
            is_settled: false,
        }
    }

    /// Takes over the limits that earlier passes were told.
    pub(super) fn remember(&mut self, account: AccountRecord) {
        self.account = account;
    }

    /// The pace of the rate, as far as it is known now.
    pub(super) fn pace(&self, now: Timestamp) -> Pace {
        Pace::new(self.per_second(now))
    }

    /// Hands the rate to `asker`, and returns it. Asks for the limits of the account before, if the rate follows from
    /// them and it is time to.
    pub(super) fn settle(&mut self, asker: &Asker) -> f64 {
        let now = || asker.budget().clock().now();
        if let (RequestRate::OfAccount { assumed, .. }, Some(digest), false) =
            (self.rate, self.key_digest.clone(), self.is_settled)
        {
            self.is_settled = true;
            if self.account.is_due(&digest, now(), assumed) {
                self.ask(&digest, asker);
            }
            asker.set_pace(self.pace(now()));
            log::debug!("{}", self.line(now()));
        }
        self.per_second(now())
    }

    /// Settles the rate, and saves the limits for later passes.
    pub(super) fn settle_and_save(&mut self, asker: &Asker, store: &mut dyn Store) {
        self.settle(asker);
        let now = asker.budget().clock().now();
        if std::mem::take(&mut self.is_changed)
            && let Err(failure) = store.save_account(&self.key, &self.account, now)
        {
            log::debug!("{}; the next pass asks for the limits again", one_line(&failure));
        }
    }

    /// Asks for the limits. The answer is not needed, so a failure of any kind is a warning.
    fn ask(&mut self, digest: &str, asker: &Asker) {
        let answer = asker.try_aside(|client, left, clock| client.account_limits(left, clock));
        let now = asker.budget().clock().now();
        match answer {
            Ok(None) => return,
            Ok(Some(limits)) => self.account = AccountRecord::told(digest, limits, now),
            Err(failure) => {
                self.account = std::mem::take(&mut self.account).unanswered(digest, now);
                self.warn(&failure, now);
            }
        }
        self.is_changed = true;
    }

    fn warn(&self, failure: &Failure, now: Timestamp) {
        log::warn!(
            "{}; going on at {} requests a second and asking again in {}; \
             to ask no more, set --requests-per-second",
            one_line(failure),
            rounded(self.per_second(now)),
            words::duration(FAILED_AGAIN_AFTER),
        );
    }

    /// The rate of the account, if it is known.
    fn told(&self, now: Timestamp) -> Option<f64> {
        self.account.rate(self.key_digest.as_deref()?, now)
    }

    fn per_second(&self, now: Timestamp) -> f64 {
        self.rate.of_shard(self.told(now), self.shards)
    }

    fn line(&self, now: Timestamp) -> String {
        let rate = rounded(self.per_second(now));
        let Some(whole) = self.told(now).map(rounded) else {
            return format!("{rate} requests a second; the account's limits are not known");
        };
        let tier = self.account.tier.as_deref().unwrap_or("without a name");
        format!("{rate} requests a second, by the account's limits (tier {tier}, {whole} in all)")
    }
}

/// A rate with two decimals at most.
fn rounded(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}
