-- Age in seconds of the oldest and the newest pending event, and their rows; one of which no count is known counts as one.
SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest_age,
       extract(epoch FROM clock_timestamp() - max(created_at))::float8 AS newest_age,
       sum(coalesce(rows, 1))::bigint AS rows
FROM training_event_queue
HAVING count(*) > 0
