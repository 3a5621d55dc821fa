-- Comes after refuse_name: what the exchange never knew is no entry to be watched over, of whatever shard.
delete from selection_watches
where source = ?1 and instr(watch || ' ', ?2 || ' ') = 1 and known_at is null
