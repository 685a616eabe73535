-- The ledger becomes the truth: versions that training vouches for, and for each decision whether it is pinned, when it
-- took effect, and its place in the chain.
-- What training has registered, whatever its verdict, with the digest of each file that may ever be read again.
CREATE TABLE IF NOT EXISTS public.training_versions (
    model_name text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    run_id text NOT NULL,
    root text NOT NULL,           -- the folder of its files on the tracking server, below mlflow-artifacts:/
    files jsonb NOT NULL,         -- path below it: sha256
    metrics jsonb NOT NULL,
    tags jsonb NOT NULL,
    job_id text,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model_name, version)
);

CREATE TABLE IF NOT EXISTS public.promotion_ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL,
    model_name text NOT NULL,
    from_version integer,
    to_version integer,
    verdict text NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    job_id text
);

-- Whether a person holds the version, and when the decision took effect: the only columns that are ever changed.
ALTER TABLE public.promotion_ledger ADD COLUMN IF NOT EXISTS pinned boolean NOT NULL DEFAULT false;
ALTER TABLE public.promotion_ledger ADD COLUMN IF NOT EXISTS alias_at timestamptz;
ALTER TABLE public.promotion_ledger ADD COLUMN IF NOT EXISTS served_at timestamptz;
-- The chain: each row's hash covers what it says and the hash of the row before it.
ALTER TABLE public.promotion_ledger ADD COLUMN IF NOT EXISTS previous_hash text;
ALTER TABLE public.promotion_ledger ADD COLUMN IF NOT EXISTS hash text;
CREATE INDEX IF NOT EXISTS promotion_ledger_by_model ON public.promotion_ledger (model_name, id);
