-- Run once by the postgres image, as the superuser, in the database pixmill: `migrate` owns the schema, `app` may
-- read and write rows. The passwords come from the environment of the container.
\getenv migrate_password POSTGRES_PASSWORD
\getenv app_password APP_PASSWORD
CREATE ROLE migrate LOGIN PASSWORD :'migrate_password';
CREATE ROLE app LOGIN PASSWORD :'app_password';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
ALTER DATABASE :"DBNAME" OWNER TO migrate;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO app;
GRANT USAGE ON SCHEMA public TO app;
-- Default privileges, because the tables do not exist yet.
ALTER DEFAULT PRIVILEGES FOR ROLE migrate IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE migrate IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO app;

-- Without a password nobody is the superuser from another container.
ALTER ROLE CURRENT_USER PASSWORD NULL;
