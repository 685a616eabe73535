SELECT to_version,
       id = (SELECT max(id) FROM promotion_ledger newer WHERE newer.model_name = mine.model_name) AS newest
FROM promotion_ledger mine
WHERE job_id = %(job_id)s
ORDER BY id DESC
LIMIT 1
