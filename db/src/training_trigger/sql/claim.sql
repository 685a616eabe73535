-- Gives every pending event of a classifier to one new delivery, in one statement: either all of it is stored or nothing.
-- With those that wait go those that earlier runs left untrained, due or not: a run that starts covers them too.
-- A second relay that does the same at the same time waits here, finds no event left and makes no delivery.
WITH waiting AS (
    SELECT id FROM public.training_event_history
    WHERE dag_run_id IS NULL AND classifier <> '' AND classifier = %(classifier)s
    FOR UPDATE
), again AS (
    UPDATE public.training_untrained SET retry_at = NULL
    WHERE retry_at IS NOT NULL AND classifier = %(classifier)s
    RETURNING event_id AS id
), mine AS (
    SELECT id FROM waiting UNION SELECT id FROM again
), run AS (
    SELECT 'trigger__' || regexp_replace(%(classifier)s, '\.(?=\.)', '._', 'g') || '__'  -- Airflow refuses two dots in a row
           || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '__' || max(id) AS id
    FROM mine
), claimed AS (
    UPDATE public.training_event_history e SET dag_run_id = run.id
    FROM run WHERE e.classifier = %(classifier)s AND e.id IN (SELECT id FROM mine)
    RETURNING e.id, e.table_name, e.operation, greatest(e.rows, 0)::numeric AS rows, e.created_at
), operations AS (
    SELECT table_name, operation, sum(coalesce(rows, 0)) AS rows FROM claimed GROUP BY table_name, operation
), tables AS (
    SELECT table_name, jsonb_object_agg(operation, rows) AS operations FROM operations GROUP BY table_name
)
INSERT INTO public.training_deliveries (dag_run_id, oldest_event_at, conf)
SELECT (SELECT id FROM run),
       min(created_at),
       jsonb_build_object(
           'classifier', %(classifier)s::text,
           'tables', (SELECT jsonb_object_agg(table_name, operations) FROM tables),
           'events', count(*), 'rows', sum(coalesce(rows, 0)), 'newest_event', max(id))
FROM claimed
HAVING count(*) > 0
RETURNING dag_run_id, conf
