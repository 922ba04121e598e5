/* SPDX-License-Identifier: Apache-2.0
 * journal_inside: what the files of the journal share: journal.c (life, appending, figures),
 * journal_durable.c (syncs, upkeep), journal_recovery.c (old segments), journal_reading.c (entries,
 * acknowledgements). */
#ifndef COLLECTOR_JOURNAL_INSIDE_H
#define COLLECTOR_JOURNAL_INSIDE_H

#include "base/log.h"
#include "collector/journal.h"
#include "collector/reader.h"

#define REFUSED_NAME DISK_QUARANTINE "/refused"

enum { NO_FILE = -1 };

/* One start of a collector whose segments are still there. */
struct boot {
    uuid id;
    int partitions;
    char topic[SEGMENT_MAX_TOPIC + 1];
    bool is_marked;
    int64_t *last;   /* by partition: the last number that is known */
    int64_t *before; /* by partition: the last number before the segments that recovery has seen of it */
};

/* Numbers of a stream that no good frame has and none will ever have. */
struct gap {
    int partition;
    int64_t from;
    int64_t to;
};

/* Its entries, in order: gaps (old ones only), frames, ends of streams (in the last of an old boot only). */
struct segment {
    uint64_t number;
    uint64_t bytes; /* on disk */
    uint64_t end;   /* no frame lies behind it that counts */
    journal_position first, below;
    wall_ms first_written;
    int64_t frames;
    size_t gap_start, gap_count; /* in journal->gaps */
    size_t fin_count;
    struct boot *boot; /* NULL: the header is not whole, there are no frames */
    bool is_damaged;
    bool is_newer; /* written by a version that we cannot read: never removed */
    /* of this process: */
    bool is_own;
    int file; /* NO_FILE: closed */
    uint64_t
        durable; /* synced up to here; after a failed sync `end` is here too, and nothing is synced again */
    mono_ms opened;
};

struct journal {
    struct journal_options options;
    struct boot own; /* `last` is the numbering */
    struct log log;
    bool is_finished;
    enum status state; /* OK, or why there is no spare */

    struct segment *segments; /* in the order of their numbers and of their entries */
    size_t segment_count, segment_capacity;
    size_t open_count; /* of segments: files of ours that are open, near the end */
    bool has_emptied;  /* one of ours may hold no frame and never will */
    bool has_active;   /* the last segment takes frames */
    bool has_spare;
    struct segment spare;
    uint64_t next_number;
    uint64_t segment_total_bytes, quarantine_bytes;
    bool has_refused_unsynced; /* lines of REFUSED_NAME */
    char *header_text;         /* both copies */
    struct segment_header *header;

    /* Frames that are not durable, in order; the first `written_bytes` are in their segments. */
    char *unsynced;
    size_t unsynced_bytes, written_bytes;
    journal_position durable, written, next;

    bool has_mark;
    journal_position mark;
    bool is_syncing, is_in_upkeep;
    mono_ms retry_at; /* of making a spare or removing */

    /* Recovery: segments[0 … to_recover) are still to be read, from the last one down. */
    bool is_recovering, is_reader_in_recovery;
    size_t to_recover;
    struct boot **boots; /* the newest first */
    size_t boot_count, boot_capacity;
    struct gap *gaps;
    size_t gap_count, gap_capacity;
    int64_t *seen; /* by partition: the last number seen in this segment */

    /* Reading. */
    struct reader *reader;
    uint64_t reader_number;  /* the segment it has open; 0: none (numbers begin with 1) */
    int64_t reader_frames;   /* given of it */
    journal_position read;   /* the next entry to give */
    journal_position handed; /* behind the last ever given */
    journal_position first_pending;
    journal_position unread; /* what was appended when everything was handed out, and when */
    wall_ms unread_written;
    int64_t *window; /* by position modulo JOURNAL_MAX_READ_AHEAD: when it was written; ACKNOWLEDGED */

    struct journal_figures figures;
};

/* Behind the last entry: with the ends of our own streams, once finished. */
journal_position journal_end(const struct journal *journal);
/* The last segment takes no more frames. */
void journal_retire_active(struct journal *journal);
struct segment *journal_add_segment(struct journal *journal, const struct segment *segment);
/* The index of the first one that ends behind the position; segment_count: none does. */
size_t journal_find_segment(const struct journal *journal, journal_position position);
void journal_remove_segment(struct journal *journal, size_t index);
void journal_close_reader(struct journal *journal);
/* Reads the folder: old segments, what lies in quarantine. */
enum status journal_list(struct journal *journal) MUST_CHECK;
/* Makes the lines of REFUSED_NAME durable, before the segments of those hits go. */
enum status journal_sync_refused(struct disk *disk) MUST_CHECK;
size_t boot_fin_count(const struct boot *boot);
/* A quarter of the room may be what is kept for people to look at: a disk that rots, or a Kafka that refuses,
 * must not stop the taking of hits. */
bool journal_may_keep(const struct journal *journal, uint64_t bytes);

#endif
