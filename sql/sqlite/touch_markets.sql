-- Comes after store_markets: what is still newer than its sighting was found all the same.
update prediction_markets
set
    checked_at = ?4,
    missing_since = null
where source = ?1 and market_ticker = ?2 and observed_at > ?3
