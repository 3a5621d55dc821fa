-- Compare and set: somebody else may have synced meanwhile.
update selection_watches
set synced_until = null
where source = ?1 and watch = ?2 and synced_until = ?3
