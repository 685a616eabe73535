SELECT {label}::text AS label, count(*) AS rows FROM {table} GROUP BY {label} ORDER BY {label}
