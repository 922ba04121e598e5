/* SPDX-License-Identifier: Apache-2.0
 * journal: every hit that was accepted and is not yet confirmed by Kafka, on the local disk.
 *
 *   intake     journal_next_seq -> encode -> journal_append …
 *              once a turn of the loop: journal_flush                        (one write)
 *   durable    journal_sync_begin -> [any thread] journal_sync_run -> journal_sync_done
 *                                                                            (a group of hits, one fdatasync)
 *   upkeep     journal_upkeep_begin -> [any thread] journal_upkeep_run -> journal_upkeep_done
 *                                                                            (all slow work on folders)
 *   publisher  journal_read … -> Kafka -> journal_acknowledge, in any order
 *              a new producer: journal_rewind
 *   start      journal_open (quick) … journal_recover until it says OK; hits are taken meanwhile
 *
 * Positions: every entry has one, counting up in the order of journal_read. journal_written and
 * journal_durable are the positions below which everything is written (write(2)) or durable (fdatasync): a
 * reply waits until its hit's position is below. Whatever goes wrong, an appended hit keeps its position, its
 * partition and its number: it stays in memory until it is durable, and is written again elsewhere when a
 * write or a sync fails. So nothing is ever to be undone: a hit that could not be written in time is answered
 * 503, its id stays pending, and it may still arrive.
 *
 * A sync that fails seals the file: it is never synced or written again; what was not durable goes to the
 * next segment. When there is no room (max_bytes, min_free_bytes, the disk, max_unsynced_bytes) or no file
 * can be made, journal_append refuses, FULL or UNAVAILABLE, until upkeep finds room again: it tries once a
 * second. What is there is sent meanwhile: the mark that this needs gets a small segment beyond the limits.
 *
 * Recovery reads the old segments once, the newest first, in steps of about 1 MiB: whole frames are counted
 * and shown to on_found, a torn tail is cut off, what is missing between two frames becomes an entry
 * JOURNAL_SKIP, a boot that is over becomes a JOURNAL_FIN for each stream. A damaged segment is moved to the
 * folder quarantine, instead of being removed, when all its whole frames are acknowledged. journal_read gives
 * nothing before recovery is done; then the old entries, the oldest first, then those of this process.
 * Segments are removed in their order, one an upkeep, when all their entries are acknowledged. There is no
 * cursor file: a restart replays what was not removed, with the same streams and numbers.
 *
 * Owns its files and one file lock; borrows the disk. Allocates nothing in steady state. All on the loop's
 * thread but the two *_run, which touch nothing but their argument and the disk; one sync and one upkeep may
 * run at the same time. It never waits, reads no clock, starts no thread, decides no reply, and does not know
 * what a hit is. */
#ifndef COLLECTOR_JOURNAL_H
#define COLLECTOR_JOURNAL_H

#include "base/uuid.h"
#include "collector/disk.h"
#include "collector/frame.h"

struct journal;

typedef uint64_t journal_position;

/* Old entries lie below it, those of this process begin with it. */
#define JOURNAL_FIRST_OWN (UINT64_C(1) << 48)

enum {
    JOURNAL_MAX_READ_AHEAD = 131072, /* entries handed out beyond the first that is not acknowledged */
    JOURNAL_MAX_GAPS = 65536,        /* more are counted only, and will show as holes */
    JOURNAL_MAX_REFUSED_BYTES = 64 * 1024 * 1024,
    JOURNAL_RETRY_MS = 1000, /* between two attempts to make a segment */
};

enum journal_kind {
    JOURNAL_HIT,
    /* seq … last of the stream were lost. Never a reason to drop a hit: after a failed sync and a crash, one
     * of these numbers, which nobody was told is safe, may come all the same. */
    JOURNAL_SKIP,
    JOURNAL_FIN, /* the stream's last number is `last` */
};

struct journal_entry {
    enum journal_kind kind;
    journal_position position;
    uuid boot; /* the stream, with partition */
    int partition;
    int64_t seq;  /* of a hit; the first one that is skipped */
    int64_t last; /* JOURNAL_SKIP, JOURNAL_FIN */
    wall_ms written;
    slice key; /* of a hit, as appended */
    slice value;
    const char *topic; /* what it was meant for; may differ from the present settings, as may partitions */
    int partitions;
    /* False: no hit of its boot was ever handed out, so that it may be numbered and placed anew (append it as
     * a new hit, then acknowledge this one). */
    bool may_have_been_sent;
};

/* Hits found by recovery, in the order of their segments backwards: for the window of ids. Borrowed for the
 * call. */
typedef void journal_found_fn(void *context, const struct journal_entry *entry);

struct journal_options {
    struct disk *disk;
    uuid boot;          /* fresh random bits of this process: half of the name of its streams */
    uint64_t salt_seed; /* random and secret */
    const char *topic;  /* copied */
    int partitions;
    uint64_t segment_bytes; /* JOURNAL_SEGMENT_BYTES outside of tests; at least journal_min_segment_bytes() */
    uint64_t max_bytes;     /* of all segments and the quarantine; at least two segments */
    uint64_t min_free_bytes;    /* left on the file system */
    size_t max_unsynced_bytes;  /* in memory; at least FRAME_MAX_BYTES */
    int64_t roll_age_ms;        /* a segment older than this gets no more frames, so that it can be removed */
    bool hands_out_unsynced;    /* ack = os or memory; else journal_read gives what is durable only */
    journal_found_fn *on_found; /* may be NULL */
    void *context;
};

enum {
    JOURNAL_SEGMENT_BYTES = 16 * 1024 * 1024,
    JOURNAL_UNSYNCED_BYTES = 16 * 1024 * 1024,
    JOURNAL_ROLL_AGE_MS = 10 * 60 * 1000,
};

uint64_t journal_min_segment_bytes(int partitions);

/* Locks the folder, lists it, makes durable what is there and makes the first segment: the only call that
 * syncs by itself. NULL and *why: another process has the folder, or the disk fails. That there is no room is
 * no reason: then appends are refused. */
struct journal *journal_open(const struct journal_options *options, mono_ms now, struct why *why);
/* Closes the files. Removes the segments of this process when everything in them is acknowledged; call it
 * after the last flush, sync and upkeep are done. Leaves NULL, accepts NULL. */
void journal_close(struct journal **journal);

/* One step of recovery: AGAIN until OK, harmless afterwards. UNAVAILABLE: no descriptor or memory just now, to
 * be called again in a second. It never fails: what cannot be read is damage. */
enum status journal_recover(struct journal *journal) MUST_CHECK;

/* --- appending --- */

/* The boot of the options. */
uuid journal_boot(const struct journal *journal);
/* The position that the next entry gets. */
journal_position journal_next(const struct journal *journal);
/* The number of the next hit of this partition: to be encoded into the value. Used up by journal_append
 * alone. */
int64_t journal_next_seq(const struct journal *journal, int partition);
/* Takes a copy (key <= FRAME_MAX_KEY, value <= HIT_MAX_BYTES: MUST) and gives its position. FULL,
 * UNAVAILABLE: not taken. STOPPING: after journal_finish. */
enum status journal_append(struct journal *journal, const struct frame *hit,
                           journal_position *position) MUST_CHECK;
/* Will so many hits be taken, whatever their size? To take all of a request or none. OK, FULL or
 * UNAVAILABLE. */
enum status journal_has_room(const struct journal *journal, size_t count) MUST_CHECK;
/* Writes what was appended. Not OK: some of it could not be written yet; call it again after the next
 * upkeep. */
enum status journal_flush(struct journal *journal, wall_ms now_wall, mono_ms now);
/* Below these everything is written, durable. */
journal_position journal_written(const struct journal *journal);
journal_position journal_durable(const struct journal *journal);
/* Below this everything is acknowledged; 0 until recovery is done. */
journal_position journal_confirmed(const struct journal *journal);
size_t journal_unsynced_bytes(const struct journal *journal);

/* --- what must not run on the loop --- */

enum { JOURNAL_MAX_SYNC_FILES = 4, JOURNAL_MAX_CLOSES = 8 };

struct journal_sync {
    struct disk *disk;
    size_t count;
    struct {
        int file;
        uint64_t number;
        uint64_t bytes;         /* written when it began */
        journal_position below; /* these are durable when it ends well */
        enum status status;
    } files[JOURNAL_MAX_SYNC_FILES];
};

/* False: nothing to sync, or one is under way. Covers what was flushed. */
bool journal_sync_begin(struct journal *journal, struct journal_sync *sync) MUST_CHECK;
void journal_sync_run(struct journal_sync *sync);
/* Not OK: that file is sealed; flush and sync again. */
enum status journal_sync_done(struct journal *journal, const struct journal_sync *sync);

struct journal_upkeep {
    struct disk *disk;
    size_t close_count;
    int closes[JOURNAL_MAX_CLOSES]; /* files that are no longer needed */
    bool makes_spare;
    uint64_t spare_number;
    uint64_t spare_bytes;
    uint64_t min_free_bytes;
    int spare_file;           /* result */
    enum status spare_status; /* result */
    bool removes;
    bool quarantines; /* instead */
    uint64_t remove_number;
    enum status remove_status;  /* result */
    bool syncs_refused;         /* before that */
    enum status refused_status; /* result */
};

/* False: nothing to do, or one is under way. To be asked after each flush, recovery step, acknowledgement and
 * upkeep, and once a second. */
bool journal_upkeep_begin(struct journal *journal, mono_ms now, struct journal_upkeep *upkeep) MUST_CHECK;
void journal_upkeep_run(struct journal_upkeep *upkeep);
void journal_upkeep_done(struct journal *journal, const struct journal_upkeep *upkeep, mono_ms now);

/* --- reading --- */

/* When the publisher is about to hand out its first entry: writes a mark (true: now, it wants a flush and a
 * sync), and journal_read gives nothing before it is durable. Harmless when repeated. */
bool journal_start_publishing(struct journal *journal, wall_ms now);
/* The next entry not yet given and not acknowledged; its slices are valid until the next call. AGAIN: call
 * again, there is more to search; NOT_FOUND: nothing now; FULL: JOURNAL_MAX_READ_AHEAD; UNAVAILABLE: a file
 * cannot be opened just now. */
enum status journal_read(struct journal *journal, struct journal_entry *entry) MUST_CHECK;
/* Kafka has it. Any order, also twice. */
void journal_acknowledge(struct journal *journal, journal_position position);
/* journal_read begins again with the first that is not acknowledged, leaving out those that are. */
void journal_rewind(struct journal *journal);
/* All that was appended, all that was found, and the ends of finished streams are acknowledged. */
bool journal_is_drained(const struct journal *journal);
/* Keeps a value that Kafka refused for good, as a line of quarantine/refused, for people to look at. The
 * caller then announces it as skipped and acknowledges its position. FULL: JOURNAL_MAX_REFUSED_BYTES, or the
 * quarantine has a quarter of max_bytes. */
enum status journal_keep_refused(struct journal *journal, slice value) MUST_CHECK;
/* No more is appended; behind the last hit journal_read gives a JOURNAL_FIN for each stream of this process.
 * Needs publishing started. */
void journal_finish(struct journal *journal);

/* --- figures --- */

struct journal_figures {
    bool is_recovering;
    enum status state; /* OK, or why appends are refused */
    int64_t segments;
    int64_t pending;         /* entries not acknowledged; while recovering: found so far */
    uint64_t bytes;          /* on disk, of segments and quarantine */
    uint64_t room_bytes;     /* until max_bytes */
    uint64_t appended_bytes; /* all since the start: its rate and room_bytes give the time until full */
    int64_t appended;
    int64_t syncs;
    int64_t sync_errors;
    int64_t write_errors;
    int64_t oldest_pending_ms; /* its age; 0: none is pending */
    int64_t recovered;         /* whole frames found in old segments */
    uint64_t recovered_bytes;
    int64_t torn_tails;
    int64_t damaged_segments;
    int64_t missing_segments; /* in the middle, or gone while we ran */
    int64_t skipped;          /* numbers announced as lost */
    int64_t unannounced;      /* gaps beyond JOURNAL_MAX_GAPS, frames that could be read once and not again */
    int64_t quarantined;      /* files moved there by this process */
};

void journal_figures(const struct journal *journal, wall_ms now, struct journal_figures *figures);

#endif
