-- One row of counts, in which trade_id is null, and the examples: the kinds of difference take
-- turns. "{target}" stands for the other table.
with differences as materialized (
    select
        coalesce(h.source, t.source) as source,
        coalesce(h.trade_id, t.trade_id) as trade_id,
        case when t.trade_id is null then 'here' when h.trade_id is null then 'there' else 'changed' end as kind
    from prediction_market_trades h
    full join "{target}" t on t.source = h.source and t.trade_id = h.trade_id
    where
        h.trade_id is null
        or t.trade_id is null
        or (h.market_ticker, h.side, h.price, h.quantity, h.traded_at, h.is_block_trade)
        is distinct from (t.market_ticker, t.side, t.price, t.quantity, t.traded_at, t.is_block_trade)
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
    where turn <= $1
    order by turn, kind
    limit $1
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
select
    e.trade_id,
    case e.kind
        when 'here' then 'only in prediction_market_trades'
        when 'there' then 'only in {target}'
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
