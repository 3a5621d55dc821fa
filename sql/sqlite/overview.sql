-- name: count_retired
select count(*) as retired
from ingestion_checkpoints
where source = ?1 and retired_at is not null

-- name: load_last_pass
-- With its overlap, and the most that passes made of it since ?1.
select
    run_id, command, started_at, finished_at, exit_code, markets, requests, retries,
    events_ingested, events_duplicate, events_rejected, events_conflicting, ingestion_lag_seconds, error,
    overlap_seconds,
    (select max(l.overlap_used_seconds) from ingestion_runs l where l.started_at >= ?1) as overlap_used_seconds
from ingestion_runs
where command = 'run' and finished_at is not null
order by run_id desc
limit 1

-- name: load_exchange_offset
-- Whichever shard or host was heard last: there is one exchange, and its clock is one.
select offset_seconds
from exchange_records
where source = ?1 and offset_seconds is not null
order by updated_at desc, shard, host
limit 1

-- name: load_selected
-- SQLite has no arrays: the members are a JSON list.
select
    w.watch, w.sla_seconds, w.selected_at, coalesce(w.resolved_at, w.first_selected_at) as resolved_at,
    (
        select json_group_array(m.market_ticker order by m.market_ticker)
        from selection_members m
        where m.source = w.source and m.watch = w.watch
    ) as members
from selection_watches w
where w.source = ?1 and w.selected_at is not null
order by w.watch

-- name: load_active
-- By its index: the planner would read all rows of the source by the key.
select
    market_ticker, complete_from, complete_until, checked_until, anchor_at, anchor_id, footing_at, quiet_until, quiet_run, carried_until,
    last_trade_at, last_success_at, walk_from, walk_until, walk_cursor, walk_low, walk_anchor_at, walk_anchor_id,
    level_at, left_seconds, left_at, failures, last_error, retired_at, first_selected_at, version
from ingestion_checkpoints indexed by ingestion_checkpoints_active
where source = ?1 and retired_at is null
order by market_ticker

-- name: load_retired
-- By its index: the planner would read all rows of the source by the key.
select
    market_ticker, complete_from, complete_until, checked_until, anchor_at, anchor_id, footing_at, quiet_until, quiet_run, carried_until,
    last_trade_at, last_success_at, walk_from, walk_until, walk_cursor, walk_low, walk_anchor_at, walk_anchor_id,
    level_at, left_seconds, left_at, failures, last_error, retired_at, first_selected_at, version
from ingestion_checkpoints indexed by ingestion_checkpoints_retired
where source = ?1 and retired_at is not null
order by retired_at desc, market_ticker
limit ?2

-- name: load_runs
select
    run_id, command, started_at, finished_at, exit_code, markets, requests, retries,
    events_ingested, events_duplicate, events_rejected, events_conflicting, ingestion_lag_seconds, error
from ingestion_runs
order by run_id desc
limit ?1

-- name: load_latest_scores
-- The latest score of the worst market of each watch and of each market that is not retired, if they were
-- scored since ?2; the lowest first.
with wanted as (
    select (
        select m.market_ticker
        from prediction_markets m
        where m.source = w.source and m.series_ticker = substr(w.watch, 8) and m.score is not null and m.scored_at >= ?2
        order by m.score, m.market_ticker
        limit 1
    ) as market_ticker
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch glob 'series:*'
    union
    select (
        select m.market_ticker
        from prediction_markets m
        where m.source = w.source and m.event_ticker = substr(w.watch, 7) and m.score is not null and m.scored_at >= ?2
        order by m.score, m.market_ticker
        limit 1
    ) as market_ticker
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch glob 'event:*'
    union
    select (
        select m.market_ticker
        from prediction_markets m
        where m.source = w.source and m.score is not null and m.scored_at >= ?2
        order by m.score, m.market_ticker
        limit 1
    ) as market_ticker
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch = 'all'
    union
    select substr(w.watch, 8)
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch glob 'market:*'
    union
    select c.market_ticker
    from ingestion_checkpoints c indexed by ingestion_checkpoints_active
    where c.source = ?1 and c.retired_at is null
)
select m.market_ticker, m.event_ticker, m.series_ticker, m.score, m.scored_at
from wanted
join prediction_markets m on m.source = ?1 and m.market_ticker = wanted.market_ticker
where m.score is not null and m.scored_at >= ?2
order by m.score, m.market_ticker

-- name: load_totals
-- Of all runs, the unfinished ones included as far as they are.
select metric, reason, sum(total) as total
from (
    select metric, reason, total
    from ingestion_totals
    where source = ?1
    union all
    select 'events_ingested', '', events_ingested from ingestion_runs where finished_at is null and events_ingested > 0
    union all
    select 'events_duplicate', '', events_duplicate from ingestion_runs where finished_at is null and events_duplicate > 0
    union all
    select 'events_rejected', '', events_rejected from ingestion_runs where finished_at is null and events_rejected > 0
    union all
    select 'events_conflicting', '', events_conflicting from ingestion_runs
    where finished_at is null and events_conflicting > 0
)
group by metric, reason

-- name: load_day
-- What was done in each span of so many seconds since ?1, where anything was.
select
    cast((unixepoch(started_at) - unixepoch(?1)) / ?2 as integer) as span,
    coalesce(sum(events_ingested), 0) as events_ingested,
    max(ingestion_lag_seconds) as lag_seconds
from ingestion_runs
where started_at >= ?1 and command <> 'replay'    -- which stores what was stored before
group by 1
order by 1
