-- ?2 is a JSON list of names: SQLite has no arrays.
select name, first_refused_at, checked_at
from refused_names
where source = ?1 and name in (select value from json_each(?2))
