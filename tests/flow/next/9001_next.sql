-- SPDX-License-Identifier: Apache-2.0
-- What a later version may bring: columns of the tables that batches write, a table, a view, rights.

SET LOCAL search_path = public;

LOCK TABLE footfall.partitions IN EXCLUSIVE MODE;

ALTER TABLE footfall.partitions ADD COLUMN next_note varchar;
ALTER TABLE footfall.received ADD COLUMN next_note varchar;
ALTER TABLE footfall.open_session_pages ADD COLUMN next_note varchar;
ALTER TABLE processed_events ADD COLUMN campaign varchar;
ALTER TABLE session_events_aggregated_ip ADD COLUMN campaign varchar;

CREATE TABLE footfall.next_campaigns (
    campaign varchar PRIMARY KEY
);
CREATE VIEW next_hits_by_campaign AS SELECT campaign, count(*) AS hits FROM processed_events GROUP BY campaign;

INSERT INTO footfall.rights VALUES
    ('footfall.next_campaigns',      'footfall_writer', 'SELECT, INSERT'),
    ('public.next_hits_by_campaign', 'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations (version, name, oldest) VALUES (9001, '9001_next', 14);
