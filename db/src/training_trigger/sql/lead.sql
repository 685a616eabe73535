-- One relay works at a time; the lock ends with its connection. Two at once would still be correct, only less orderly.
-- A lock on a table, since anybody may take an advisory one.
LOCK TABLE public.training_leader IN SHARE UPDATE EXCLUSIVE MODE NOWAIT
