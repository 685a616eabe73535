-- What the training endpoint may do with its tables.
SET search_path = pg_catalog, pg_temp;

GRANT SELECT, INSERT, UPDATE, DELETE ON public.training_jobs, public.training_coverage
    TO platform;
