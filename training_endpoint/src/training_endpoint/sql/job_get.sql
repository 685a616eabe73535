SELECT * FROM training_jobs WHERE job_id = %(job_id)s
