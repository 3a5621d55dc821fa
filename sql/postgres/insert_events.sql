-- The raw events of the trades that insert_trades found new.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload)
select
    $1,
    $2,
    market_ticker,
    trade_id,
    payload::json
from unnest($3::text[], $4::text[], $5::text[]) as t (market_ticker, trade_id, payload)
