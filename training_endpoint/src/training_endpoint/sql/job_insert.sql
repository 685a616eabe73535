INSERT INTO training_jobs (job_id, run_id, status, phase, progress, request, detail)
VALUES (%(job_id)s, %(run_id)s, 'queued', 'queued', 0, %(request)s, '{}')
ON CONFLICT (run_id) DO NOTHING
RETURNING *
