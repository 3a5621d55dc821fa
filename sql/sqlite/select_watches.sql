-- Entries selected for the first time.
insert into selection_watches (source, watch, first_selected_at)
select
    ?1,
    value,
    ?3
from json_each(?2)
where true
on conflict (source, watch) do nothing
