UPDATE training_jobs
SET status = 'failed', phase = 'done', error = %(error)s, finished_at = now()
WHERE job_id = %(job_id)s AND status = 'running'
RETURNING *
