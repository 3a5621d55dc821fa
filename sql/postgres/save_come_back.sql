-- When the exchange may be asked again, beside what else is remembered of it.
insert into exchange_records (source, shard, host, come_back_at, probed_at, updated_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (source, shard, host) do update
set
    come_back_at = excluded.come_back_at,
    probed_at = excluded.probed_at,
    updated_at = excluded.updated_at
