SELECT count(*) AS events FROM training_events WHERE dag_run_id IS NULL AND table_name = ANY (%(tables)s)
