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
