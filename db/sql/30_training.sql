-- What the training endpoint remembers: datasets, jobs, and what each job trained on.

CREATE TABLE IF NOT EXISTS training_datasets (
    name text PRIMARY KEY,
    train_table text NOT NULL,  -- as regclass prints it, like training_events.table_name
    test_table text NOT NULL,
    text_column text NOT NULL,
    label_column text NOT NULL,
    labels jsonb NOT NULL,
    source text NOT NULL,
    current boolean NOT NULL DEFAULT false,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS training_datasets_one_current ON training_datasets (current) WHERE current;

CREATE TABLE IF NOT EXISTS training_jobs (
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
CREATE INDEX IF NOT EXISTS training_jobs_created ON training_jobs (created_at);

-- No reference to training_events: a slow job may still cover an event that retention has just pruned.
CREATE TABLE IF NOT EXISTS training_coverage (
    event_id bigint PRIMARY KEY,
    job_id text NOT NULL REFERENCES training_jobs,
    covered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON training_datasets, training_jobs, training_coverage TO platform;
