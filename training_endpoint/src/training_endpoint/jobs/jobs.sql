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
SELECT * FROM training_jobs WHERE status = 'succeeded' ORDER BY finished_at DESC LIMIT 1

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
        AND detail -> 'course' ->> 'mode' IS DISTINCT FROM 'warm'), '-infinity')
