-- SPDX-License-Identifier: Apache-2.0
-- What producers say about their streams, for the audit: of a stream that has ended, numbers received and numbers skipped
-- must together be 1 to `last`. It decides nothing: which hits are new is asked of footfall.received alone.

CREATE TABLE footfall.audit (
    topic     varchar NOT NULL,
    partition integer NOT NULL,
    stream    varchar NOT NULL,
    last      bigint CHECK (last >= 0),     -- its greatest number; NULL: it has not ended
    ended_at  timestamp(3),                 -- when that was written to Kafka
    skipped   int8multirange NOT NULL,      -- will never come, or came and could not be stored
    missing   bigint,                       -- of 1 to last, when the writer looked last; NULL: it has not ended
    reason    varchar,                      -- of the last skip
    PRIMARY KEY (topic, partition, stream)
);

-- What a writer looks for when he claims a partition: nothing, in health.
CREATE INDEX audit_missing ON footfall.audit (topic, partition) WHERE missing > 0;

CREATE FUNCTION footfall.count_numbers(ranges int8multirange) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT coalesce(sum(upper(range) - lower(range)), 0)::bigint FROM unnest(ranges) AS range
$$;

-- For people. Of a stream that goes on, last, missing and holes are NULL.
CREATE VIEW footfall.streams AS
SELECT topic, partition, stream,
       footfall.count_numbers(ranges) AS received,
       footfall.count_numbers(skipped) AS skipped,
       last, ended_at,
       footfall.count_numbers(holes) AS missing,
       holes, reason
  FROM (SELECT topic, partition, stream, last, ended_at, reason,
               coalesce(ranges, '{}') AS ranges,
               coalesce(skipped, '{}') AS skipped,
               CASE WHEN last IS NOT NULL
                    THEN int8multirange(int8range(1, last + 1)) - coalesce(ranges, '{}') - skipped END AS holes
          FROM footfall.received FULL JOIN footfall.audit USING (topic, partition, stream)) AS said;

INSERT INTO footfall.rights VALUES
    ('footfall.audit',   'footfall_writer', 'SELECT, INSERT, UPDATE'),
    ('footfall.streams', 'footfall_writer', 'SELECT'),
    ('footfall.audit',   'footfall_reader', 'SELECT'),
    ('footfall.streams', 'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations VALUES (6, '0006_audit');
