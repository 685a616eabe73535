-- Gives every pending event to one new delivery, in one statement: either all of it is stored or nothing. With those of
-- the queue go those that earlier runs left untrained, due or not: a run that starts covers them too.
-- A second relay that does the same at the same time waits here, finds no event left and makes no delivery.
WITH fresh AS (
    DELETE FROM public.training_event_queue RETURNING id, table_name, operation, rows, created_at
), again AS (
    UPDATE public.training_untrained SET retry_at = NULL WHERE retry_at IS NOT NULL RETURNING event_id
), run AS (
    SELECT 'trigger__' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '__' || max(id) AS id
    FROM (SELECT id FROM fresh UNION ALL SELECT event_id FROM again) AS ids
), kept AS (
    INSERT INTO public.training_event_history (id, table_name, operation, rows, created_at, dag_run_id)
    SELECT fresh.*, run.id FROM fresh, run
), moved AS (
    UPDATE public.training_event_history e SET dag_run_id = run.id
    FROM again, run WHERE e.id = again.event_id
    RETURNING e.id, e.table_name, e.operation, e.rows, e.created_at
), claimed AS (
    SELECT id, table_name, operation, greatest(rows, 0)::numeric AS rows, created_at
    FROM (SELECT * FROM fresh UNION ALL SELECT * FROM moved) AS events
), operations AS (
    SELECT table_name, operation, sum(coalesce(rows, 0)) AS rows FROM claimed GROUP BY table_name, operation
), tables AS (
    SELECT table_name, jsonb_object_agg(operation, rows) AS operations FROM operations GROUP BY table_name
)
INSERT INTO public.training_deliveries (dag_run_id, oldest_event_at, conf)
SELECT (SELECT id FROM run),
       min(created_at),
       jsonb_build_object(
           'tables', (SELECT jsonb_object_agg(table_name, operations) FROM tables),
           'events', count(*), 'rows', sum(coalesce(rows, 0)), 'newest_event', max(id))
FROM claimed
HAVING count(*) > 0
RETURNING dag_run_id, conf
