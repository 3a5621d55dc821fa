-- Whether there is a relation of that name (?1), and whether it is a table of the shape of ?2.
with ours as (select name, type, "notnull", pk, hidden from pragma_table_xinfo(?1)),
usual as (select name, type, "notnull", pk, hidden from pragma_table_xinfo(?2))
select
    exists (select 1 from sqlite_schema where name = ?1 collate nocase) as is_there,
    exists (select 1 from sqlite_schema where name = ?1 collate nocase and type = 'table')
    and not exists (select * from ours except select * from usual)
    and not exists (select * from usual except select * from ours) as is_alike
