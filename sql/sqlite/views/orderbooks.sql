create view orderbooks as
-- kalshi-ingest: the figures of each snapshot of an order book. Prices in cents, depth in contracts.
select
    b.market_ticker as ticker,
    b.captured_at as captured_at,
    cast(b.best_yes_bid_e4 / 10000.0 as double) as best_yes_bid,
    cast(b.best_yes_ask_e4 / 10000.0 as double) as best_yes_ask,
    cast(b.best_no_bid_e4 / 10000.0 as double) as best_no_bid,
    cast(b.best_no_ask_e4 / 10000.0 as double) as best_no_ask,
    cast(b.spread_e4 / 10000.0 as double) as spread,
    cast(b.yes_depth_e2 / 100.0 as double) as yes_depth,
    cast(b.no_depth_e2 / 100.0 as double) as no_depth,
    cast(b.slippage_buy_100_e9 / 1000000000.0 as double) as slippage_buy_100,
    cast(b.slippage_sell_100_e9 / 1000000000.0 as double) as slippage_sell_100,
    cast(b.slippage_buy_1000_e9 / 1000000000.0 as double) as slippage_buy_1000,
    cast(b.slippage_sell_1000_e9 / 1000000000.0 as double) as slippage_sell_1000,
    cast(m.series_ticker as text) as series,
    cast(m.event_ticker as text) as event,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label
from orderbook_snapshots b
left join prediction_markets m on m.source = b.source and m.market_ticker = b.market_ticker;
