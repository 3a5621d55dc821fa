-- A stored trade, and whether it is stored as told here; the block flag came late.
select
    (market_ticker, side, price_e4, quantity_e2, traded_at) = (?3, ?4, ?5, ?6, ?7) as is_same,
    trade_id,
    market_ticker,
    side,
    price_e4,
    quantity_e2,
    traded_at
from prediction_market_trades
where source = ?1 and trade_id = ?2
