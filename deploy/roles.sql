-- SPDX-License-Identifier: Apache-2.0
-- The roles of Footfall, made once in a cluster by a superuser:  psql -d footfall -f roles.sql
--
--   footfall_owner   makes tables: postgres.owner_conninfo, `footfall-aggregator migrate`
--   footfall_writer  stores: postgres.conninfo of all aggregators, which must log in as ONE role, since a successor ends
--                    the stuck connection of its predecessor, and Postgres lets only the same role do that
--   footfall_reader  looks: dashboard, BI tools
--
-- These are groups without login. Make the people and programs who log in yourself, for instance:
--   CREATE ROLE footfall_migrate   LOGIN IN ROLE footfall_owner;  ALTER ROLE footfall_migrate SET role = footfall_owner;
--   CREATE ROLE footfall_aggregate LOGIN IN ROLE footfall_writer;
--   CREATE ROLE footfall_look      LOGIN IN ROLE footfall_reader; ALTER ROLE footfall_look SET statement_timeout = '5s';
-- Roles made after the first migration get their rights by `SELECT footfall.grant_rights()`, run as the owner.

CREATE ROLE footfall_owner NOLOGIN;
CREATE ROLE footfall_writer NOLOGIN;
CREATE ROLE footfall_reader NOLOGIN;

SELECT format('GRANT CONNECT, CREATE ON DATABASE %I TO footfall_owner', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO footfall_writer, footfall_reader', current_database()) \gexec
GRANT USAGE, CREATE ON SCHEMA public TO footfall_owner;
GRANT USAGE ON SCHEMA public TO footfall_writer, footfall_reader;
