-- Comes after add_slices.
update ingestion_windows
set
    status = 'complete',
    updated_at = ?6,
    version = version + 1
where
    source = ?1
    and market_ticker = ?2
    and tier = ?3
    and window_from = ?4
    and window_until = ?5
    and status = 'read'
