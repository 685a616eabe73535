SELECT * FROM training_jobs WHERE run_id = %(run_id)s
