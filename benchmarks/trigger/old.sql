-- The old design, for comparison: for each row, inside the transaction that inserts it, a request to Airflow's REST API.
CREATE EXTENSION plpython3u;

CREATE FUNCTION start_run() RETURNS trigger LANGUAGE plpython3u AS $$
import json
import urllib.request

body = json.dumps({"conf": {"table": TD["table_name"], "operation": TD["event"]}}).encode()
headers = {"Content-Type": "application/json", "Authorization": "Basic YWRtaW46YWRtaW4="}
with urllib.request.urlopen(urllib.request.Request(TD["args"][0], body, headers), timeout=10) as answer:
    answer.read()
$$;
