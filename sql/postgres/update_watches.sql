-- What was not learnt stays as it is.
update selection_watches w
set
    resolved_at = coalesce(o.resolved_at, w.resolved_at),
    synced_at = coalesce(o.synced_at, w.synced_at),
    synced_until = coalesce(o.synced_until, w.synced_until),
    known_at = coalesce(o.known_at, w.known_at),
    empty_at = coalesce(o.empty_at, w.empty_at)
from unnest(
    $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[]
) as o (watch, resolved_at, synced_at, synced_until, known_at, empty_at)
where w.source = $1 and w.watch = o.watch
