-- One relay works at a time; the lock ends with its connection. Two at once would still be correct, only less orderly.
SELECT pg_try_advisory_lock(9997)
