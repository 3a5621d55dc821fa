select event_id, run_id, received_at, market_ticker, payload::text as payload, rejected
from raw_kalshi_trade_events
where event_id > $1 and ($2 is null or received_at >= $2) and ($3 is null or received_at < $3)
order by event_id
limit $4
