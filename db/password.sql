-- The password of the role that runs this becomes what NEW_PASSWORD says; psql quotes it, and no process list shows it.
\set ON_ERROR_STOP on
\getenv password NEW_PASSWORD
ALTER ROLE CURRENT_USER PASSWORD :'password';
