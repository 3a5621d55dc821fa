-- The oldest events whose trade is stored, whatever they were taken for when they came; but none that
-- contradicts it.
select e.event_id
from raw_kalshi_trade_events e
where
    e.received_at < ?2
    and (e.rejected is null or e.rejected not glob 'conflicts with the stored trade*')
    and exists (select 1 from prediction_market_trades t where t.source = ?1 and t.trade_id = e.trade_id)
order by e.event_id
limit ?3
