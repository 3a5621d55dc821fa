-- The latest score of each of these markets.
update prediction_markets m
set
    score = t.score,
    scored_at = $4
from unnest($2::text[], $3::double precision[]) as t (market_ticker, score)
where m.source = $1 and m.market_ticker = t.market_ticker
