-- What was heard. When to come back is kept by `save_come_back` alone, since two commands of one shard
-- may be at work at once.
insert into exchange_records (
    source, shard, host, told_date, told_at, offset_seconds, newest_at, newest_id, moved_share,
    still_passes, cutoff, cutoff_at, status_at, is_trading, updated_at
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
)
on conflict (source, shard, host) do update
set
    told_date = excluded.told_date,
    told_at = excluded.told_at,
    offset_seconds = excluded.offset_seconds,
    newest_at = excluded.newest_at,
    newest_id = excluded.newest_id,
    moved_share = excluded.moved_share,
    still_passes = excluded.still_passes,
    cutoff = excluded.cutoff,
    cutoff_at = excluded.cutoff_at,
    status_at = excluded.status_at,
    is_trading = excluded.is_trading,
    updated_at = excluded.updated_at
