-- One character more than the limit, so that the reader can tell a cut text from a whole one.
SELECT left({text}::text, {limit} + 1) AS text, {label}::text AS label FROM {table}
