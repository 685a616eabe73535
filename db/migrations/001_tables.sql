-- The tables as the first platforms have them, where they are made by IF NOT EXISTS.

CREATE TABLE IF NOT EXISTS public.training_deliveries (
    dag_run_id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'claimed' CHECK (state IN ('claimed', 'accepted')),
    conf jsonb NOT NULL,
    oldest_event_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);
CREATE INDEX IF NOT EXISTS training_deliveries_claimed ON public.training_deliveries (created_at)
    WHERE state = 'claimed';

-- What no run has been started for yet: the trigger inserts, the relay takes away. So what a writer pays for, and what is
-- asked several times a second, is one small table, however long the history grows. It has no index, for whoever reads
-- it reads it whole, and each writer would pay for one.
CREATE TABLE IF NOT EXISTS public.training_event_queue (
    id bigint GENERATED ALWAYS AS IDENTITY,
    table_name text NOT NULL,  -- quoted and qualified where needed, as regclass prints it for platform
    operation text NOT NULL,   -- INSERT, UPDATE, DELETE or TRUNCATE
    rows bigint,               -- null: not counted, as for TRUNCATE
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE IF NOT EXISTS public.training_event_history (
    id bigint PRIMARY KEY,
    table_name text NOT NULL,
    operation text NOT NULL,
    rows bigint,
    created_at timestamptz NOT NULL,
    dag_run_id text NOT NULL  -- of training_deliveries
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE TABLE IF NOT EXISTS public.training_datasets (
    name text PRIMARY KEY,
    train_table text NOT NULL,  -- like training_events.table_name
    test_table text NOT NULL,
    text_column text NOT NULL,
    label_column text NOT NULL,
    labels jsonb NOT NULL,
    source text NOT NULL,
    current boolean NOT NULL DEFAULT false,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS training_datasets_one_current ON public.training_datasets (current) WHERE current;

CREATE TABLE IF NOT EXISTS public.training_jobs (
    job_id text PRIMARY KEY,
    run_id text NOT NULL UNIQUE,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    phase text NOT NULL DEFAULT 'queued',
    progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    request jsonb NOT NULL DEFAULT '{}',
    detail jsonb NOT NULL DEFAULT '{}',
    error text,
    verdict text,
    mlflow_run_id text,
    model_version integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX IF NOT EXISTS training_jobs_created ON public.training_jobs (created_at);

-- No reference to training_events: a slow job may still cover an event that retention has just pruned.
CREATE TABLE IF NOT EXISTS public.training_coverage (
    event_id bigint PRIMARY KEY,
    job_id text NOT NULL REFERENCES public.training_jobs,
    covered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
