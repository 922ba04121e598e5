/* SPDX-License-Identifier: Apache-2.0
 * caution: see the header. */
#include "aggregator/caution.h"

enum {
    BUSY_MS = 60 * 1000, /* when the service does not say for how long */
    MAX_BUSY_MS = 60 * 60 * 1000,
    REFUSED_MS = 60 * 60 * 1000, /* when the end of the budget's day is not known */
};

void caution_init(struct caution *caution)
{
    *caution = (struct caution){.log = log_new("ip2location"), .silent_until = {INT64_MIN}};
}

const char *caution_find_hindrance(const struct caution *caution, mono_ms now)
{
    if (now.ms < caution->silent_until.ms)
        return caution->silence;
    return breaker_is_open(&caution->breaker, now) ? "ip2location.io fails and is left alone for a while"
                                                   : NULL;
}

void caution_admit(struct caution *caution, mono_ms now)
{
    MUST(breaker_admit(&caution->breaker, now));
}

/* ---- Silence ---- */

static void be_silent(struct caution *caution, mono_ms until, const char *why)
{
    caution->silent_until = until;
    caution->silence = why;
}

/* The credit comes back with the next period at the latest, and one call a day shows whether it did. */
static void heed_refusal(struct caution *caution, mono_ms now, mono_ms day_ends)
{
    mono_ms until = day_ends.ms > now.ms ? day_ends : (mono_ms){now.ms + REFUSED_MS};
    be_silent(caution, until, "ip2location.io refuses the key, or its credit is used up");
    log_error(&caution->log, "key_refused",
              "ip2location.io refuses the key, or its credit is used up: it is not asked again before the "
              "next day (UTC), or a reload (SIGHUP); the files of geo.databases answer");
}

static void heed_misconfiguration(struct caution *caution)
{
    be_silent(caution, (mono_ms){INT64_MAX},
              "the plan of the key does not have what we ask ip2location.io for");
    log_error(&caution->log, "request_refused",
              "the plan of the key does not have what we ask ip2location.io for (such as ip2location.bulk): "
              "it is not "
              "asked again before a reload (SIGHUP); the files of geo.databases answer");
}

static void heed_busy(struct caution *caution, mono_ms now, int64_t retry_after_ms)
{
    int64_t wait_ms = retry_after_ms > 0 ? retry_after_ms : BUSY_MS;
    wait_ms = wait_ms < MAX_BUSY_MS ? wait_ms : MAX_BUSY_MS;
    be_silent(caution, (mono_ms){now.ms + wait_ms}, "ip2location.io has too many requests");
    log_warning(&caution->log, "too_many_requests",
                "ip2location.io has too many requests (429) and is left alone for %lld s, as it wishes; the "
                "files of geo.databases answer; the plan of ip2location.key decides how many it takes",
                (long long)wait_ms / 1000);
}

static void heed(struct caution *caution, enum answer_kind kind, int64_t retry_after_ms, mono_ms day_ends)
{
    mono_ms now = mono_now();
    if (now.ms < caution->silent_until.ms) /* said before, by a request that was under way at the same time */
        return;
    if (kind == ANSWER_REFUSED)
        heed_refusal(caution, now, day_ends);
    else if (kind == ANSWER_MISCONFIGURED)
        heed_misconfiguration(caution);
    else if (kind == ANSWER_BUSY)
        heed_busy(caution, now, retry_after_ms);
}

/* ---- Health ---- */

/* What is wrong with it, in words; NULL: nothing. */
static const char *find_fault(enum answer_kind kind, const struct fetch_reply *reply)
{
    if (reply->outcome != FETCH_ANSWERED)
        return fetch_outcome_text(reply->outcome);
    if (kind == ANSWER_FAILED)
        return "it answers with an error";
    if (kind == ANSWER_MALFORMED)
        return "its answer is not one to what was asked";
    return reply->took_ms > CAUTION_SLOW_MS ? "its answers come too late to be of use" : NULL;
}

void caution_note(struct caution *caution, enum answer_kind kind, const struct fetch_reply *reply,
                  mono_ms day_ends)
{
    const char *fault = find_fault(kind, reply);
    bool was_open = caution->breaker.state != BREAKER_CLOSED;
    if (fault == NULL)
        breaker_note_success(&caution->breaker);
    else if (breaker_note_failure(&caution->breaker, mono_now()))
        log_warning(
            &caution->log, "breaker_opened",
            "ip2location.io is left alone for %lld s: %s; the files of geo.databases answer; how it is "
            "reached stands in ip2location.url, ip2location.bulk_url and ip2location.ca_file",
            (long long)caution->breaker.wait_ms / 1000, fault);
    if (was_open && caution->breaker.state == BREAKER_CLOSED)
        log_info(&caution->log, "breaker_closed", "ip2location.io answers again");
    if (reply->outcome == FETCH_ANSWERED)
        heed(caution, kind, reply->retry_after_ms, day_ends);
}
