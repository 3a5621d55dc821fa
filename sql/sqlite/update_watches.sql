-- What was not learnt stays as it is.
update selection_watches
set
    resolved_at = coalesce(?3, resolved_at),
    synced_at = coalesce(?4, synced_at),
    synced_until = coalesce(?5, synced_until),
    known_at = coalesce(?6, known_at),
    empty_at = coalesce(?7, empty_at)
where source = ?1 and watch = ?2
