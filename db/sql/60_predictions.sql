-- The log of predictions: its days, and who may do what. Replicas, as the role serving, add rows and do nothing else.
SET search_path = pg_catalog, pg_temp;

-- Makes the days ahead and drops one that ended more than `days` days ago, with the feedback of then that is decided and
-- the texts of then that were to be labelled; null drops none. Answers which it dropped:
-- call it again until it is null. No lock that it waits for or holds keeps a replica's COPY waiting: a day is attached
-- beside writers, and dropped only where the lock is to be had at once, else by a later call.
CREATE OR REPLACE FUNCTION prediction_log.keep(days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
SET client_min_messages = warning SET datestyle = 'ISO' SET timezone = 'UTC' AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    day date;
    name text;
BEGIN
    -- One at a time; it waits for no writer and no reader.
    LOCK TABLE prediction_log.answers IN SHARE UPDATE EXCLUSIVE MODE;
    FOR day IN SELECT today + ahead FROM generate_series(-1, 7) ahead LOOP
        name := 'answers_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('prediction_log.' || name) IS NULL THEN
            EXECUTE format('CREATE TABLE prediction_log.%I (LIKE prediction_log.answers)', name);
            EXECUTE format('ALTER TABLE prediction_log.answers ATTACH PARTITION prediction_log.%I FOR VALUES FROM (%L) TO (%L)',
                name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        END IF;
    END LOOP;
    DELETE FROM prediction_log.feedback f
    WHERE f.state IN ('row', 'refused', 'no_text') AND f.answered_at < clock_timestamp() - make_interval(days => keep.days);
    DELETE FROM prediction_log.hours h WHERE h.hour < clock_timestamp() - make_interval(days => keep.days);
    -- Of what people label no text outlives the log that it is from; what they said stays, so that none is asked again.
    DELETE FROM label_queue.items i
    WHERE (i.label IS NULL OR i.dropped_at IS NOT NULL)
      AND coalesce(i.answered_at, i.created_at) < clock_timestamp() - make_interval(days => keep.days);
    UPDATE label_queue.items i SET text = NULL, champion_scores = NULL
    WHERE i.settled_at IS NOT NULL AND i.text IS NOT NULL
      AND coalesce(i.answered_at, i.created_at) < clock_timestamp() - make_interval(days => keep.days);
    SELECT c.relname INTO name
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'prediction_log.answers'::regclass AND c.relname ~ '^answers_\d{8}$'
      AND c.relname < 'answers_' || to_char(today - days, 'YYYYMMDD')
    ORDER BY c.relname LIMIT 1;
    IF name IS NOT NULL THEN
        BEGIN
            EXECUTE format('DROP TABLE prediction_log.%I', name);
        EXCEPTION WHEN lock_not_available THEN
            name := NULL;  -- whoever reads the log for long keeps its old days, not its new ones from being made
        END;
    END IF;
    RETURN name;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;
ALTER FUNCTION prediction_log.keep(integer) OWNER TO training_predictions;
SELECT prediction_log.keep(NULL);

REVOKE EXECUTE ON FUNCTION prediction_log.keep(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prediction_log.keep(integer) TO platform;
GRANT USAGE ON SCHEMA prediction_log TO platform, serving;
GRANT SELECT ON prediction_log.answers TO platform;
GRANT INSERT ON prediction_log.answers TO serving;

-- Notes the right label of an answer; the newest with that id, where one was asked twice. Answers in one word
-- what came of it, and what a sentence about that needs:
--   taken; known: it said so before; decided: another label is a row already, `detail` says which
--   several: other texts have that id too, perhaps a stranger's, who must not have his own labelled
--   classifiers: several classifiers answered under it, `detail` lists them, and none was named
--   unknown: no such answer; no_place: the request had `detail` texts; no_label: `detail` lists those that there are
CREATE OR REPLACE FUNCTION prediction_log.take_feedback(request text, place integer, label text, of_classifier text,
    OUT outcome text, OUT detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answer prediction_log.answers;
    newest timestamptz;
    texts bigint;
    several boolean;
    answered text[];
    earlier prediction_log.feedback;
    labels text[];
BEGIN
    SELECT max(a.at), count(DISTINCT (a.place, coalesce(a.text, a.text_hash))) > count(DISTINCT a.place),
           array_agg(DISTINCT a.classifier)
    INTO newest, several, answered FROM prediction_log.answers a
    WHERE a.request_id = request AND (of_classifier IS NULL OR a.classifier = of_classifier);
    IF newest IS NULL THEN
        outcome := 'unknown';
        RETURN;
    ELSIF cardinality(answered) > 1 AND of_classifier IS NULL THEN
        outcome := 'classifiers';
        detail := array_to_string(answered, ', ');
        RETURN;
    ELSIF several THEN
        outcome := 'several';
        RETURN;
    END IF;
    SELECT count(*) INTO texts FROM prediction_log.answers a WHERE a.request_id = request AND a.at = newest;
    SELECT * INTO answer FROM prediction_log.answers a
    WHERE a.request_id = request AND a.at = newest
      AND a.place = coalesce(take_feedback.place, CASE WHEN texts = 1 THEN 0 END);
    IF answer.at IS NULL THEN
        outcome := 'no_place';
        detail := texts;
        RETURN;
    END IF;
    -- Those of the version that answered, and any that was learned since.
    SELECT array_agg(DISTINCT known.name ORDER BY known.name) INTO labels
    FROM (SELECT jsonb_object_keys(answer.scores) AS name
          UNION ALL
          SELECT btrim(jsonb_array_elements_text(c.labels)) FROM public.classifiers c
          WHERE c.name = answer.classifier AND jsonb_typeof(c.labels) = 'array') known;
    IF label <> ALL (labels) THEN
        outcome := 'no_label';
        detail := array_to_string(labels[:20], ', ') || CASE WHEN cardinality(labels) > 20 THEN ' …' ELSE '' END;
        RETURN;
    END IF;
    INSERT INTO prediction_log.feedback AS f
        (request_id, place, answered_at, classifier, version, predicted, label, text, state)
    VALUES (request, answer.place, answer.at, answer.classifier, answer.version, answer.label, label, answer.text,
            CASE WHEN answer.text IS NULL THEN 'no_text' ELSE 'waiting' END)
    ON CONFLICT ON CONSTRAINT feedback_request_id_place_answered_at_key DO NOTHING;
    IF FOUND THEN
        outcome := 'taken';
        RETURN;
    END IF;
    SELECT * INTO earlier FROM prediction_log.feedback f
    WHERE f.request_id = request AND f.place = answer.place AND f.answered_at = answer.at FOR UPDATE;
    IF earlier.label = label THEN
        outcome := 'known';
    ELSIF earlier.state IN ('waiting', 'no_text') THEN
        UPDATE prediction_log.feedback f SET label = take_feedback.label, at = clock_timestamp() WHERE f.id = earlier.id;
        outcome := 'taken';
    ELSE
        outcome := 'decided';
        detail := earlier.label;
    END IF;
END
$$;
ALTER FUNCTION prediction_log.take_feedback(text, integer, text, text) OWNER TO training_predictions;

REVOKE EXECUTE ON FUNCTION prediction_log.take_feedback(text, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prediction_log.take_feedback(text, integer, text, text) TO serving;
GRANT SELECT (name, labels) ON public.classifiers TO training_predictions;
GRANT USAGE ON SCHEMA public TO training_predictions;
GRANT SELECT, UPDATE (state, because, decided_at, text) ON prediction_log.feedback TO platform;
GRANT SELECT, INSERT, UPDATE ON prediction_log.reference, prediction_log.hours TO platform;
