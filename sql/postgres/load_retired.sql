select
    market_ticker, complete_from, complete_until, checked_until, anchor_at, anchor_id, footing_at, quiet_until, quiet_run, carried_until,
    last_trade_at, last_success_at, walk_from, walk_until, walk_cursor, walk_low, walk_anchor_at, walk_anchor_id,
    level_at, left_seconds, left_at, failures, last_error, retired_at, first_selected_at, version
from ingestion_checkpoints
where source = $1 and retired_at is not null
order by retired_at desc, market_ticker
limit $2
