-- Compare and set: a row that another pass changed, or that would move back, stays as it is.
update ingestion_checkpoints
set
    complete_from = ?4,
    complete_until = ?5,
    last_trade_at = ?6,
    last_success_at = ?7,
    walk_from = ?8,
    walk_until = ?9,
    walk_cursor = ?10,
    walk_low = ?11,
    failures = ?12,
    last_error = ?13,
    retired_at = ?14,
    updated_at = ?15,
    complete_as_of = ?16,
    walk_opened_at = ?17,
    version = version + 1
where
    source = ?1
    and market_ticker = ?2
    and version = ?3
    and (complete_until is null or complete_until <= ?5)
