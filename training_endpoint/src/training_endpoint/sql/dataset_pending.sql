SELECT count(*) AS events FROM training_event_queue WHERE table_name = ANY (%(tables)s)
