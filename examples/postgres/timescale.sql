-- TimescaleDB 2. Run it as the owner of the tables, after `kalshi-ingest migrate` (and after partition.sql, if you want
-- both):
--
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/timescale.sql "$DATABASE_URL"
--
-- A hypertable's unique keys must contain its time column. So what can be one?
--
-- * orderbook_snapshots: yes, its key has captured_at.
-- * prediction_market_trades: no. Its key (source, trade_id) has no time, and with traded_at in it a trade whose time
--   the exchange corrects would be stored twice. It stays the table that decides what is new; a hypertable
--   beside it has a copy of every trade, made in the same transaction. That costs the trades a second time
--   on disk, less once compressed.
-- * raw_kalshi_trade_events: no. The key that keeps a refused event once has no time, and passes fail without it.
--   `kalshi-ingest prune` is its retention.
--
-- Tested with 2.28.3 on PostgreSQL 15: every command of the program works. Run it once; a second time it stops at
-- `already a hypertable` and changes nothing.
--
-- Look at `select * from timescaledb_information.job_stats` after an hour. On PostgreSQL 15.20 every background job of
-- 2.28.3 fails (`cannot drop portal "" while it is being set up`), so nothing is compressed and no hour is computed;
-- on 15.18 they succeed. If they fail, call `run_job` for each job from cron, or take another minor of the server.

create extension if not exists timescaledb;

begin;

select create_hypertable(
    'orderbook_snapshots', 'captured_at',
    chunk_time_interval => interval '1 day', create_default_indexes => false, migrate_data => true
);

-- From here to the end of the transaction passes wait, so that no trade is missed.
lock table prediction_market_trades in share row exclusive mode;

-- The key doubles as the index for a market's trades by time.
create table prediction_market_trades_by_time (
    like prediction_market_trades including constraints,
    primary key (market_ticker, traded_at, source, trade_id)
);

select create_hypertable(
    'prediction_market_trades_by_time', 'traded_at',
    chunk_time_interval => interval '7 days', create_default_indexes => false
);

-- Gets the rows that were new, and no others. Who deletes a trade by hand deletes it in both tables.
create function copy_trades_by_time() returns trigger
language plpgsql
as $$
begin
    insert into prediction_market_trades_by_time (
        source, trade_id, market_ticker, side, price, quantity, traded_at, is_block_trade, run_id, ingested_at
    )
    select source, trade_id, market_ticker, side, price, quantity, traded_at, is_block_trade, run_id, ingested_at
    from new_trades
    on conflict do nothing;
    return null;
end
$$;

create trigger copy_trades_by_time
after insert on prediction_market_trades
referencing new table as new_trades
for each statement execute function copy_trades_by_time();

insert into prediction_market_trades_by_time (
    source, trade_id, market_ticker, side, price, quantity, traded_at, is_block_trade, run_id, ingested_at
)
select source, trade_id, market_ticker, side, price, quantity, traded_at, is_block_trade, run_id, ingested_at
from prediction_market_trades;

commit;

-- What follows is not in the Apache edition but under the Timescale licence ("community": free to use, but
-- not to offer as a service).

-- Most markets are thin. A segment for each of them would hold a few rows and hardly be compressed: 200,000 trades of
-- 20,000 markets took 41 MB of 54, and 12 MB in the order of the markets.
--
-- Late and old trades still find their way into compressed chunks, only slower: backfill first, if you mean to.
alter table prediction_market_trades_by_time set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'source',
    timescaledb.compress_orderby = 'market_ticker, traded_at, trade_id'
);
alter table orderbook_snapshots set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'source',
    timescaledb.compress_orderby = 'market_ticker, captured_at'
);
select add_compression_policy('prediction_market_trades_by_time', interval '14 days');
select add_compression_policy('orderbook_snapshots', interval '7 days');

-- Deletes what is older, so it is not done unasked. Of the trades it deletes the copy alone.
-- select add_retention_policy('orderbook_snapshots', interval '1 year');
-- select add_retention_policy('prediction_market_trades_by_time', interval '3 years');

-- Prices in cents for YES. Recomputed where trades came in late, however old they are; the last hour is computed when it
-- is asked for.
create materialized view prediction_market_trades_hourly
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select
    market_ticker,
    time_bucket(interval '1 hour', traded_at) as hour,
    first(case side when 'yes' then price else 100 - price end, traded_at) as open,
    max(case side when 'yes' then price else 100 - price end) as high,
    min(case side when 'yes' then price else 100 - price end) as low,
    last(case side when 'yes' then price else 100 - price end, traded_at) as close,
    sum(quantity) as contracts,
    count(*) as trades
from prediction_market_trades_by_time
group by market_ticker, time_bucket(interval '1 hour', traded_at)
with no data;
select add_continuous_aggregate_policy(
    'prediction_market_trades_hourly',
    start_offset => null, end_offset => interval '1 hour', schedule_interval => interval '5 minutes'
);
