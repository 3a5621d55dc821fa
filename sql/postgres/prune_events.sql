-- Comes after load_prunable, but not in its transaction: asks again whether the trade is stored.
delete from raw_kalshi_trade_events e
where
    e.event_id = any ($2::bigint[])
    and exists (select 1 from prediction_market_trades t where t.source = $1 and t.trade_id = e.trade_id)
