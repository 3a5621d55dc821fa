-- name: load_events
select event_id, run_id, received_at, market_ticker, payload::text as payload, rejected
from raw_kalshi_trade_events
where event_id > $1 and ($2 is null or received_at >= $2) and ($3 is null or received_at < $3)
order by event_id
limit $4

-- name: load_place
select after_event
from replay_places
where source = $1 and target = $2 and bounds = $3

-- name: move_place
-- Of two replays of the same events the one further on counts: what it is past is done.
insert into replay_places (source, target, bounds, after_event, updated_at)
values ($1, $2, $3, $4, $5)
on conflict (source, target, bounds) do update
set
    after_event = greatest(replay_places.after_event, excluded.after_event),
    updated_at = excluded.updated_at

-- name: delete_place
delete from replay_places
where source = $1 and target = $2 and bounds = $3

-- name: compare_trades
-- One row of counts, in which trade_id is null, and the examples: the kinds of difference take
-- turns. "{target}" stands for the other table. The tables are joined once and by equalities alone, so that machines
-- that hold parts of both compare them where they are.
with differences as materialized (
    select
        coalesce(h.source, t.source) as source,
        coalesce(h.trade_id, t.trade_id) as trade_id,
        case when t.trade_id is null then 'here' when h.trade_id is null then 'there' else 'changed' end as kind,
        case
            when t.trade_id is null then 'only in prediction_market_trades'
            when h.trade_id is null then 'only in {target}'
            else concat_ws(
                '; ',
                case when h.market_ticker <> t.market_ticker then concat('market ', h.market_ticker, ' here, ', t.market_ticker, ' there') end,
                case when h.side <> t.side then concat('side ', h.side, ' here, ', t.side, ' there') end,
                case when h.price <> t.price then concat('price ', h.price, ' here, ', t.price, ' there') end,
                case when h.quantity <> t.quantity then concat('quantity ', h.quantity, ' here, ', t.quantity, ' there') end,
                case
                    when h.traded_at <> t.traded_at
                        then concat(
                            'time ', to_char(h.traded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ' here, ',
                            to_char(t.traded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ' there'
                        )
                end,
                case
                    when h.is_block_trade is distinct from t.is_block_trade
                        then concat(
                            'block trade ', coalesce(h.is_block_trade::text, 'unknown'), ' here, ',
                            coalesce(t.is_block_trade::text, 'unknown'), ' there'
                        )
                end
            )
        end as words
    from prediction_market_trades h
    full join "{target}" t
        on
            t.source = h.source
            and t.trade_id = h.trade_id
            -- by market: and t.market_ticker = h.market_ticker
            -- by time: and t.traded_at = h.traded_at
    where
        h.trade_id is null
        or t.trade_id is null
        or (h.market_ticker, h.side, h.price, h.quantity, h.traded_at, h.is_block_trade)
        is distinct from (t.market_ticker, t.side, t.price, t.quantity, t.traded_at, t.is_block_trade)
),
examples as (
    select
        trade_id,
        words,
        kind,
        row_number() over (partition by kind order by trade_id, source) as turn
    from differences
)
select
    null as trade_id,
    null as words,
    null::bigint as turn,
    null as kind,
    count(*) filter (where kind = 'here') as only_here,
    count(*) filter (where kind = 'there') as only_there,
    count(*) filter (where kind = 'changed') as changed
from differences
union all
select *
from (
    select
        trade_id,
        words,
        turn,
        kind,
        null::bigint,
        null::bigint,
        null::bigint
    from examples
    where turn <= $1
    order by turn, kind
    limit $1
) as first_examples
order by turn nulls first, kind

-- name: load_old
-- The next events received before $1, by number. The trade is null where the event is to stay whatever is stored:
-- it has no id, or contradicts the stored trade.
select
    event_id,
    market_ticker,
    case when rejected is null or rejected not like 'conflicts with the stored trade%' then trade_id end as trade_id
from raw_kalshi_trade_events
where received_at < $1 and event_id > $2
order by event_id
limit $3

-- name: find_stored
-- Those of these events whose trade is stored. The events come as arrays, because they and the trades can lie on
-- different machines.
with events as materialized (
    select
        $1::text as source,
        *
    from unnest($2::bigint[], $3::text[], $4::text[]) as e (event_id, trade_id, market_ticker)
)
select e.event_id
from events e
join prediction_market_trades t
    on
        t.source = e.source
        and t.trade_id = e.trade_id
        -- by market: and t.market_ticker = e.market_ticker

-- name: prune_events
-- Comes after find_stored. Rows come in the order of their key, by its index; to lock them first would need the right
-- to update.
delete from raw_kalshi_trade_events
where event_id = any ($1::bigint[])

-- name: lower_places
-- Nothing: the number of an event is never given again here.
select 1
where false

-- name: check_table
-- Whether there is a relation of that name ($1), and whether it is a table of the shape of $2.
with relations as (
    select oid, relname, relkind
    from pg_class
    where relname in ($1, $2) and pg_table_is_visible(oid)
),
columns as (
    select r.relname, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull
    from relations r
    join pg_attribute a on a.attrelid = r.oid
    where a.attnum > 0 and not a.attisdropped
),
keys as (
    select r.relname, array_agg(a.attname order by place) as attnames
    from relations r
    join pg_index i on i.indrelid = r.oid and i.indisprimary
    cross join unnest(i.indkey) with ordinality as k (attnum, place)
    join pg_attribute a on a.attrelid = r.oid and a.attnum = k.attnum
    group by r.relname
),
ours as (select attname, atttypid, atttypmod, attcollation, attnotnull from columns where relname = $1),
usual as (select attname, atttypid, atttypmod, attcollation, attnotnull from columns where relname = $2)
select
    exists (select 1 from relations where relname = $1) as is_there,
    exists (select 1 from relations where relname = $1 and relkind in ('r', 'p'))
    and not exists (select * from ours except select * from usual)
    and not exists (select * from usual except select * from ours)
    and (select attnames from keys where relname = $1) = (select attnames from keys where relname = $2) as is_alike
