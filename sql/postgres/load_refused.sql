select name, first_refused_at, checked_at
from refused_names
where source = $1 and name = any ($2::text[])
