SELECT e.id
FROM training_events e
WHERE e.table_name = ANY (%(tables)s)
  AND NOT EXISTS (SELECT FROM training_coverage c WHERE c.event_id = e.id)
ORDER BY e.id
