-- Comes after load_prunable, in the same transaction.
delete from raw_kalshi_trade_events
where event_id = any ($1::bigint[])
