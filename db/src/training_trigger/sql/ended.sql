-- A run is over, or Airflow refused the one that was claimed. Without `because` it succeeded; else what it left untrained is pending again after a pause that grows
-- fourfold with each such run, until there were too many.
WITH ended AS (
    UPDATE public.training_deliveries d SET state = 'ended', because = %(because)s
    WHERE d.dag_run_id = %(dag_run_id)s AND d.state = %(state)s
      AND NOT EXISTS (SELECT FROM public.training_jobs j WHERE j.run_id = d.dag_run_id AND j.status IN ('queued', 'running'))
    RETURNING d.dag_run_id
), missed AS (
    SELECT e.id, e.classifier FROM public.training_event_history e JOIN ended USING (dag_run_id)
    WHERE %(because)s::text IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM public.training_coverage c WHERE c.event_id = e.id AND c.classifier = e.classifier)
), counted AS (
    SELECT m.id, m.classifier, coalesce(u.runs, 0) + 1 AS runs
    FROM missed m LEFT JOIN public.training_untrained u ON u.event_id = m.id AND u.classifier = m.classifier
)
INSERT INTO public.training_untrained (event_id, classifier, runs, because, retry_at, given_up)
SELECT id, classifier, runs, %(because)s,
       CASE WHEN runs < %(limit)s
            THEN clock_timestamp() + make_interval(secs => least(%(pause)s * 4.0 ^ least(runs - 1, 20), 86400)) END,
       runs >= %(limit)s
FROM counted
ON CONFLICT (event_id, classifier) DO UPDATE
SET runs = excluded.runs, because = excluded.because, retry_at = excluded.retry_at, given_up = excluded.given_up
