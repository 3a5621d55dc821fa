insert into completeness_scores (
    source, market_ticker, window_from, window_until, stored_quantity_e2, exchange_quantity_e2, score, basis,
    scored_at
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
