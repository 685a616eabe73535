-- What the training endpoint may do with its tables, and every move of the alias.
SET search_path = pg_catalog, pg_temp;

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

CREATE OR REPLACE FUNCTION public.refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'promotion_ledger is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.promotion_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_ledger_change();

GRANT SELECT, INSERT, UPDATE, DELETE ON public.training_datasets, public.training_jobs, public.training_coverage
    TO platform;
GRANT SELECT, INSERT ON public.promotion_ledger TO platform;
