SELECT * FROM training_jobs WHERE status = 'succeeded' ORDER BY finished_at DESC LIMIT 1
