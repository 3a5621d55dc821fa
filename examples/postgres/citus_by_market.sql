-- Citus 12 or newer, tested with 13.2.2: trades and raw events over the workers, by market. Run it on the coordinator,
-- as the owner of the tables, after `kalshi-ingest migrate`, instead of citus.sql:
--
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/citus_by_market.sql "$DATABASE_URL"
--
-- Choose it if the raw events do not fit on the coordinator, or if most of your questions are about one market: one
-- machine answers them. The notes in citus.sql on the cluster hold here as well.
--
-- The price. The key of the trades becomes (source, market_ticker, trade_id): if the exchange renames a market, its
-- trades are stored a second time under the new name, and this is not noticed as a conflict. Citus also spreads whole
-- markets: one election lies in one shard (isolate_tenant_to_new_shard gives it a shard of its own).
--
-- `prune` keeps a raw event that came without a market of its own, until its market is known. `replay --into` needs a
-- table that is made before:
--
--     create table trades_new (like prediction_market_trades including all);
--     select create_distributed_table('trades_new', 'market_ticker', colocate_with => 'prediction_market_trades');
--
-- It is one transaction: if it is broken off, nothing has changed. A second time it stops with an error of Citus and
-- changes nothing.

begin;

set local lock_timeout = '1min';
set local statement_timeout = 0;
lock table prediction_market_trades, raw_kalshi_trade_events in access exclusive mode;

alter table prediction_market_trades
    drop constraint prediction_market_trades_pkey, add primary key (source, market_ticker, trade_id);
alter table raw_kalshi_trade_events
    drop constraint raw_kalshi_trade_events_pkey, add primary key (event_id, market_ticker);

-- Two for each worker that you mean to have at most, as in citus.sql. A market lies in one shard.
set local citus.shard_count = 4;

select create_distributed_table('prediction_market_trades', 'market_ticker');
select create_distributed_table(
    'raw_kalshi_trade_events', 'market_ticker', colocate_with => 'prediction_market_trades'
);

-- The rows are with the workers now; this frees their space on the coordinator.
select truncate_local_data_after_distributing_table('prediction_market_trades');
select truncate_local_data_after_distributing_table('raw_kalshi_trade_events');

commit;
