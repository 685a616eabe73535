-- From the queue, which writers add to, into the history: once for each classifier that the table belongs to, and as
-- nobody's where there is none.
WITH fresh AS (
    DELETE FROM public.training_event_queue RETURNING id, table_name, operation, rows, created_at
)
INSERT INTO public.training_event_history (id, table_name, operation, rows, created_at, classifier)
SELECT fresh.*, coalesce(c.name, '')
FROM fresh LEFT JOIN public.classifiers c ON c.retired_at IS NULL AND fresh.table_name IN (c.train_table, c.test_table)
RETURNING table_name, classifier
