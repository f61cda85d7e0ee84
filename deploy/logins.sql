-- The logins of the deployment's parts, made once, before the store: none of them owns what it works on, or may make roles.
-- For whoever owns the store's database, which the next `crm-intake upgrade` is to be run as too; compose.yaml has it run by
-- the server's first start. Passwords come from the environment: a command line can be read by everybody on the machine.
--   psql -X -d intake -f deploy/logins.sql
\set ON_ERROR_STOP on
\set service ''
\set dagster ''
\set page ''
\getenv service INTAKE_DB_SERVICE_PASSWORD
\getenv dagster INTAKE_DB_DAGSTER_PASSWORD
\getenv page INTAKE_DB_PAGE_PASSWORD

select set_config('logins.missing', coalesce(string_agg(name, ', '), ''), false) as missing
from (values ('INTAKE_DB_SERVICE_PASSWORD', :'service'), ('INTAKE_DB_DAGSTER_PASSWORD', :'dagster'),
             ('INTAKE_DB_PAGE_PASSWORD', :'page')) given (name, password)
where password = '' \gset
do $$ begin
    if current_setting('logins.missing') <> '' then
        raise exception 'No login is made: % is to be in the environment.', current_setting('logins.missing');
    end if;
end $$;

select format('create role %I nologin', role)
from unnest(array['intake_pipeline', 'intake_retention', 'intake_finance', 'intake_preferences']) role
where not exists (select from pg_roles where rolname = role) \gexec

-- What does the work: runs, retention and erasure, payments for finance.
create role intake_service login password :'service' in role intake_pipeline, intake_retention, intake_finance;
-- What shows Dagster's pages and runs no code of ours: Dagster's own database, and nothing of the store.
create role intake_dagster login password :'dagster';
-- The people's page.
create role intake_page login password :'page' in role intake_preferences;

select 'create database dagster encoding ''UTF8'' template template0'
where not exists (select from pg_database where datname = 'dagster') \gexec
\connect dagster
revoke all on database dagster from public;
grant connect, temporary on database dagster to intake_service, intake_dagster;
-- Its tables are made by `crm-intake upgrade`.
alter default privileges in schema public
    grant select, insert, update, delete on tables to intake_service, intake_dagster;
alter default privileges in schema public grant usage, select, update on sequences to intake_service, intake_dagster;
