/* SPDX-License-Identifier: Apache-2.0
 * session: see the header. */
#include "aggregator/session.h"

static bool is_text(slice text)
{
    return text.len <= SESSION_MAX_TEXT;
}

static bool has_texts(const struct session *session)
{
    return session->host.len > 0 && is_text(session->host) && is_text(session->entry_url) &&
           is_text(session->referrer) && is_text(session->country) && is_text(session->state) &&
           is_text(session->city) && is_text(session->exit_url);
}

bool session_is_sound(const struct session *session)
{
    return has_texts(session) && session->start.ms >= SESSION_MIN_TIME_MS &&
           session->start.ms <= session->last.ms && session->last.ms <= SESSION_MAX_TIME_MS &&
           session->bot_events >= 0 && session->bot_events <= session->events &&
           session->events <= SESSION_MAX_EVENTS;
}

bool session_is_same_key(const struct session *a, const struct session *b)
{
    return ip_equals(a->ip, b->ip) && slice_equals(a->host, b->host);
}

bool session_spans_touch(struct session_span a, struct session_span b, int64_t gap_ms)
{
    return a.start.ms - b.last.ms <= gap_ms && b.start.ms - a.last.ms <= gap_ms;
}

bool session_touches(const struct session *a, const struct session *b, int64_t gap_ms)
{
    return session_spans_touch((struct session_span){a->start, a->last},
                               (struct session_span){b->start, b->last}, gap_ms);
}

/* The first difference among pairs of texts, as slice_compare gives it. */
static int compare_texts(const slice *a, const slice *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int order = slice_compare(a[i], b[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

bool session_starts_before(const struct session *a, const struct session *b)
{
    if (a->start.ms != b->start.ms)
        return a->start.ms < b->start.ms;
    slice first_of_a[] = {a->entry_url, a->referrer, a->country, a->state, a->city};
    slice first_of_b[] = {b->entry_url, b->referrer, b->country, b->state, b->city};
    return compare_texts(first_of_a, first_of_b, sizeof first_of_a / sizeof first_of_a[0]) < 0;
}

bool session_ends_after(const struct session *a, const struct session *b)
{
    if (a->last.ms != b->last.ms)
        return a->last.ms > b->last.ms;
    return slice_compare(a->exit_url, b->exit_url) > 0;
}

int64_t session_add_events(int64_t a, int64_t b)
{
    int64_t sum = a + b;
    return sum < SESSION_MAX_EVENTS ? sum : SESSION_MAX_EVENTS;
}

void session_merge(struct session *into, const struct session *other)
{
    if (session_starts_before(other, into)) {
        into->start = other->start;
        into->entry_url = other->entry_url;
        into->referrer = other->referrer;
        into->country = other->country;
        into->state = other->state;
        into->city = other->city;
    }
    if (session_ends_after(other, into)) {
        into->last = other->last;
        into->exit_url = other->exit_url;
    }
    into->events = session_add_events(into->events, other->events);
    into->bot_events = session_add_events(into->bot_events, other->bot_events);
}
