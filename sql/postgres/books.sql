-- name: insert_books
-- In the order of the key, so that two writers cannot wait for each other. Products, because a
-- quotient of numerics is rounded.
insert into orderbook_snapshots (
    source, market_ticker, captured_at, best_yes_bid, best_yes_ask, best_no_bid, best_no_ask, spread,
    yes_depth, no_depth, slippage_buy_100, slippage_sell_100, slippage_buy_1000, slippage_sell_1000, levels
)
select
    $1,
    market_ticker,
    captured_at,
    best_yes_bid_e4 * 0.0001,
    best_yes_ask_e4 * 0.0001,
    best_no_bid_e4 * 0.0001,
    best_no_ask_e4 * 0.0001,
    spread_e4 * 0.0001,
    yes_depth_e2 * 0.01,
    no_depth_e2 * 0.01,
    slippage_buy_100_e9 * 0.000000001,
    slippage_sell_100_e9 * 0.000000001,
    slippage_buy_1000_e9 * 0.000000001,
    slippage_sell_1000_e9 * 0.000000001,
    levels::json
from unnest(
    $2::text[], $3::timestamptz[], $4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::integer[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[]
) as t (
    market_ticker, captured_at, best_yes_bid_e4, best_yes_ask_e4, best_no_bid_e4, best_no_ask_e4, spread_e4,
    yes_depth_e2, no_depth_e2, slippage_buy_100_e9, slippage_sell_100_e9, slippage_buy_1000_e9,
    slippage_sell_1000_e9, levels
)
order by market_ticker collate "C", captured_at
on conflict (source, market_ticker, captured_at) do nothing
