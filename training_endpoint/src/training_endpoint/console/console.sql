-- name: console_limit
-- Nobody who looks keeps the database busy for longer.
SET LOCAL statement_timeout = '5s'

-- name: console_classifiers
-- Each with the decision that made its version the Champion, what was measured of it, and what the newest run learned.
SELECT c.name, c.is_default, c.train_table, c.test_table, newest.id AS decision, newest.pinned,
       newest.to_version AS version, made.at AS since, made.who, made.verdict, made.reason,
       measured.metrics, learned.at AS learned_at, learned.train_rows, learned.test_rows, learned.left_out
FROM (
    SELECT *, coalesce(model_name, name) AS model FROM public.classifiers
    WHERE retired_at IS NULL ORDER BY is_default DESC, name LIMIT %(most)s
) c
LEFT JOIN LATERAL (
    SELECT l.id, l.to_version, l.pinned FROM public.promotion_ledger l
    WHERE l.model_name = c.model ORDER BY l.id DESC LIMIT 1
) newest ON true
LEFT JOIN LATERAL (
    SELECT l.at, l.who, l.verdict, l.reason FROM public.promotion_ledger l
    WHERE l.model_name = c.model AND l.to_version = newest.to_version AND l.from_version IS DISTINCT FROM l.to_version
    ORDER BY l.id DESC LIMIT 1
) made ON true
LEFT JOIN public.training_versions measured ON measured.model_name = c.model AND measured.version = newest.to_version
LEFT JOIN LATERAL (
    SELECT j.finished_at AS at, j.detail -> 'dataset' -> 'train_rows' AS train_rows,
           j.detail -> 'dataset' -> 'test_rows' AS test_rows, j.detail -> 'dataset' -> 'dropped' AS left_out
    FROM public.training_jobs j
    WHERE j.classifier = c.name AND j.status = 'succeeded' ORDER BY j.created_at DESC LIMIT 1
) learned ON true
ORDER BY c.is_default DESC, c.name

-- name: console_rows
-- Changes that no run has covered, of each classifier, by what becomes of them. One that was not counted counts as one row.
WITH uncovered AS (
    (SELECT c.name AS classifier, 'waiting' AS state, q.rows, q.created_at, NULL AS because
     FROM public.training_event_queue q
     JOIN public.classifiers c ON c.retired_at IS NULL AND q.table_name IN (c.train_table, c.test_table)
     LIMIT %(most)s)
    UNION ALL
    (SELECT e.classifier, 'waiting', e.rows, e.created_at, NULL
     FROM public.training_event_history e
     WHERE e.dag_run_id IS NULL AND e.classifier <> ''
     LIMIT %(most)s)
    UNION ALL
    (SELECT e.classifier, 'in a run', e.rows, e.created_at, NULL
     FROM public.training_deliveries d
     JOIN public.training_event_history e ON e.dag_run_id = d.dag_run_id
     WHERE d.state IN ('claimed', 'accepted')
       AND NOT EXISTS (SELECT FROM public.training_untrained u WHERE u.event_id = e.id AND u.classifier = e.classifier)
       AND NOT EXISTS (SELECT FROM public.training_coverage c WHERE c.event_id = e.id AND c.classifier = e.classifier)
     LIMIT %(most)s)
    UNION ALL
    (SELECT u.classifier, CASE WHEN u.given_up THEN 'given up' ELSE 'tried again' END, e.rows, e.created_at, u.because
     FROM public.training_untrained u
     JOIN public.training_event_history e ON e.id = u.event_id AND e.classifier = u.classifier
     WHERE NOT EXISTS (SELECT FROM public.training_coverage c WHERE c.event_id = u.event_id AND c.classifier = u.classifier)
     LIMIT %(most)s)
)
SELECT classifier, state, count(*) AS changes, least(sum(greatest(coalesce(rows, 1), 1)::numeric), 1e15)::bigint AS rows,
       min(created_at) AS since, max(because) AS because
FROM uncovered
GROUP BY classifier, state

-- name: console_of_none
SELECT events AS changes, since, tables[:20] AS tables FROM public.training_events_of_none

-- name: console_feedback
-- Notes that are no rows yet.
SELECT classifier, count(*) AS notes FROM (
    SELECT classifier FROM prediction_log.feedback WHERE state IN ('waiting', 'accepted') LIMIT %(most)s
) open GROUP BY classifier

-- name: console_covered
-- Of a classifier's newest changes those that runs have covered.
SELECT count(*) AS changes, least(coalesce(sum(greatest(coalesce(e.rows, 1), 1)::numeric), 0), 1e15)::bigint AS rows,
       min(e.created_at) AS since
FROM (
    SELECT id, rows, created_at FROM public.training_event_history
    WHERE classifier = %(name)s ORDER BY id DESC LIMIT %(most)s
) e
JOIN public.training_coverage c ON c.event_id = e.id AND c.classifier = %(name)s

-- name: console_ledger
-- Decisions before one, the newest first. `judged` is the version that a run has made, promoted or not; `removed`:
-- the one decided for can be served no more.
SELECT l.id, l.at, l.who, l.from_version, l.to_version, l.verdict, l.reason, l.pinned, l.alias_at, l.served_at,
       v.version AS judged, v.metrics, coalesce(t.removed_at IS NOT NULL, false) AS removed
FROM (
    SELECT *, coalesce(
        CASE WHEN evidence ->> 'challenger_version' ~ '^\d{1,9}$' THEN (evidence ->> 'challenger_version')::int END,
        CASE WHEN job_id IS NOT NULL AND to_version IS DISTINCT FROM from_version THEN to_version END) AS challenger
    FROM public.promotion_ledger
    WHERE model_name = %(model)s AND id < %(before)s
    ORDER BY id DESC LIMIT %(most)s
) l
LEFT JOIN public.training_versions v ON v.model_name = l.model_name AND v.version = l.challenger
LEFT JOIN public.training_versions t ON t.model_name = l.model_name AND t.version = l.to_version
ORDER BY l.id DESC
