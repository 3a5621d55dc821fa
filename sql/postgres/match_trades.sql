-- Of these trades, those that are not stored, with nulls, and those that are stored otherwise; the
-- block flag came late. The arrays come sorted by id.
select
    t.trade_id,
    s.market_ticker,
    s.side,
    (s.price * 10000)::integer as price_e4,
    (s.quantity * 100)::bigint as quantity_e2,
    s.traded_at
from unnest($2::text[], $3::text[], $4::boolean[], $5::integer[], $6::bigint[], $7::timestamptz[])
    as t (trade_id, market_ticker, is_yes, price_e4, quantity_e2, traded_at)
left join prediction_market_trades s on s.source = $1 and s.trade_id = t.trade_id
where
    s.trade_id is null
    or s.market_ticker <> t.market_ticker
    or (s.side = 'yes') <> t.is_yes
    or s.price * 10000 <> t.price_e4
    or s.quantity * 100 <> t.quantity_e2
    or s.traded_at <> t.traded_at
