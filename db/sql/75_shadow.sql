-- The shadow: who may do what, and how labels decide about it.
SET search_path = pg_catalog, pg_temp;

GRANT SELECT, INSERT, UPDATE ON label_queue.shadows TO platform;
GRANT USAGE ON SCHEMA label_queue TO training_ledger;
GRANT SELECT, UPDATE ON label_queue.shadows TO training_ledger;

-- Labels have decided about a shadow: it becomes the Champion, or it is dropped and the Champion stays. The decision and
-- the shadow's end are one. LG001 when the Champion is another one by now, or held where it would be moved; LG005 when
-- the shadow has ended already.
CREATE OR REPLACE FUNCTION public.decide_by_labels(
    model text, shadow integer, compared_with integer, promotes boolean, the_verdict text, because text, proof jsonb
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '20s' AS $$
DECLARE
    newest public.promotion_ledger;
BEGIN
    LOCK TABLE public.promotion_ledger IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO newest FROM public.promotion_ledger l WHERE l.model_name = model ORDER BY l.id DESC LIMIT 1;
    IF newest.to_version IS DISTINCT FROM compared_with OR (promotes AND newest.pinned) THEN
        RAISE EXCEPTION 'the Champion has changed' USING ERRCODE = 'LG001';
    END IF;
    UPDATE label_queue.shadows s
    SET ended_at = clock_timestamp(), outcome = CASE WHEN promotes THEN 'promoted' ELSE 'dropped' END,
        because = decide_by_labels.because
    WHERE s.model_name = model AND s.version = shadow AND s.champion_version = compared_with AND s.ended_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'version % is no shadow of version % any more', shadow, compared_with USING ERRCODE = 'LG005';
    END IF;
    RETURN public.append_decision(
        'labels', model, newest.to_version, CASE WHEN promotes THEN shadow ELSE newest.to_version END, the_verdict,
        because, proof, NULL, newest.pinned);
END
$$;
ALTER FUNCTION public.decide_by_labels(text, integer, integer, boolean, text, text, jsonb) OWNER TO training_ledger;
REVOKE ALL ON FUNCTION public.decide_by_labels(text, integer, integer, boolean, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.decide_by_labels(text, integer, integer, boolean, text, text, jsonb) TO platform;
RESET search_path;
