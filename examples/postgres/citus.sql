-- Citus 12 or newer, instead of partition.sql. Run it on the coordinator, as the owner of the tables, after
-- `kalshi-ingest migrate`:
--
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/citus.sql "$DATABASE_URL"
--
-- NOT tested against Citus, which we cannot run here: it follows Citus' documentation and its own tests, and
-- our tests run it on stand-ins of Citus' functions. Try it on a cluster of yours that may be lost.
--
-- What goes where (a unique key must contain the column that rows are distributed by):
--
-- * prediction_market_trades: over the workers by trade_id, which its key has. They are kept for good; that is
--   what a cluster is for.
-- * raw_kalshi_trade_events: stays on the coordinator. Its event_id is an identity, with which Citus has
--   trouble (github.com/citusdata/citus/issues/6808 and 7564), and retention keeps it small.
-- * The others are small, written by compare and set, and stay on the coordinator as they are. None is joined
--   to trades in a way that would need a reference table.
--
-- The URL given to the program must be that of the coordinator: its locks are there.
--
-- A commit of the program still is one transaction: checkpoints and raw events on the coordinator, trades on all
-- the workers, put into force by two-phase commit. Killed at any instant, all of it is there or nothing, if need
-- be after the coordinator has cleared up with a worker that was away (citus.recover_2pc_interval). But there is
-- no common snapshot: for a moment somebody may see a checkpoint that has moved and not yet the trades.
--
-- `run`, `backfill`, `completeness`, `markets`, `orderbooks` and `replay` ask nothing that Citus' documentation
-- excludes. `status`, `prune` and `replay --compare` do: correlated subqueries and joins of a table on the
-- coordinator with a distributed one. Stand-ins for the first two are below.

select create_distributed_table('prediction_market_trades', 'trade_id');

-- The rows are with the workers now; this frees what they took on the coordinator.
select truncate_local_data_after_distributing_table('prediction_market_trades');

-- In place of `status`. (`run` itself exits 3 when a market is stale, as ever.)
create view kalshi_status as
select
    c.market_ticker,
    c.complete_until,
    now() - greatest(c.complete_until, c.checked_until) as staleness,
    t.last_trade_at,
    t.trades_last_hour,
    t.trades_total,
    c.failures,
    c.last_error,
    c.retired_at
from ingestion_checkpoints c
left join (
    select
        market_ticker,
        max(traded_at) as last_trade_at,
        count(*) filter (where traded_at > now() - interval '1 hour') as trades_last_hour,
        count(*) as trades_total
    from prediction_market_trades
    group by market_ticker
) t on t.market_ticker = c.market_ticker;

-- In place of `prune`; repeat it until it deletes nothing. An event that was refused has its reason in
-- `rejected` and stays; any other was stored in one transaction with its trade.
--
--     delete from raw_kalshi_trade_events
--     where event_id in (
--         select event_id from raw_kalshi_trade_events
--         where received_at < now() - interval '90 days' and rejected is null
--         order by event_id limit 10000
--     );
