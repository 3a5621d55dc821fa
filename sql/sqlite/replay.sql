-- name: load_events
select event_id, run_id, received_at, market_ticker, payload, rejected
from raw_kalshi_trade_events
where event_id > ?1 and (?2 is null or received_at >= ?2) and (?3 is null or received_at < ?3)
order by event_id
limit ?4

-- name: load_place
select after_event
from replay_places
where source = ?1 and target = ?2 and bounds = ?3

-- name: move_place
-- Of two replays of the same events the one further on counts: what it is past is done.
insert into replay_places (source, target, bounds, after_event, updated_at)
values (?1, ?2, ?3, ?4, ?5)
on conflict (source, target, bounds) do update
set
    after_event = max(replay_places.after_event, excluded.after_event),
    updated_at = excluded.updated_at

-- name: delete_place
delete from replay_places
where source = ?1 and target = ?2 and bounds = ?3

-- name: compare_trades
-- One row of counts, in which trade_id is null, and the examples: the kinds of difference take
-- turns. "{target}" stands for the other table.
with differences as materialized (
    select source, trade_id, 'here' as kind
    from prediction_market_trades h
    where not exists (select 1 from "{target}" t where t.source = h.source and t.trade_id = h.trade_id)
    union all
    select source, trade_id, 'there' as kind
    from "{target}" t
    where not exists (
        select 1 from prediction_market_trades h where h.source = t.source and h.trade_id = t.trade_id
    )
    union all
    select h.source, h.trade_id, 'changed' as kind
    from prediction_market_trades h
    join "{target}" t on t.source = h.source and t.trade_id = h.trade_id
    where
        (h.market_ticker, h.side, h.price_e4, h.quantity_e2, h.traded_at, h.is_block_trade)
        is not (t.market_ticker, t.side, t.price_e4, t.quantity_e2, t.traded_at, t.is_block_trade)
),
turns as (
    select
        source,
        trade_id,
        kind,
        row_number() over (partition by kind order by trade_id, source) as turn
    from differences
),
examples as (
    select *
    from turns
    where turn <= ?1
    order by turn, kind
    limit ?1
)
select
    null as trade_id,
    null as words,
    null as turn,
    null as kind,
    count(*) filter (where kind = 'here') as only_here,
    count(*) filter (where kind = 'there') as only_there,
    count(*) filter (where kind = 'changed') as changed
from differences
union all
select
    e.trade_id,
    case e.kind
        when 'here' then 'only in prediction_market_trades'
        when 'there' then 'only in {target}'
        else concat_ws(
            '; ',
            case when h.market_ticker <> t.market_ticker then concat('market ', h.market_ticker, ' here, ', t.market_ticker, ' there') end,
            case when h.side <> t.side then concat('side ', h.side, ' here, ', t.side, ' there') end,
            case when h.price_e4 <> t.price_e4 then printf('price %.4f here, %.4f there', h.price, t.price) end,
            case
                when h.quantity_e2 <> t.quantity_e2
                    then printf(
                        'quantity %d.%02d here, %d.%02d there',
                        h.quantity_e2 / 100, h.quantity_e2 % 100, t.quantity_e2 / 100, t.quantity_e2 % 100
                    )
            end,
            case when h.traded_at <> t.traded_at then concat('time ', h.traded_at, ' here, ', t.traded_at, ' there') end,
            case
                when h.is_block_trade is not t.is_block_trade
                    then concat(
                        'block trade ', case h.is_block_trade when 1 then 'true' when 0 then 'false' else 'unknown' end,
                        ' here, ', case t.is_block_trade when 1 then 'true' when 0 then 'false' else 'unknown' end,
                        ' there'
                    )
            end
        )
    end,
    e.turn,
    e.kind,
    null,
    null,
    null
from examples e
left join prediction_market_trades h on h.source = e.source and h.trade_id = e.trade_id
left join "{target}" t on t.source = e.source and t.trade_id = e.trade_id
order by turn nulls first, kind

-- name: load_old
-- The next events received before ?1, by number. The trade is null where the event is to stay whatever is stored:
-- it has no id, or contradicts the stored trade.
select
    event_id,
    market_ticker,
    case when rejected is null or rejected not glob 'conflicts with the stored trade*' then trade_id end as trade_id
from raw_kalshi_trade_events
where received_at < ?1 and event_id > ?2
order by event_id
limit ?3

-- name: find_stored
-- Those of these events whose trade is stored. The lists are JSON: SQLite has no arrays. The trades ?3 and the markets
-- ?4 of the events stand in the table here.
select e.event_id
from json_each(?2) n
join raw_kalshi_trade_events e on e.event_id = n.value
join prediction_market_trades t on t.source = ?1 and t.trade_id = e.trade_id
where ?3 is not null and ?4 is not null

-- name: prune_events
-- Comes after find_stored. ?1 is a JSON list: SQLite has no arrays.
delete from raw_kalshi_trade_events
where event_id in (select value from json_each(?1))

-- name: lower_places
-- Comes after prune_events: no place may be above the newest event, whose number SQLite gives again once it is deleted.
update replay_places
set after_event = newest.event_id
from (select coalesce(max(event_id), 0) as event_id from raw_kalshi_trade_events) as newest
where after_event > newest.event_id

-- name: check_table
-- Whether there is a relation of that name (?1), and whether it is a table of the shape of ?2.
with ours as (select name, type, "notnull", pk, hidden from pragma_table_xinfo(?1)),
usual as (select name, type, "notnull", pk, hidden from pragma_table_xinfo(?2))
select
    exists (select 1 from sqlite_schema where name = ?1 collate nocase) as is_there,
    exists (select 1 from sqlite_schema where name = ?1 collate nocase and type = 'table')
    and not exists (select * from ours except select * from usual)
    and not exists (select * from usual except select * from ours) as is_alike
