-- As insert_trades, but into "{target}", and each trade with the run and time of its event. The
-- arrays come sorted by id.
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
