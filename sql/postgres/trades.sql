-- name: match_trades
-- Of these trades, those that are not stored, with nulls, and those that are stored otherwise. Of a distributed table:
-- all that are stored, by an inner join, because for a left one Citus brings the whole table to the coordinator. The
-- block flag came late. The arrays come sorted by id. By time, an equality alone picks the partition of each trade: of
-- a span of new times, the planner's figures know no row, and it would compare every trade with every row.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::text[], $4::boolean[], $5::integer[], $6::bigint[], $7::timestamptz[])
        as t (trade_id, market_ticker, is_yes, price_e4, quantity_e2, traded_at)
)
select
    t.trade_id,
    s.market_ticker,
    s.side,
    (s.price * 10000)::integer as price_e4,
    (s.quantity * 100)::bigint as quantity_e2,
    s.traded_at
from offered t
left join "{target}" s
    on
        s.source = t.source
        and s.trade_id = t.trade_id
        -- by market: and s.market_ticker = t.market_ticker
        -- by time: and s.traded_at = t.traded_at
where
    s.trade_id is null
    or s.market_ticker <> t.market_ticker
    or (s.side = 'yes') <> t.is_yes
    or s.price * 10000 <> t.price_e4
    or s.quantity * 100 <> t.quantity_e2
    or s.traded_at <> t.traded_at
    -- distributed: or s.trade_id is not null

-- name: insert_trades
-- Stores the trades not stored before in "{target}"; answers with their ids in one row, or with null when
-- all were new. The arrays come sorted by id.
with inserted as (
    insert into "{target}" (
        source, trade_id, market_ticker, side, price, quantity, traded_at, is_block_trade, run_id, ingested_at
    )
    select
        $1,
        trade_id,
        market_ticker,
        case when is_yes then 'yes' else 'no' end,
        price_e4::numeric / 10000,
        quantity_e2::numeric / 100,
        traded_at,
        is_block_trade,
        run_id,
        ingested_at
    from unnest(
        $2::text[], $3::text[], $4::boolean[], $5::integer[], $6::bigint[], $7::timestamptz[], $8::boolean[],
        $9::bigint[], $10::timestamptz[]
    ) as t (
        trade_id, market_ticker, is_yes, price_e4, quantity_e2, traded_at, is_block_trade, run_id, ingested_at
    )
    on conflict (source, trade_id) do nothing
    returning trade_id
)
select case when count(*) < cardinality($2::text[]) then coalesce(array_agg(trade_id), '{}') end
from inserted

-- name: insert_events
-- The raw events of the trades that insert_trades found new.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload)
select
    $1,
    $2,
    market_ticker,
    trade_id,
    payload::json
from unnest($3::text[], $4::text[], $5::text[]) as t (market_ticker, trade_id, payload)

-- name: insert_rejected
-- Events that are no trades, or that contradict one: each kept once with its reason; answers with
-- those kept now.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload, rejected)
select
    $1,
    $2,
    market_ticker,
    trade_id,
    payload::json,
    rejected
from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as t (market_ticker, trade_id, payload, rejected)
on conflict do nothing
returning market_ticker, payload::text

-- name: tally_run
-- What a transaction stored, in its run's own row and in the same transaction: a run that is killed
-- afterwards has counted it all the same.
update ingestion_runs
set
    events_ingested = coalesce(events_ingested, 0) + $2,
    events_duplicate = coalesce(events_duplicate, 0) + $3,
    events_rejected = coalesce(events_rejected, 0) + $4,
    events_conflicting = coalesce(events_conflicting, 0) + $5
where run_id = $1

-- name: advance_checkpoints
-- Compare and set: a row that another pass changed, or that would move back although its claim
-- was not found false, stays as it is and is missing from the answer. Rows are locked in the
-- order of their key, so that two writers cannot wait for each other: `held` is counted before the first
-- row is updated. It is not joined, since the planner would read it once for each row. The source is joined like the
-- ticker: the planner would take a constant for selective, and read all rows of the source.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest(
        $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
        $8::timestamptz[], $9::timestamptz[], $10::text[], $11::timestamptz[], $12::integer[], $13::text[],
        $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::text[], $18::timestamptz[], $19::bigint[],
        $20::timestamptz[], $21::timestamptz[], $22::text[], $23::timestamptz[], $24::double precision[],
        $25::boolean[], $26::timestamptz[], $27::timestamptz[]
    ) as t (
        market_ticker, expected_version, complete_from, complete_until, last_trade_at, last_success_at,
        walk_from, walk_until, walk_cursor, walk_low, failures, last_error,
        retired_at, checked_until, anchor_at, anchor_id, quiet_until, quiet_run,
        carried_until, walk_anchor_at, walk_anchor_id, level_at, left_seconds,
        is_lowered, left_at, footing_at
    )
),
held as (
    select c.market_ticker
    from offered o
    join ingestion_checkpoints c on c.source = o.source and c.market_ticker = o.market_ticker
    order by c.market_ticker
    for update of c
)
update ingestion_checkpoints c
set
    complete_from = o.complete_from,
    complete_until = o.complete_until,
    last_trade_at = greatest(c.last_trade_at, o.last_trade_at),
    last_success_at = o.last_success_at,
    walk_from = o.walk_from,
    walk_until = o.walk_until,
    walk_cursor = o.walk_cursor,
    walk_low = o.walk_low,
    failures = o.failures,
    last_error = o.last_error,
    retired_at = o.retired_at,
    checked_until = o.checked_until,
    anchor_at = o.anchor_at,
    anchor_id = o.anchor_id,
    quiet_until = o.quiet_until,
    quiet_run = o.quiet_run,
    carried_until = o.carried_until,
    walk_anchor_at = o.walk_anchor_at,
    walk_anchor_id = o.walk_anchor_id,
    level_at = o.level_at,
    left_seconds = o.left_seconds,
    left_at = o.left_at,
    footing_at = o.footing_at,
    updated_at = $28,
    version = c.version + 1
from offered o
where
    (select count(*) from held) is not null
    and c.source = o.source
    and c.market_ticker = o.market_ticker
    and c.version = o.expected_version
    and (c.complete_until is null or c.complete_until <= o.complete_until or o.is_lowered)
returning c.market_ticker

-- name: insert_corrections
insert into claim_corrections
    (source, market_ticker, claim, claimed, proven, reason, run_id, corrected_at)
select $1, market_ticker, claim, claimed, proven, reason, $7, $8
from unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[])
    as t (market_ticker, claim, claimed, proven, reason)
