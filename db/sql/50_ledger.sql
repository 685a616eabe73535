-- The ledger: every decision on what is served, and every version that can be decided for.
-- It is the truth: MLflow's alias and every model endpoint follow its newest row. The role platform reads it, and
-- writes by the functions at the end alone: they set who decides for a job, when, and in which order.
SET search_path = pg_catalog, pg_temp;

CREATE OR REPLACE FUNCTION public.ledger_hash(entry public.promotion_ledger) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        entry.previous_hash, entry.id, to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), entry.who,
        entry.model_name, entry.from_version, entry.to_version, entry.verdict, entry.reason, entry.evidence,
        entry.job_id, entry.pinned
    )::text, 'UTF8')), 'hex')
$$;

-- Rows from before the chain: they were carried out as they were written.
DO $$
DECLARE
    entry public.promotion_ledger;
    before text;
BEGIN
    IF EXISTS (SELECT FROM public.promotion_ledger WHERE hash IS NULL) THEN
        ALTER TABLE public.promotion_ledger DISABLE TRIGGER USER;
        FOR entry IN SELECT * FROM public.promotion_ledger ORDER BY id LOOP
            entry.previous_hash := before;
            before := public.ledger_hash(entry);
            UPDATE public.promotion_ledger
            SET previous_hash = entry.previous_hash, hash = before,
                alias_at = coalesce(alias_at, at), served_at = coalesce(served_at, at)
            WHERE id = entry.id;
        END LOOP;
        ALTER TABLE public.promotion_ledger ENABLE TRIGGER USER;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION public.seal_ledger_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.at := clock_timestamp();
    NEW.previous_hash := (SELECT hash FROM public.promotion_ledger ORDER BY id DESC LIMIT 1);
    NEW.hash := public.ledger_hash(NEW);
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER seal BEFORE INSERT ON public.promotion_ledger
    FOR EACH ROW EXECUTE FUNCTION public.seal_ledger_entry();

CREATE OR REPLACE FUNCTION public.refuse_ledger_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF public.ledger_hash(NEW) = OLD.hash AND NEW.hash = OLD.hash
           AND (OLD.alias_at IS NULL OR NEW.alias_at = OLD.alias_at)
           AND (OLD.served_at IS NULL OR NEW.served_at = OLD.served_at) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'promotion_ledger is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON public.promotion_ledger
    FOR EACH ROW EXECUTE FUNCTION public.refuse_ledger_change();
CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON public.promotion_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_ledger_change();

-- Rows that do not follow from the row before them: none, unless somebody went past these functions.
CREATE OR REPLACE VIEW public.ledger_breaks AS
SELECT id
FROM (
    SELECT entry.id, entry.hash, entry.previous_hash, public.ledger_hash(entry) AS right_hash,
           lag(entry.hash) OVER (ORDER BY entry.id) AS hash_before
    FROM public.promotion_ledger entry
) chain
WHERE hash IS DISTINCT FROM right_hash OR previous_hash IS DISTINCT FROM hash_before;

-- Appends one decision. Only the lock's holder decides, and nobody whose rights are to read can take it.
CREATE OR REPLACE FUNCTION public.append_decision(
    decides text, model text, was integer, becomes integer, the_verdict text, because text, proof jsonb, job text,
    holds boolean
) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
    removed timestamptz;
BEGIN
    IF becomes IS DISTINCT FROM was AND becomes IS NOT NULL THEN
        SELECT v.removed_at INTO removed FROM public.training_versions v
        WHERE v.model_name = model AND v.version = becomes;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'version % of % was not registered by training', becomes, model USING ERRCODE = 'LG003';
        ELSIF removed IS NOT NULL THEN
            RAISE EXCEPTION 'the files of version % of % were removed', becomes, model USING ERRCODE = 'LG004';
        END IF;
    END IF;
    INSERT INTO public.promotion_ledger
        (who, model_name, from_version, to_version, verdict, reason, evidence, job_id, pinned, alias_at, served_at)
    VALUES (decides, model, was, becomes, the_verdict, because, proof, job, holds, NULL, NULL)
    RETURNING id INTO made;
    RETURN made;
END
$$;

-- A training job decides, once, and only while it runs: LG002 when it does not. LG001 when the Champion, or whether it
-- is pinned, is no longer what the job compared with.
CREATE OR REPLACE FUNCTION public.decide_for_job(
    job text, model text, compared_with integer, was_pinned boolean, becomes integer, the_verdict text, because text,
    proof jsonb
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '20s' AS $$
DECLARE
    newest public.promotion_ledger;
BEGIN
    LOCK TABLE public.promotion_ledger IN SHARE ROW EXCLUSIVE MODE;
    PERFORM FROM public.training_jobs j WHERE j.job_id = job AND j.status = 'running' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % is no longer running', job USING ERRCODE = 'LG002';
    END IF;
    SELECT * INTO newest FROM public.promotion_ledger l WHERE l.model_name = model ORDER BY l.id DESC LIMIT 1;
    IF newest.to_version IS DISTINCT FROM compared_with OR coalesce(newest.pinned, false) <> was_pinned THEN
        RAISE EXCEPTION 'the Champion has changed' USING ERRCODE = 'LG001';
    END IF;
    RETURN public.append_decision(
        'training', model, newest.to_version, becomes, the_verdict, because, proof, job, coalesce(newest.pinned, false));
END
$$;

-- A person decides. `becomes` NULL keeps the version, so that a pin can be set or taken away alone.
CREATE OR REPLACE FUNCTION public.decide_by_hand(
    decides text, model text, becomes integer, holds boolean, the_verdict text, because text
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '20s' AS $$
DECLARE
    newest public.promotion_ledger;
BEGIN
    LOCK TABLE public.promotion_ledger IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO newest FROM public.promotion_ledger l WHERE l.model_name = model ORDER BY l.id DESC LIMIT 1;
    RETURN public.append_decision(
        CASE WHEN regexp_replace(lower(normalize(decides, NFKC)), '[^[:alnum:]]', '', 'g') IN ('training', 'labels')
             THEN 'somebody called ' || decides ELSE decides END,
        model, newest.to_version, coalesce(becomes, newest.to_version), the_verdict, because, '{}', NULL, holds);
END
$$;

-- Notes that a decision took effect, in MLflow ('alias') or on every model endpoint ('served').
CREATE OR REPLACE FUNCTION public.decision_took_effect(decision bigint, place text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.promotion_ledger
    SET alias_at = CASE place WHEN 'alias' THEN coalesce(alias_at, clock_timestamp()) ELSE alias_at END,
        served_at = CASE place WHEN 'served' THEN coalesce(served_at, clock_timestamp()) ELSE served_at END
    WHERE id = decision
$$;

-- Gives up a version's files for good: from here on nobody decides for it or asks for them. False where they are given
-- up already, or needed: by the version in force or to be, by the one that a rollback names, by a job that still judges,
-- by the shadow.
CREATE OR REPLACE FUNCTION public.remove_version_files(model text, number integer, because text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '20s' AS $$
BEGIN
    LOCK TABLE public.promotion_ledger IN SHARE ROW EXCLUSIVE MODE;
    UPDATE public.training_versions v
    SET removed_at = clock_timestamp(), removed_because = because
    WHERE v.model_name = model AND v.version = number AND v.removed_at IS NULL
      AND NOT EXISTS (
          SELECT FROM public.training_jobs j WHERE j.job_id = v.job_id AND j.status IN ('queued', 'running'))
      AND NOT EXISTS (
          SELECT FROM label_queue.shadows s WHERE s.model_name = model AND s.version = number AND s.ended_at IS NULL)
      AND number NOT IN (
          SELECT l.to_version FROM public.promotion_ledger l
          WHERE l.model_name = model AND l.to_version IS NOT NULL
          GROUP BY l.to_version ORDER BY max(l.id) DESC LIMIT 2)
      -- Until the newest decision is in force everywhere, replicas serve what was decided before it.
      AND NOT EXISTS (
          SELECT FROM public.promotion_ledger l
          WHERE l.model_name = model AND l.to_version = number
            AND l.id >= coalesce((SELECT max(s.id) FROM public.promotion_ledger s
                                  WHERE s.model_name = model AND s.served_at IS NOT NULL), 0));
    RETURN FOUND;
END
$$;

-- Notes that they are deleted.
CREATE OR REPLACE FUNCTION public.version_files_gone(model text, number integer) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.training_versions v SET gone_at = clock_timestamp()
    WHERE v.model_name = model AND v.version = number AND v.removed_at IS NOT NULL AND v.gone_at IS NULL
$$;

-- They run as a role that may do this alone; LOCK wants the right to change every column, and the triggers above see
-- to it that two of them change.
ALTER FUNCTION public.decide_for_job(text, text, integer, boolean, integer, text, text, jsonb) OWNER TO training_ledger;
ALTER FUNCTION public.decide_by_hand(text, text, integer, boolean, text, text) OWNER TO training_ledger;
ALTER FUNCTION public.decision_took_effect(bigint, text) OWNER TO training_ledger;
ALTER FUNCTION public.remove_version_files(text, integer, text) OWNER TO training_ledger;
ALTER FUNCTION public.version_files_gone(text, integer) OWNER TO training_ledger;
GRANT SELECT, INSERT, UPDATE ON public.promotion_ledger TO training_ledger;
GRANT SELECT ON public.training_versions, public.training_jobs TO training_ledger;
GRANT UPDATE (removed_at, removed_because, gone_at) ON public.training_versions TO training_ledger;
GRANT UPDATE (job_id) ON public.training_jobs TO training_ledger;  -- to lock a row

REVOKE ALL ON FUNCTION public.remove_version_files(text, integer, text), public.version_files_gone(text, integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.remove_version_files(text, integer, text), public.version_files_gone(text, integer)
    TO platform;
REVOKE ALL ON FUNCTION public.append_decision(text, text, integer, integer, text, text, jsonb, text, boolean),
    public.decide_for_job(text, text, integer, boolean, integer, text, text, jsonb),
    public.decide_by_hand(text, text, integer, boolean, text, text),
    public.decision_took_effect(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    public.append_decision(text, text, integer, integer, text, text, jsonb, text, boolean) TO training_ledger;
GRANT EXECUTE ON FUNCTION public.decide_for_job(text, text, integer, boolean, integer, text, text, jsonb),
    public.decide_by_hand(text, text, integer, boolean, text, text),
    public.decision_took_effect(bigint, text) TO platform;
REVOKE ALL ON public.promotion_ledger, public.training_versions FROM platform;
GRANT SELECT ON public.promotion_ledger, public.ledger_breaks TO platform;
-- When a version was registered says the database.
GRANT SELECT, INSERT (model_name, version, run_id, root, files, metrics, tags, job_id) ON public.training_versions
    TO platform;
RESET search_path;
