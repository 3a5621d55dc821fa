-- A stored trade, if it is stored otherwise; the block flag came late.
select trade_id, market_ticker, side, price_e4, quantity_e2, traded_at
from prediction_market_trades
where
    source = ?1
    and trade_id = ?2
    and (market_ticker, side, price_e4, quantity_e2, traded_at) <> (?3, ?4, ?5, ?6, ?7)
