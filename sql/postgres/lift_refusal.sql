delete from refused_names
where source = $1 and name = any ($2::text[])
