-- Gives every pending event to one new delivery, in one statement: either all of it is stored or nothing.
-- A second relay that does the same at the same time waits here, finds no event left and makes no delivery.
WITH run AS (
    SELECT 'trigger__' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '__' || max(id) AS id
    FROM training_events
    WHERE dag_run_id IS NULL
), claimed AS (
    UPDATE training_events e SET dag_run_id = run.id
    FROM run
    WHERE e.dag_run_id IS NULL
    RETURNING e.id, e.table_name, e.operation, coalesce(e.rows, 0) AS rows, e.created_at
), operations AS (
    SELECT table_name, operation, sum(rows) AS rows FROM claimed GROUP BY table_name, operation
), tables AS (
    SELECT table_name, jsonb_object_agg(operation, rows) AS operations FROM operations GROUP BY table_name
)
INSERT INTO training_deliveries (dag_run_id, oldest_event_at, conf)
SELECT (SELECT id FROM run),
       min(created_at),
       jsonb_build_object(
           'tables', (SELECT jsonb_object_agg(table_name, operations) FROM tables),
           'events', count(*), 'rows', sum(rows), 'newest_event', max(id))
FROM claimed
HAVING count(*) > 0
RETURNING dag_run_id, conf
