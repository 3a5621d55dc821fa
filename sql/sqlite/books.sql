-- name: insert_books
-- Stores one snapshot unless there is one of that market and instant.
insert into orderbook_snapshots (
    source, market_ticker, captured_at, best_yes_bid_e4, best_yes_ask_e4, best_no_bid_e4, best_no_ask_e4, spread_e4,
    yes_depth_e2, no_depth_e2, slippage_buy_100_e9, slippage_sell_100_e9, slippage_buy_1000_e9,
    slippage_sell_1000_e9, levels
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
on conflict (source, market_ticker, captured_at) do nothing
