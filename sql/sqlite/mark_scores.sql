-- The latest score of a market.
update prediction_markets
set
    score = ?3,
    scored_at = ?4
where source = ?1 and market_ticker = ?2
