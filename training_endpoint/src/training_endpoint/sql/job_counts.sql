SELECT status, count(*) AS jobs FROM training_jobs GROUP BY status
