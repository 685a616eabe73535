-- The queue of what to label: who may do what.
SET search_path = pg_catalog, pg_temp;

GRANT USAGE ON SCHEMA label_queue TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON label_queue.items TO platform;
