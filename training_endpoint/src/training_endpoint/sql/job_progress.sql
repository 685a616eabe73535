UPDATE training_jobs
SET phase = coalesce(%(phase)s, phase),
    progress = coalesce(%(progress)s, progress),
    mlflow_run_id = coalesce(%(mlflow_run_id)s, mlflow_run_id),
    detail = detail || %(detail)s
WHERE job_id = %(job_id)s AND status = 'running'
