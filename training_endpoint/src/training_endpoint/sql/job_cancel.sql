UPDATE training_jobs
SET status = 'cancelled', phase = 'done', error = 'cancelled on request', finished_at = now()
WHERE job_id = %(job_id)s AND status IN ('queued', 'running')
RETURNING *
