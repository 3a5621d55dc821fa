//! Every promise of `Exchanges`, held against both stores.

use kalshi_ingest::domain::account_limits::AccountRecord;
use kalshi_ingest::domain::exchange_record::{ComeBack, ExchangeRecord};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::store::ExchangeKey;

use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_record_comes_back_as_it_was_noted,
    what_was_heard_and_when_to_come_back_do_not_disturb_each_other,
    the_account_comes_back_as_it_was_noted_and_disturbs_nothing,
    each_shard_and_each_host_has_its_own,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000 + 123_456)
}

fn key(shard: &str, host: &str) -> ExchangeKey {
    ExchangeKey { shard: shard.to_owned(), host: host.to_owned() }
}

fn whole() -> ExchangeRecord {
    ExchangeRecord {
        told_date: Some(at(1)),
        told_at: Some(at(2)),
        offset_seconds: Some(-0.25),
        newest_at: Some(at(3)),
        newest_id: Some("t-1".to_owned()),
        moved_share: Some(0.75),
        moved_passes: Some(12.0),
        still_passes: 7,
        cutoff: Some(at(4)),
        cutoff_at: Some(at(5)),
        status_at: Some(at(6)),
        is_trading: Some(false),
        come_back: ComeBack::default(),
        account: AccountRecord::default(),
    }
}

fn a_record_comes_back_as_it_was_noted(database: &Database) {
    let mut store = database.open();
    let key = key("0/1", "127.0.0.1:8099");
    assert_eq!(store.exchange_record(&key).unwrap(), None);
    for record in [whole(), ExchangeRecord::default(), whole()] {
        store.save_exchange_record(&key, &record, at(9)).unwrap();
        assert_eq!(store.exchange_record(&key).unwrap(), Some(record));
    }
}

fn what_was_heard_and_when_to_come_back_do_not_disturb_each_other(database: &Database) {
    let mut store = database.open();
    let key = key("0/1", "127.0.0.1:8099");
    let come_back = ComeBack { at: Some(at(3_600)), probed_at: Some(at(10)) };
    store.save_come_back(&key, come_back, at(10)).unwrap();
    assert_eq!(store.exchange_record(&key).unwrap().unwrap().come_back, come_back);
    store.save_exchange_record(&key, &whole(), at(11)).unwrap();
    let both = ExchangeRecord { come_back, ..whole() };
    assert_eq!(store.exchange_record(&key).unwrap(), Some(both));
    store.save_come_back(&key, ComeBack::default(), at(12)).unwrap();
    assert_eq!(store.exchange_record(&key).unwrap(), Some(whole()));
}

fn the_account_comes_back_as_it_was_noted_and_disturbs_nothing(database: &Database) {
    let mut store = database.open();
    let key = key("0/1", "127.0.0.1:8099");
    let account = AccountRecord {
        key_digest: Some("a digest".to_owned()),
        asked_at: Some(at(20)),
        told_at: Some(at(10)),
        tier: Some("advanced".to_owned()),
        rate: Some(30.0),
        expires_at: Some(at(600)),
    };
    store.save_account(&key, &account, at(20)).unwrap();
    let alone = ExchangeRecord { account: account.clone(), ..ExchangeRecord::default() };
    assert_eq!(store.exchange_record(&key).unwrap(), Some(alone));
    let come_back = ComeBack { at: Some(at(3_600)), probed_at: Some(at(10)) };
    store.save_come_back(&key, come_back, at(21)).unwrap();
    store.save_exchange_record(&key, &whole(), at(22)).unwrap();
    let all = ExchangeRecord { come_back, account, ..whole() };
    assert_eq!(store.exchange_record(&key).unwrap(), Some(all));
    store.save_account(&key, &AccountRecord::default(), at(23)).unwrap();
    let rest = ExchangeRecord { come_back, ..whole() };
    assert_eq!(store.exchange_record(&key).unwrap(), Some(rest));
}

fn each_shard_and_each_host_has_its_own(database: &Database) {
    let mut store = database.open();
    store.save_exchange_record(&key("0/2", "a"), &whole(), at(9)).unwrap();
    for other in [key("1/2", "a"), key("0/2", "b"), key("0/2", "A")] {
        assert_eq!(store.exchange_record(&other).unwrap(), None, "{other:?}");
    }
}
