-- Age in seconds of the oldest and the newest pending event, and their rows, counted no further than the minimum asked for.
-- Each part reads a few entries of the queue's index, however many there are.
SELECT extract(epoch FROM clock_timestamp() - oldest.created_at)::float8 AS oldest_age,
       extract(epoch FROM clock_timestamp() - newest.created_at)::float8 AS newest_age,
       (SELECT sum(coalesce(counted.rows, 1))::bigint
        FROM (SELECT rows FROM training_event_queue ORDER BY id LIMIT %(min_rows)s) counted) AS rows
FROM (SELECT created_at FROM training_event_queue ORDER BY id LIMIT 1) oldest,
     (SELECT created_at FROM training_event_queue ORDER BY id DESC LIMIT 1) newest
