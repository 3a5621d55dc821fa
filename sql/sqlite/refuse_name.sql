insert into refused_names (source, name, first_refused_at, checked_at)
values (?1, ?2, ?3, ?3)
on conflict (source, name) do update
set
    checked_at = excluded.checked_at
