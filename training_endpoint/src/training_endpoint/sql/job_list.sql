SELECT * FROM training_jobs ORDER BY created_at DESC, job_id DESC LIMIT %(limit)s
