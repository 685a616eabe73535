INSERT INTO training_datasets (name, train_table, test_table, text_column, label_column, labels, source)
VALUES (%(name)s, %(train_table)s, %(test_table)s, %(text_column)s, %(label_column)s, %(labels)s, %(source)s)
