-- Citus 12 or newer, tested with 13.2.2: the trades over the workers, by trade_id. Run it on the coordinator, as the
-- owner of the tables, after `kalshi-ingest migrate`, instead of partition.sql:
--
--     psql -v ON_ERROR_STOP=1 -f examples/postgres/citus.sql "$DATABASE_URL"
--
-- What goes where (a unique key must contain the column that rows are distributed by):
--
-- * prediction_market_trades: over the workers by trade_id, which its key has. They are kept for good; a cluster
--   is for them.
-- * raw_kalshi_trade_events: stays on the coordinator, and `kalshi-ingest prune` keeps it small. citus_by_market.sql
--   distributes it as well.
-- * trade_counts, the checkpoints and the other tables are small and are written row by row. They stay on the
--   coordinator as they are. Reference tables would put a commit of two phases over all machines into each checkpoint.
--
-- Every command works, with the URL of the coordinator: its locks are there. A commit of the program is one
-- transaction, put into force by two-phase commit. Killed at any instant, all of it is there or nothing, if need be
-- after the coordinator has cleared up with a worker that was away (citus.recover_2pc_interval). But there is no common
-- snapshot: for a moment somebody may see a checkpoint that has moved and not yet the trades.
--
-- `replay --into` makes a plain table on the coordinator, and `--compare` then pulls all trades there. Make the table
-- before, distributed like the other one; then each shard is compared with its like:
--
--     create table trades_new (like prediction_market_trades including all);
--     select create_distributed_table('trades_new', 'trade_id', colocate_with => 'prediction_market_trades');
--
-- Notes on the cluster:
--
-- * Each database with the extension takes one of max_worker_processes on every node, for the process that clears up
--   transactions in doubt. With the default of eight the ninth database has none.
-- * `create extension citus` turns ssl on.

-- Two shards for each worker that you mean to have at most. Trade ids are random, so each commit speaks to every shard:
-- with 32 of them, the default, a pass was half as fast as with 4, and the coordinator alone worked harder than a plain
-- PostgreSQL.
set citus.shard_count = 4;

select create_distributed_table('prediction_market_trades', 'trade_id');

-- The rows are with the workers now; this frees their space on the coordinator.
select truncate_local_data_after_distributing_table('prediction_market_trades');
