delete from replay_places
where source = $1 and target = $2 and bounds = $3
