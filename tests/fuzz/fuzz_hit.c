/* SPDX-License-Identifier: Apache-2.0
 * Kafka values: a good hit has clean texts within their limits, and survives being encoded and decoded again.
 */
#include <stdlib.h>

#include "base/text.h"
#include "proto/hit.h"
#include "tests/lib/sample_hit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(slice text, enum hit_field field)
{
    MUST(text.len <= hit_field_max_len(field));
    MUST(text_is_clean(text));
}

static void check_texts(const struct hit *hit)
{
    MUST(hit->url.len > 0 && hit->host.len > 0);
    check_text(hit->url, HIT_FIELD_URL);
    check_text(hit->referrer, HIT_FIELD_REFERRER);
    check_text(hit->user_agent, HIT_FIELD_USER_AGENT);
    check_text(hit->host, HIT_FIELD_HOST);
    check_text(hit->headers, HIT_FIELD_HEADERS);
    check_text(hit->language, HIT_FIELD_LANGUAGE);
    check_text(hit->title, HIT_FIELD_TITLE);
    check_text(hit->screen, HIT_FIELD_SCREEN);
    MUST(!hit->has_stream || (hit->seq >= 1 && hit->seq < INT64_MAX && hit->stream.partition >= 0));
}

static void check_again(const struct hit *hit)
{
    static char memory[HIT_MAX_BYTES], scratch_memory[HIT_MAX_BYTES];
    struct buf out, scratch;
    struct hit back;
    buf_init(&out, memory, sizeof memory);
    buf_init(&scratch, scratch_memory, sizeof scratch_memory);
    hit_encode(hit, &out);
    MUST(!out.overflowed);
    MUST(hit_decode(buf_slice(&out), &scratch, &back) == HIT_GOOD);
    MUST(hits_are_equal(hit, &back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hit hit;
    struct buf scratch;
    char *memory = must_malloc(size);
    buf_init(&scratch, memory, size);
    if (hit_decode((slice){(const char *)data, size}, &scratch, &hit) == HIT_GOOD) {
        check_texts(&hit);
        check_again(&hit);
    }
    free(memory);
    return 0;
}
