-- Roles and databases that are servers of their own in containers. psql reads the passwords from its environment.
SET search_path = pg_catalog, pg_temp;
\getenv mlflow_password MLFLOW_PASSWORD
\getenv airflow_password AIRFLOW_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['mlflow', 'airflow']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE airflow PASSWORD :'airflow_password';
SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('mlflow', 'mlflow'), ('airflow', 'airflow'), ('training', 'postgres')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
