"""The relay: tells Airflow about committed changes of training data, each exactly once."""
