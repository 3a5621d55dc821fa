-- Entries selected for the first time. In the order of the key, so that two writers cannot wait
-- for each other.
insert into selection_watches (source, watch, first_selected_at)
select
    $1,
    watch,
    $3
from unnest($2::text[]) as t (watch)
order by watch collate "C"
on conflict (source, watch) do nothing
