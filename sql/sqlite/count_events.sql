select count(*) as events
from raw_kalshi_trade_events
where event_id > ?1 and (?2 is null or received_at >= ?2) and (?3 is null or received_at < ?3)
