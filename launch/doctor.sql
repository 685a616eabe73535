-- What the training database tells an operator: level|what|found|what to do, a line each.
SELECT CASE WHEN given_up > 0 THEN 'problem' ELSE 'warning' END, 'rows',
       format('%s not trained on since %s, because %s', rows, to_char(since, 'YYYY-MM-DD HH24:MI'),
              regexp_replace(because, '[|[:space:]]+', ' ', 'g')),
       'mend that, then python3 manually_trigger.py --wait'
FROM public.training_backlog
UNION ALL
SELECT 'ok', 'rows', 'all that came was trained on, or is being', ''
WHERE NOT EXISTS (SELECT FROM public.training_backlog);

SELECT 'warning', 'events of nobody',
       format('%s changes of %s belong to no classifier', events, array_to_string(tables, ', ')),
       'SELECT create_classifier(…) over the table, or unwatch_training_table'
FROM public.training_events_of_none;

SELECT 'problem', 'classifier', translate(format('%s: %s %s', classifier, "table", because), '|', '/'), translate(heal, '|', '/')
FROM public.classifier_troubles ORDER BY classifier, "table";

SELECT CASE WHEN min(created_at) < clock_timestamp() - interval '15 minutes' THEN 'problem' ELSE 'ok' END, 'event queue',
       format('%s events wait for a run%s', count(*), coalesce(', the oldest since ' || to_char(min(created_at), 'YYYY-MM-DD HH24:MI'), '')),
       'sh launch.sh logs training-trigger'
FROM (
    SELECT created_at FROM public.training_event_queue
    UNION ALL
    SELECT e.created_at FROM public.training_event_history e
    JOIN public.classifiers c ON c.name = e.classifier AND c.retired_at IS NULL
    WHERE e.dag_run_id IS NULL AND e.classifier <> ''
) waiting;

SELECT CASE WHEN count(*) FILTER (WHERE status = 'running' AND started_at < clock_timestamp() - interval '1 day') > 0
            THEN 'warning' ELSE 'ok' END, 'jobs',
       format('%s running, %s waiting', count(*) FILTER (WHERE status = 'running'), count(*) FILTER (WHERE status = 'queued')),
       'one has been running for more than a day: sh launch.sh logs training-endpoint'
FROM public.training_jobs WHERE status IN ('running', 'queued');

SELECT CASE WHEN failed = 0 THEN 'ok' WHEN newest_failed THEN 'problem' ELSE 'warning' END, 'runs',
       format('%s failed in the last 7 days%s', failed, coalesce(', the last with: ' || why, '')),
       'sh launch.sh logs training-endpoint'
FROM (
    SELECT count(*) FILTER (WHERE status = 'failed' AND finished_at > clock_timestamp() - interval '7 days') AS failed,
           (array_agg(status ORDER BY finished_at DESC))[1] = 'failed' AS newest_failed,
           left(regexp_replace((array_agg(error ORDER BY finished_at DESC) FILTER (WHERE status = 'failed'
               AND finished_at > clock_timestamp() - interval '7 days'))[1], '[|[:space:]]+', ' ', 'g'), 160) AS why
    FROM public.training_jobs WHERE finished_at IS NOT NULL
) ended;

SELECT DISTINCT ON (model_name)
       CASE WHEN to_version IS NULL OR (served_at IS NOT NULL AND alias_at IS NOT NULL) THEN 'ok'
            WHEN at < clock_timestamp() - interval '5 minutes' THEN 'problem' ELSE 'warning' END, 'decision',
       format('%s: version %s since %s%s%s', model_name, coalesce(to_version::text, '-'), to_char(at, 'YYYY-MM-DD HH24:MI'),
              CASE WHEN pinned THEN ', pinned' ELSE '' END,
              CASE WHEN to_version IS NULL OR served_at IS NOT NULL THEN '' ELSE ', not served everywhere yet' END
              || CASE WHEN to_version IS NULL OR alias_at IS NOT NULL THEN '' ELSE ', not in MLflow yet' END),
       'sh launch.sh logs training-endpoint'
FROM public.promotion_ledger l
WHERE NOT EXISTS (
    SELECT FROM public.classifiers c WHERE coalesce(c.model_name, c.name) = l.model_name AND c.retired_at IS NOT NULL)
ORDER BY model_name, id DESC;

SELECT CASE WHEN count(*) = 0 THEN 'ok' ELSE 'problem' END, 'ledger',
       CASE WHEN count(*) = 0 THEN 'its chain is whole' ELSE format('its chain is broken at row %s', min(id)) END,
       'somebody changed it as superuser: sh launch.sh history --verify, and compare with a backup'
FROM public.ledger_breaks;

SELECT CASE WHEN max(day) > 'answers_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD') THEN 'ok' ELSE 'problem' END,
       'log of predictions', format('%s days from %s on, %s MB; there %s one for tomorrow', count(*) FILTER (WHERE
           day <= 'answers_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD')), right(min(day), 8),
           ceil(coalesce(sum(bytes), 0) / 1e6), CASE WHEN max(day) > 'answers_' || to_char(
               clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD') THEN 'is' ELSE 'is not' END),
       'replicas drop what they cannot write: sh launch.sh logs training-trigger, which makes the days'
FROM (
    SELECT c.relname AS day, pg_total_relation_size(c.oid) AS bytes
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'prediction_log.answers'::regclass
) days;

SELECT 'problem', 'clock', format('the newest decision is %s ahead of the clock', date_trunc('second', max(at) - clock_timestamp())),
       'set the clock of this machine'
FROM public.promotion_ledger HAVING max(at) > clock_timestamp() + interval '10 seconds';

SELECT 'now', extract(epoch FROM clock_timestamp())::bigint, '', '';
