-- Comes after prune_events: no place may be above the newest event, whose number SQLite gives again once it is deleted.
update replay_places
set after_event = newest.event_id
from (select coalesce(max(event_id), 0) as event_id from raw_kalshi_trade_events) as newest
where after_event > newest.event_id
