-- SPDX-License-Identifier: Apache-2.0
-- Partitions that wait for a person, and what a person gave up to get on.

-- Kept beside the fence, so that every aggregator knows of a halt and a restart does not forget it. Ended by
-- `footfall-aggregator resume PARTITION`.
ALTER TABLE footfall.partitions
    ADD COLUMN halted_at   timestamptz,     -- NULL: it is not halted
    ADD COLUMN halt_reason varchar;

-- One row for each `resume --accept-loss` that gave something up.
CREATE TABLE footfall.losses (
    topic       varchar NOT NULL,
    partition   integer NOT NULL,
    from_offset bigint  NOT NULL,           -- the first record that was not stored
    to_offset   bigint  NOT NULL,           -- the one that reading goes on at
    records     bigint,                     -- given up; NULL: nobody can know
    reason      varchar NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO footfall.rights VALUES
    ('footfall.losses', 'footfall_writer', 'SELECT, INSERT'),
    ('footfall.losses', 'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations VALUES (7, '0007_halts');
