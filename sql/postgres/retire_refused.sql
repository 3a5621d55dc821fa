-- Comes after refuse_name: a market that the exchange never knew is neither read on nor able to breach.
update ingestion_checkpoints c
set
    retired_at = $3,
    updated_at = $3,
    version = c.version + 1
from unnest($2::text[]) as o (name)
where
    c.source = $1
    and o.name = 'market:' || c.market_ticker
    and c.retired_at is null
    and c.last_trade_at is null
    and c.walk_low is null
    and not exists (
        select 1 from prediction_market_trades t
        where t.market_ticker = c.market_ticker and t.source = $1
    )
