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
