-- Events that are no trades, or that contradict one: each kept once with its reason; answers with
-- those kept now.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload, rejected)
select
    $1,
    $2,
    market_ticker,
    trade_id,
    payload::json,
    rejected
from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as t (market_ticker, trade_id, payload, rejected)
on conflict do nothing
returning market_ticker, payload::text
