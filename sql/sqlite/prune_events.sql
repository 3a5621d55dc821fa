-- Comes after load_prunable, but not in its transaction: asks again whether the trade is stored.
-- ?2 is a JSON list of events: SQLite has no arrays.
delete from raw_kalshi_trade_events
where
    event_id in (select value from json_each(?2))
    and exists (
        select 1 from prediction_market_trades t
        where t.source = ?1 and t.trade_id = raw_kalshi_trade_events.trade_id
    )
