-- Compare and set: a row that another pass changed, or that would move back, stays as it is. ?25
-- says that the claim was found false.
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
    updated_at = ?28,
    checked_until = ?15,
    anchor_at = ?16,
    anchor_id = ?17,
    quiet_until = ?18,
    quiet_run = ?19,
    carried_until = ?20,
    walk_anchor_at = ?21,
    walk_anchor_id = ?22,
    level_at = ?23,
    left_seconds = ?24,
    left_at = ?26,
    footing_at = ?27,
    version = version + 1
where
    source = ?1
    and market_ticker = ?2
    and version = ?3
    and (complete_until is null or complete_until <= ?5 or ?25)
