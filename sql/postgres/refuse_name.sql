-- In the order of the key, so that two writers cannot wait for each other.
insert into refused_names (source, name, first_refused_at, checked_at)
select
    $1,
    name,
    $3,
    $3
from unnest($2::text[]) as t (name)
order by name collate "C"
on conflict (source, name) do update
set
    checked_at = excluded.checked_at
