delete from refused_names
where source = ?1 and name = ?2
