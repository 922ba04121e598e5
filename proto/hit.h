/* SPDX-License-Identifier: Apache-2.0
 * hit: one page view as it travels on Kafka, its table of fields, encoder and decoder.
 *
 * The collector fills a struct hit and encodes it; the aggregator decodes it. The first seven names are those
 * of the existing event streams; the rest are ours (README.md says it in words, hit.schema.json for other
 * programs). The decoder is strict about size and types and tolerant of unknown names. Slices borrow from the
 * message or from the caller's scratch buffer. No I/O, no allocation, any thread. */
#ifndef PROTO_HIT_H
#define PROTO_HIT_H

#include "base/address.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/uuid.h"

enum { HIT_VERSION = 1 };

/* Longest texts in bytes of UTF-8: the collector cuts (user agent, title …), refuses (url) or leaves out
 * (headers: half of them would be no JSON) what is longer; the decoder cuts or leaves out alike, so that
 * another producer's long text is not a poison message. Whole value: HIT_MAX_BYTES. */
enum {
    HIT_MAX_URL = 4096,
    HIT_MAX_REFERRER = 4096,
    HIT_MAX_USER_AGENT = 1024,
    HIT_MAX_HOST = 253,
    HIT_MAX_HEADERS = 8192,
    HIT_MAX_LANGUAGE = 64,
    HIT_MAX_TITLE = 512,
    HIT_MAX_SCREEN = 32,
    HIT_MAX_BYTES = 96 * 1024,
};

/* The names in the order in which they are written, with the longest text (0: no text, or one of a fixed
 * form). The first seven are those of the existing streams. hit.schema.json and README.md list the same. */
#define HIT_FIELD_LIST(X)                                                                                    \
    X(URL, "url", HIT_MAX_URL)                                                                               \
    X(REFERRER, "referrer", HIT_MAX_REFERRER)                                                                \
    X(USER_AGENT, "user_agent", HIT_MAX_USER_AGENT)                                                          \
    X(HOST, "host", HIT_MAX_HOST)                                                                            \
    X(IP, "ip", IP_TEXT_MAX)                                                                                 \
    X(HEADERS, "headers", HIT_MAX_HEADERS)                                                                   \
    X(EVENT_TIME, "event_time", 0)                                                                           \
    X(V, "v", 0)                                                                                             \
    X(ID, "id", 0)                                                                                           \
    X(SOURCE, "source", 0)                                                                                   \
    X(STREAM, "stream", HIT_STREAM_TEXT_MAX)                                                                 \
    X(SEQ, "seq", 0)                                                                                         \
    X(RECEIVED_TIME, "received_time", 0)                                                                     \
    X(LANGUAGE, "language", HIT_MAX_LANGUAGE)                                                                \
    X(TITLE, "title", HIT_MAX_TITLE)                                                                         \
    X(SCREEN, "screen", HIT_MAX_SCREEN)                                                                      \
    X(FLAGS, "flags", 0)

enum hit_field {
#define X(name, text, max_len) HIT_FIELD_##name,
    HIT_FIELD_LIST(X)
#undef X
        HIT_FIELD_COUNT
};
slice hit_field_name(enum hit_field field);
slice hit_field_label(enum hit_field field); /* as it stands in JSON: ,"name": */
size_t hit_field_max_len(enum hit_field field);

enum hit_source {
    HIT_BEACON,
    HIT_PIXEL,
    HIT_MIRROR,
    HIT_LOG,
    HIT_API,
    HIT_OTHER /* said nothing, or something unknown */
};
slice hit_source_text(enum hit_source source); /* HIT_OTHER: "other" */

/* Bot signals and remarks, or-ed; stored, nothing is dropped because of them. */
enum hit_flag {
    HIT_FLAG_BOT_AGENT = 1, /* the user agent names a bot */
    HIT_FLAG_PREFETCH = 2,  /* Sec-Purpose: prefetch… */
    HIT_FLAG_NO_AGENT = 4,  /* empty user agent */
    HIT_FLAG_CLEANED = 8,   /* bad UTF-8 or controls were replaced */
    HIT_FLAG_PRIVACY = 16,  /* Sec-GPC: 1 or DNT: 1 */
    HIT_FLAGS_BOT = HIT_FLAG_BOT_AGENT | HIT_FLAG_PREFETCH | HIT_FLAG_NO_AGENT,
};

/* One process start of a collector and one partition: its hits are numbered 1, 2, 3 … without holes. */
struct hit_stream {
    uuid boot;
    int partition;
};
enum { HIT_STREAM_TEXT_MAX = 43 }; /* 32 hex, '-', int32 */
size_t hit_stream_write(const struct hit_stream *stream, char out[HIT_STREAM_TEXT_MAX]);
enum status hit_stream_read(slice text, struct hit_stream *stream) MUST_CHECK;

struct hit {
    slice url;
    slice referrer;
    slice user_agent;
    ip_address ip;
    slice host;    /* lower case, no port */
    slice headers; /* a JSON object as text; may be empty */
    wall_ms event_time;
    uuid id; /* all zero: none was given */
    bool has_id;
    enum hit_source source;
    bool has_stream;
    struct hit_stream stream;
    int64_t seq; /* >= 1 when has_stream */
    wall_ms received_time;
    bool has_received_time;
    slice language;
    slice title;
    slice screen;
    uint32_t flags;
};

/* Appends the JSON value; overflow of the buf is the caller's to check. Absent texts are written as "" for
 * the seven old names and left out for ours. */
void hit_encode(const struct hit *hit, struct buf *out);

/* Why a value cannot be a hit; the text goes into rejected_hits.reason. */
enum hit_fault {
    HIT_GOOD,
    HIT_TOO_BIG,
    HIT_NOT_JSON,
    HIT_NO_IP,
    HIT_NO_HOST,
    HIT_NO_URL,
    HIT_NO_TIME,
    HIT_BAD_FIELD,
    HIT_NEWER_VERSION
};
slice hit_fault_text(enum hit_fault fault);

/* Decodes one Kafka value; *hit means nothing unless HIT_GOOD, but for has_stream, stream and seq: a hit that
 * is bad otherwise still says which one it is, if it can. Texts are cleaned (valid UTF-8, no controls),
 * host and ip canonical. Slices borrow from value or from *scratch, to which is added (value.len bytes of
 * room are always enough; it must not move, so it does not grow). */
enum hit_fault hit_decode(slice value, struct buf *scratch, struct hit *hit) MUST_CHECK;

/* Lower-cases, drops port and trailing dot, checks LDH labels (and '_'), IP literals allowed; MALFORMED
 * otherwise. Appends to out. */
enum status hit_host_canonical(slice host, struct buf *out, slice *canonical) MUST_CHECK;

#endif
