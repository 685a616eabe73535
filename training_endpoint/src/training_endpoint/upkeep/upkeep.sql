-- name: versions_begun
-- Given up, and not yet deleted.
SELECT model_name AS name, version, root, removed_because
FROM public.training_versions
WHERE removed_at IS NOT NULL AND gone_at IS NULL
ORDER BY model_name, version

-- name: versions_kept
-- Those that have files, each with its place among its model's Champions, the newest decision first, or among those that
-- never were one, the newest version first. What a job still judges, and a shadow, is left out.
WITH champions AS (
    SELECT model_name, to_version AS version, max(id) AS decided
    FROM public.promotion_ledger
    WHERE to_version IS NOT NULL
    GROUP BY model_name, to_version
)
SELECT v.model_name AS name, v.version, v.root, v.registered_at, c.decided IS NOT NULL AS champion,
       row_number() OVER (PARTITION BY v.model_name, c.decided IS NULL ORDER BY c.decided DESC, v.version DESC) AS place
FROM public.training_versions v
LEFT JOIN champions c ON c.model_name = v.model_name AND c.version = v.version
LEFT JOIN public.training_jobs j ON j.job_id = v.job_id
WHERE v.removed_at IS NULL AND (j.status IS NULL OR j.status NOT IN ('queued', 'running'))
  AND NOT EXISTS (
      SELECT FROM label_queue.shadows s WHERE s.model_name = v.model_name AND s.version = v.version AND s.ended_at IS NULL)
ORDER BY v.model_name, v.version

-- name: version_remove
SELECT public.remove_version_files(%(name)s, %(version)s::int, %(because)s) AS removed

-- name: version_gone
SELECT public.version_files_gone(%(name)s, %(version)s::int)

-- name: runs_old
-- Jobs that ended long ago and registered nothing that still has files. An event that one covered keeps it.
SELECT j.job_id, j.run_id, j.mlflow_run_id, v.model_name AS name, v.version, v.root
FROM public.training_jobs j
LEFT JOIN public.training_versions v ON v.job_id = j.job_id
WHERE j.status NOT IN ('queued', 'running')
  AND j.finished_at < now() - make_interval(secs => %(seconds)s)
  AND (v.version IS NULL OR v.gone_at IS NOT NULL)
  AND NOT EXISTS (SELECT FROM public.training_coverage c WHERE c.job_id = j.job_id)
ORDER BY j.finished_at
LIMIT 1000

-- name: run_forget
DELETE FROM public.training_jobs WHERE job_id = %(job_id)s

-- name: database_bytes
SELECT pg_database_size(current_database()) AS bytes

-- name: clean_alone
-- A backup holds this while it reads (launch/backup/take.sh), so that nothing goes that it has named. Rows come and
-- go. The wait outlasts an autovacuum, which gives way.
SET LOCAL lock_timeout = '3s'; LOCK TABLE public.training_coverage IN SHARE UPDATE EXCLUSIVE MODE; SET LOCAL lock_timeout = 0
