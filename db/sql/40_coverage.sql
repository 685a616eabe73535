-- For each event: what changed and what came of it. `run` is the run that trained on the event, or, while none has,
-- the one that was started for it; `state` is pending, claimed, accepted, then that run's job status; `version` is
-- what came out of the run; `left_out` counts by reason the rows of the tables that it could not use. An event whose
-- own run failed is covered by the next one that succeeds.
CREATE OR REPLACE VIEW training_data_coverage AS
SELECT e.id AS event,
       e.created_at AS "when",
       e.table_name AS "table",
       e.operation,
       e.rows,
       coalesce(j.run_id, e.dag_run_id) AS run,
       coalesce(j.status, d.state, 'pending') AS state,
       j.model_version AS version,
       nullif(j.detail -> 'dataset' -> 'dropped', '{}') AS left_out
FROM training_events e
LEFT JOIN training_deliveries d ON d.dag_run_id = e.dag_run_id
LEFT JOIN training_coverage c ON c.event_id = e.id
LEFT JOIN training_jobs started ON started.run_id = e.dag_run_id
LEFT JOIN training_jobs j ON j.job_id = coalesce(c.job_id, started.job_id);

GRANT SELECT ON training_data_coverage TO platform;
