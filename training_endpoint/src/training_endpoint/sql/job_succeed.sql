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
