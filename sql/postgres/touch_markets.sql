-- Comes after store_markets: what is still newer than its sighting was found all the same.
update prediction_markets m
set
    checked_at = $4,
    missing_since = null
from unnest($2::text[], $3::timestamptz[]) as o (market_ticker, observed_at)
where m.source = $1 and m.market_ticker = o.market_ticker and m.observed_at > o.observed_at
