-- What ended runs have not trained on, in one sentence; no row when there is nothing.
SELECT format('%s rows not trained on since %s, because %s', rows, to_char(since, 'YYYY-MM-DD HH24:MI:SS'), because)
    || CASE WHEN given_up > 0 THEN '; given up, but any new row or a run by hand tries again'
            ELSE '; tried again at ' || to_char(retry_at, 'HH24:MI:SS') END
FROM public.training_backlog;
