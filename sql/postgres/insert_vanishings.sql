-- Comes before vanish_markets, which has the same condition.
insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
select
    source,
    market_ticker,
    'vanished',
    status,
    $3
from prediction_markets
where source = $1 and market_ticker = any ($2::text[]) and status not in ('finalized', 'vanished')
