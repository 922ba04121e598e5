-- SPDX-License-Identifier: Apache-2.0
-- Which programs may run on tables that are newer than they know: those that know version `oldest` or a later one. A file that
-- only adds says so of the version before it. NULL: only those that know the file itself.
ALTER TABLE footfall.migrations ADD COLUMN oldest integer;

INSERT INTO footfall.migrations VALUES (14, '0014_oldest');
