-- Makes the days of the log of predictions that lie ahead; drops the oldest that is too old, and answers which.
SELECT prediction_log.keep(%(days)s) AS day
