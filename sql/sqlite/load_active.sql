select
    market_ticker, complete_from, complete_until, complete_as_of, last_trade_at, last_success_at,
    walk_from, walk_until, walk_cursor, walk_low, walk_opened_at, failures, last_error, retired_at, first_selected_at, version
from ingestion_checkpoints
where source = ?1 and retired_at is null
order by market_ticker
