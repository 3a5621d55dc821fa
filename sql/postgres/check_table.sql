-- Whether there is a relation of that name ($1), and whether it is a table of the shape of $2.
with relations as (
    select oid, relname, relkind
    from pg_class
    where relname in ($1, $2) and pg_table_is_visible(oid)
),
columns as (
    select r.relname, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull
    from relations r
    join pg_attribute a on a.attrelid = r.oid
    where a.attnum > 0 and not a.attisdropped
),
keys as (
    select r.relname, array_agg(a.attname order by place) as attnames
    from relations r
    join pg_index i on i.indrelid = r.oid and i.indisprimary
    cross join unnest(i.indkey) with ordinality as k (attnum, place)
    join pg_attribute a on a.attrelid = r.oid and a.attnum = k.attnum
    group by r.relname
),
ours as (select attname, atttypid, atttypmod, attcollation, attnotnull from columns where relname = $1),
usual as (select attname, atttypid, atttypmod, attcollation, attnotnull from columns where relname = $2)
select
    exists (select 1 from relations where relname = $1) as is_there,
    exists (select 1 from relations where relname = $1 and relkind in ('r', 'p'))
    and not exists (select * from ours except select * from usual)
    and not exists (select * from usual except select * from ours)
    and (select attnames from keys where relname = $1) = (select attnames from keys where relname = $2) as is_alike
