-- For people and metrics: how many events no run has been accepted for, and the age of the oldest in seconds.
WITH waiting AS (
    SELECT count(*) AS events, min(created_at) AS oldest FROM training_event_queue
    UNION ALL
    SELECT sum((conf ->> 'events')::bigint), min(oldest_event_at) FROM training_deliveries WHERE state = 'claimed'
)
SELECT coalesce(sum(events), 0)::bigint AS events,
       coalesce(extract(epoch FROM clock_timestamp() - min(oldest)), 0)::float8 AS oldest_age
FROM waiting
