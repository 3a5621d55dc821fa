-- name: load_exchange_record
select
    told_date, told_at, offset_seconds, newest_at, newest_id, moved_share, moved_passes, still_passes, cutoff,
    cutoff_at, status_at, is_trading, come_back_at, probed_at, limits_key, limits_asked_at, limits_told_at, usage_tier,
    read_rate, limits_expire_at
from exchange_records
where source = ?1 and shard = ?2 and host = ?3

-- name: save_exchange_record
-- What was heard. When to come back is kept by `save_come_back` alone, since two commands of one shard
-- may be at work at once.
insert into exchange_records (
    source, shard, host, told_date, told_at, offset_seconds, newest_at, newest_id, moved_share,
    still_passes, cutoff, cutoff_at, status_at, is_trading, updated_at, moved_passes
)
values (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16
)
on conflict (source, shard, host) do update
set
    told_date = excluded.told_date,
    told_at = excluded.told_at,
    offset_seconds = excluded.offset_seconds,
    newest_at = excluded.newest_at,
    newest_id = excluded.newest_id,
    moved_share = excluded.moved_share,
    moved_passes = excluded.moved_passes,
    still_passes = excluded.still_passes,
    cutoff = excluded.cutoff,
    cutoff_at = excluded.cutoff_at,
    status_at = excluded.status_at,
    is_trading = excluded.is_trading,
    updated_at = excluded.updated_at

-- name: save_come_back
-- When the exchange may be asked again, beside what else is remembered of it.
insert into exchange_records (source, shard, host, come_back_at, probed_at, updated_at)
values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (source, shard, host) do update
set
    come_back_at = excluded.come_back_at,
    probed_at = excluded.probed_at,
    updated_at = excluded.updated_at

-- name: save_account
-- The limits of the account that asks, beside what else is remembered of the exchange.
insert into exchange_records (
    source, shard, host, limits_key, limits_asked_at, limits_told_at, usage_tier, read_rate, limits_expire_at,
    updated_at
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict (source, shard, host) do update
set
    limits_key = excluded.limits_key,
    limits_asked_at = excluded.limits_asked_at,
    limits_told_at = excluded.limits_told_at,
    usage_tier = excluded.usage_tier,
    read_rate = excluded.read_rate,
    limits_expire_at = excluded.limits_expire_at,
    updated_at = excluded.updated_at
