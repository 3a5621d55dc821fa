-- Compare and set: a row with another version than the one expected stays as it is.
update ingestion_windows
set
    status = ?6,
    walk_cursor = ?7,
    walk_low = ?8,
    events_ingested = events_ingested + ?10,
    updated_at = ?11,
    version = ?9
where
    source = ?1
    and market_ticker = ?2
    and tier = ?3
    and window_from = ?4
    and window_until = ?5
    and version = ?9 - 1
