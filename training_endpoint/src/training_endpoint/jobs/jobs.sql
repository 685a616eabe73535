-- name: job_queue_lock
-- One submission at a time counts the queue; who reads or changes jobs, and VACUUM's own, is in nobody's way.
LOCK TABLE training_jobs IN SHARE UPDATE EXCLUSIVE MODE

-- name: job_insert
INSERT INTO training_jobs (job_id, run_id, classifier, status, phase, progress, request, detail)
SELECT %(job_id)s, %(run_id)s, %(classifier)s, 'queued', 'queued', 0, %(request)s, '{}'
WHERE (SELECT count(*) FROM training_jobs WHERE status = 'queued') < %(most_queued)s
ON CONFLICT (run_id) DO NOTHING
RETURNING *

-- name: job_by_run
SELECT * FROM training_jobs WHERE run_id = %(run_id)s

-- name: job_get
SELECT * FROM training_jobs WHERE job_id = %(job_id)s

-- name: job_list
SELECT * FROM training_jobs ORDER BY created_at DESC, job_id DESC LIMIT %(limit)s

-- name: job_counts
SELECT status, count(*) AS jobs FROM training_jobs GROUP BY status

-- name: job_newest_succeeded
SELECT * FROM training_jobs WHERE status = 'succeeded' AND verdict IS NOT NULL ORDER BY finished_at DESC LIMIT 1

-- name: job_claim
-- The next job to run. There is one runner, so a job that is `running` while the runner asks was interrupted:
-- it goes first and continues in its own folder.
UPDATE training_jobs
SET status = 'running',
    phase = 'starting',
    started_at = coalesce(started_at, now()),
    detail = detail || jsonb_build_object('attempts', coalesce((detail ->> 'attempts')::int, 0) + 1)
WHERE job_id = (
    SELECT job_id FROM training_jobs
    WHERE status IN ('running', 'queued')
    ORDER BY status = 'running' DESC, created_at, job_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING *

-- name: job_progress
UPDATE training_jobs
SET phase = coalesce(%(phase)s, phase),
    progress = coalesce(%(progress)s, progress),
    mlflow_run_id = coalesce(%(mlflow_run_id)s, mlflow_run_id),
    detail = detail || %(detail)s
WHERE job_id = %(job_id)s AND status = 'running'

-- name: job_succeed
UPDATE training_jobs
SET status = 'succeeded',
    phase = 'done',
    progress = 1,
    verdict = %(verdict)s,
    mlflow_run_id = %(mlflow_run_id)s,
    model_version = %(model_version)s,
    detail = detail || %(detail)s,
    error = NULL,
    finished_at = now()
WHERE job_id = %(job_id)s AND status = 'running'
RETURNING *

-- name: coverage_insert
INSERT INTO training_coverage (event_id, classifier, job_id)
SELECT unnest(%(event_ids)s::bigint[]), coalesce(%(classifier)s, ''), %(job_id)s
ON CONFLICT (event_id, classifier) DO NOTHING

-- name: job_fail
UPDATE training_jobs
SET status = 'failed', phase = 'done', error = %(error)s, finished_at = now()
WHERE job_id = %(job_id)s AND status = 'running'
RETURNING *

-- name: job_cancel
UPDATE training_jobs
SET status = 'cancelled', phase = 'done', error = 'cancelled on request', finished_at = now()
WHERE job_id = %(job_id)s AND status IN ('queued', 'running')
RETURNING *

-- name: job_warm_since_full
-- Runs of a classifier that went on from its Champion since the newest that did not.
SELECT count(*) AS runs
FROM training_jobs
WHERE status = 'succeeded'
  AND detail -> 'dataset' ->> 'name' = %(classifier)s
  AND detail -> 'course' ->> 'mode' = 'warm'
  AND finished_at > coalesce((
      SELECT max(finished_at) FROM training_jobs
      WHERE status = 'succeeded'
        AND detail -> 'dataset' ->> 'name' = %(classifier)s
        AND verdict IS NOT NULL
        AND detail -> 'course' ->> 'mode' IS DISTINCT FROM 'warm'), '-infinity')

-- name: job_events_covered_by
-- The run whose job trained on the events that started this one; none for a run that no event started.
SELECT j.run_id
FROM training_event_history e
JOIN training_coverage c ON c.event_id = e.id AND c.classifier = e.classifier
JOIN training_jobs j ON j.job_id = c.job_id
WHERE e.dag_run_id = %(run_id)s AND e.classifier = %(classifier)s
ORDER BY c.covered_at DESC
LIMIT 1

-- name: job_waits
-- Of each queued job its place, and the seconds until it begins: what is left of the job that runs and all of those
-- before it, each taken to last as long as the last five of its classifier did, or of all where it had none yet.
WITH ended AS (
    SELECT detail -> 'dataset' ->> 'name' AS classifier,
           extract(epoch FROM finished_at - started_at) AS seconds,
           row_number() OVER (PARTITION BY detail -> 'dataset' ->> 'name' ORDER BY finished_at DESC) AS nth
    FROM training_jobs
    WHERE status = 'succeeded' AND verdict IS NOT NULL AND started_at IS NOT NULL
), took AS (
    SELECT classifier, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds
    FROM ended WHERE nth <= 5 GROUP BY GROUPING SETS ((classifier), ())
), owner AS (
    SELECT name FROM public.classifiers WHERE is_default
), expected AS (
    SELECT j.job_id, j.created_at, j.status,
           greatest(0, coalesce(own.seconds, every.seconds)
                       - coalesce(extract(epoch FROM clock_timestamp() - j.started_at), 0)) AS seconds
    FROM training_jobs j
    LEFT JOIN took own ON own.classifier = coalesce(j.classifier, (SELECT name FROM owner))
    LEFT JOIN took every ON every.classifier IS NULL
    WHERE j.status IN ('queued', 'running')
), placed AS (
    SELECT job_id, status,
           count(*) FILTER (WHERE status = 'queued') OVER before_and_it AS place,
           sum(seconds) OVER before_it AS starts_in_s
    FROM expected
    WINDOW before_and_it AS (ORDER BY status = 'running' DESC, created_at, job_id),
           before_it AS (ORDER BY status = 'running' DESC, created_at, job_id
                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT job_id, place, starts_in_s::float8 FROM placed WHERE status = 'queued'
