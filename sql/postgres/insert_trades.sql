-- Stores the trades not stored before; answers with their ids in one row, or with null when
-- all were new. The arrays come sorted by id.
with inserted as (
    insert into prediction_market_trades (
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
        $9,
        $10
    from unnest($2::text[], $3::text[], $4::boolean[], $5::integer[], $6::bigint[], $7::timestamptz[], $8::boolean[])
        as t (trade_id, market_ticker, is_yes, price_e4, quantity_e2, traded_at, is_block_trade)
    on conflict (source, trade_id) do nothing
    returning trade_id
)
select case when count(*) < cardinality($2::text[]) then coalesce(array_agg(trade_id), '{}') end
from inserted
