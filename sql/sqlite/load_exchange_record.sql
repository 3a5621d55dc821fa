select
    told_date, told_at, offset_seconds, newest_at, newest_id, moved_share, still_passes, cutoff,
    cutoff_at, status_at, is_trading, come_back_at, probed_at
from exchange_records
where source = ?1 and shard = ?2 and host = ?3
