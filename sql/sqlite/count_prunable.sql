select
    count(*) as events,
    count(*) filter (where t.trade_id is null or e.rejected glob 'conflicts with the stored trade*') as unnormalized
from raw_kalshi_trade_events e
left join prediction_market_trades t on t.source = ?1 and t.trade_id = e.trade_id
where e.received_at < ?2
