-- name: dataset_current
SELECT name, train_table, test_table, text_column, label_column, labels, source
FROM training_datasets
WHERE current

-- name: dataset_named
SELECT * FROM training_datasets WHERE name = %(name)s

-- name: dataset_names
SELECT name FROM training_datasets

-- name: dataset_register
INSERT INTO training_datasets (name, train_table, test_table, text_column, label_column, labels, source)
VALUES (%(name)s, %(train_table)s, %(test_table)s, %(text_column)s, %(label_column)s, %(labels)s, %(source)s)

-- name: dataset_select
UPDATE training_datasets SET current = true WHERE name = %(name)s

-- name: dataset_retire
UPDATE training_datasets SET current = false WHERE current AND name <> %(name)s

-- name: dataset_forget
DELETE FROM training_datasets WHERE name = %(name)s

-- name: dataset_counts
SELECT {label}::text AS label, count(*) AS rows FROM {table} GROUP BY {label} ORDER BY {label}

-- name: dataset_pending
SELECT count(*) AS events FROM training_event_queue WHERE table_name = ANY (%(tables)s)
