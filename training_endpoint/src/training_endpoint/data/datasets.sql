-- name: dataset_lock
-- One import at a time. Not an advisory lock: anybody may take those. The wait outlasts an autovacuum, which gives way.
SET LOCAL lock_timeout = '3s'; LOCK TABLE public.training_datasets IN SHARE ROW EXCLUSIVE MODE; SET LOCAL lock_timeout = 0

-- name: dataset_current
SELECT name, train_table, test_table, text_column, label_column, labels, source
FROM training_datasets
WHERE current

-- name: dataset_named
SELECT * FROM training_datasets WHERE name = %(name)s

-- name: dataset_names
SELECT name FROM training_datasets

-- name: dataset_register
INSERT INTO training_datasets (name, train_table, test_table, text_column, label_column, labels, source)
VALUES (%(name)s, %(train_table)s, %(test_table)s, %(text_column)s, %(label_column)s, %(labels)s, %(source)s)

-- name: dataset_select
UPDATE training_datasets SET current = true WHERE name = %(name)s

-- name: dataset_retire
UPDATE training_datasets SET current = false WHERE current AND name <> %(name)s

-- name: dataset_forget
DELETE FROM training_datasets WHERE name = %(name)s

-- name: dataset_counts
SELECT {label}::text AS label, count(*) AS rows FROM {table} GROUP BY {label} ORDER BY {label}

-- name: dataset_estimate
EXPLAIN (FORMAT JSON) SELECT FROM {table}

-- name: dataset_sample
-- Some thousand blocks instead of all.
SELECT {label}::text AS label, (count(*) * {times})::bigint AS rows
FROM {table} TABLESAMPLE SYSTEM ({percent}) GROUP BY {label} ORDER BY {label}

-- name: dataset_pending
-- Events that no training has covered, those of a run that is under way included.
SELECT count(*) AS events
FROM public.training_events e
WHERE e.table_name = ANY (%(tables)s)
  AND NOT EXISTS (SELECT FROM public.training_coverage c WHERE c.event_id = e.id)
