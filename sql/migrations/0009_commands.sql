-- SPDX-License-Identifier: Apache-2.0
-- What `retry-rejects` and `forget-stream` need.

-- Rejects are taken up in the order of their places in the log.
CREATE INDEX rejected_hits_place ON public.rejected_hits (topic, kafka_partition, kafka_offset, rejected_at);

UPDATE footfall.rights SET privileges = privileges || ', DELETE'
 WHERE role = 'footfall_writer' AND relation IN ('public.rejected_hits', 'footfall.received', 'footfall.audit');

INSERT INTO footfall.migrations VALUES (9, '0009_commands');
