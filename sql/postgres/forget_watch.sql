-- Comes after refuse_name: what the exchange never knew is no entry to be watched over, of whatever shard.
delete from selection_watches w
using unnest($2::text[]) as o (name)
where w.source = $1 and starts_with(w.watch || ' ', o.name || ' ') and w.known_at is null
