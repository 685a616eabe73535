-- The queue of what to label: who may do what.
SET search_path = pg_catalog, pg_temp;

GRANT USAGE ON SCHEMA labelling TO platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON labelling.items TO platform;
