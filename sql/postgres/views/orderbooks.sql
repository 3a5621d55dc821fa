create or replace view orderbooks as
select
    cast(b.market_ticker as text) as ticker,
    cast(b.captured_at as timestamptz) as captured_at,
    cast(b.best_yes_bid as numeric(7, 4)) as best_yes_bid,
    cast(b.best_yes_ask as numeric(7, 4)) as best_yes_ask,
    cast(b.best_no_bid as numeric(7, 4)) as best_no_bid,
    cast(b.best_no_ask as numeric(7, 4)) as best_no_ask,
    cast(b.spread as numeric(8, 4)) as spread,
    cast(b.yes_depth as numeric(20, 2)) as yes_depth,
    cast(b.no_depth as numeric(20, 2)) as no_depth,
    cast(b.slippage_buy_100 as numeric(13, 9)) as slippage_buy_100,
    cast(b.slippage_sell_100 as numeric(13, 9)) as slippage_sell_100,
    cast(b.slippage_buy_1000 as numeric(13, 9)) as slippage_buy_1000,
    cast(b.slippage_sell_1000 as numeric(13, 9)) as slippage_sell_1000,
    cast(m.series_ticker as text) as series,
    cast(m.event_ticker as text) as event,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label
from orderbook_snapshots b
left join prediction_markets m on m.source = b.source and m.market_ticker = b.market_ticker;

comment on view orderbooks is
    'kalshi-ingest: the figures of each snapshot of an order book. Prices in cents, depth in contracts.';
comment on column orderbooks.spread is 'Cents between the best bid and the best ask; negative in a crossed book.';
comment on column orderbooks.slippage_buy_100 is
    'Cents above the mid for each of 100 YES contracts bought at once; null: the book is too thin.';
