-- Gives every pending event to one new delivery, in one statement: either all of it is stored or nothing.
-- A second relay that does the same at the same time waits here, finds no event left and makes no delivery.
WITH run AS (
    SELECT 'trigger__' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '__' || max(id) AS id
    FROM training_event_queue
), claimed AS (
    DELETE FROM training_event_queue RETURNING id, table_name, operation, rows, created_at
), kept AS (
    INSERT INTO training_event_history (id, table_name, operation, rows, created_at, dag_run_id)
    SELECT claimed.*, run.id FROM claimed, run
), operations AS (
    SELECT table_name, operation, sum(coalesce(rows, 0)) AS rows FROM claimed GROUP BY table_name, operation
), tables AS (
    SELECT table_name, jsonb_object_agg(operation, rows) AS operations FROM operations GROUP BY table_name
)
INSERT INTO training_deliveries (dag_run_id, oldest_event_at, conf)
SELECT (SELECT id FROM run),
       min(created_at),
       jsonb_build_object(
           'tables', (SELECT jsonb_object_agg(table_name, operations) FROM tables),
           'events', count(*), 'rows', sum(coalesce(rows, 0)), 'newest_event', max(id))
FROM claimed
HAVING count(*) > 0
RETURNING dag_run_id, conf
