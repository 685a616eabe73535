-- name: dataset_lock
-- One import at a time. Not an advisory lock: anybody may take those. The wait outlasts an autovacuum, which gives way.
SET LOCAL lock_timeout = '3s'; LOCK TABLE public.classifiers IN SHARE ROW EXCLUSIVE MODE; SET LOCAL lock_timeout = 0

-- name: classifier_default
SELECT * FROM public.classifiers WHERE is_default

-- name: classifier_named
SELECT * FROM public.classifiers WHERE name = %(name)s

-- name: classifiers
SELECT c.*, (SELECT max(l.id) FROM public.promotion_ledger l WHERE l.model_name = coalesce(c.model_name, c.name)) AS decision
FROM public.classifiers c ORDER BY is_default DESC, name

-- name: classifier_left_out
-- What the newest run of each that ended well left out, by reason.
SELECT c.name, job.dropped
FROM public.classifiers c CROSS JOIN LATERAL (
    SELECT j.detail -> 'dataset' -> 'dropped' AS dropped FROM public.training_jobs j
    WHERE j.classifier = c.name AND j.status = 'succeeded'
    ORDER BY j.created_at DESC LIMIT 1
) job
WHERE c.retired_at IS NULL

-- name: classifier_create
SELECT public.create_classifier(
    %(name)s, %(train_table)s::regclass, %(test_table)s::regclass, %(text_column)s, %(label_column)s)

-- name: classifier_describe
UPDATE public.classifiers
SET labels = %(labels)s, source = %(source)s, model_name = %(model_name)s, base_model = %(base_model)s,
    policy = %(policy)s
WHERE name = %(name)s

-- name: classifier_make_default
SELECT public.make_default_classifier(%(name)s)

-- name: classifier_forget
DELETE FROM public.classifiers WHERE name = %(name)s

-- name: classifier_learned
UPDATE public.classifiers
SET labels = labels || (
    SELECT coalesce(jsonb_agg(label), '[]') FROM jsonb_array_elements_text(%(labels)s) label WHERE NOT labels ? label)
WHERE name = %(name)s

-- name: dataset_counts
-- As text, as labels are compared: 1 and 1.0 are two, and so are two spellings of a type to which they are one.
SELECT {label}::text AS label, count(*) AS rows FROM {table} GROUP BY 1 ORDER BY 1

-- name: dataset_estimate
EXPLAIN (FORMAT JSON) SELECT FROM {table}

-- name: dataset_sample
-- Some thousand blocks instead of all.
SELECT {label}::text AS label, (count(*) * {times})::bigint AS rows
FROM {table} TABLESAMPLE SYSTEM ({percent}) GROUP BY 1 ORDER BY 1

-- name: dataset_pending
-- Events that no training has covered, those of a run that is under way included.
SELECT count(*) AS events
FROM public.training_events e
WHERE e.classifier = %(name)s
  AND NOT EXISTS (
      SELECT FROM public.training_coverage c WHERE c.event_id = e.id AND c.classifier = e.classifier)
