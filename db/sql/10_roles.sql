-- The role that the relay and the training endpoint log in with. Its password is set apart from these files.
DO $$
BEGIN
    CREATE ROLE platform LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- roles belong to the whole server: another database, or another process right now, made it
END
$$;

-- The importer creates the tables of datasets.
DO $$ BEGIN EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO platform', current_database()); END $$;
GRANT USAGE, CREATE ON SCHEMA public TO platform;
