update prediction_markets
set
    missing_since = coalesce(missing_since, $3),
    checked_at = $3
where source = $1 and market_ticker = any ($2::text[])
