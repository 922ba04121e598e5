/* SPDX-License-Identifier: Apache-2.0
 * fuzz_beacon_body: any body, as JSON (first byte even) or as a form (odd), to pages, hits and messages.
 *
 * What is taken must be encodable, and the aggregator's decoder must take what was encoded. */
#include <stdint.h>
#include <string.h>

#include "base/http/http.h"
#include "collector/beacon.h"
#include "collector/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SCRATCH_BYTES = 4 * HTTP_MAX_BODY_BYTES };

static char memory[SCRATCH_BYTES], message_memory[HIT_MAX_BYTES], decode_memory[HIT_MAX_BYTES];
static struct beacon beacon;

static void send_one(const struct visit *visit, const struct page *page, const struct sites *sites,
                     struct buf *scratch)
{
    struct stamped stamped;
    struct hit decoded;
    struct why why;
    struct buf message, decode_scratch;
    if (stamp_hit(visit, page, sites, scratch, &stamped, &why) != STATUS_OK)
        return;
    buf_init(&message, message_memory, sizeof(message_memory));
    buf_init(&decode_scratch, decode_memory, sizeof(decode_memory));
    hit_encode(&stamped.hit, &message);
    MUST(!message.overflowed);
    MUST(hit_decode(buf_slice(&message), &decode_scratch, &decoded) == HIT_GOOD);
    MUST(slice_equals(decoded.url, stamped.hit.url) && slice_equals(decoded.host, stamped.hit.host));
    MUST(slice_equals(decoded.title, stamped.hit.title) && decoded.event_time.ms <= visit->arrival.ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sites *sites;
    struct why why;
    struct buf scratch;
    struct visit visit = {.source = HIT_BEACON, .arrival = {INT64_C(1700000000000)}};
    if (!sites)
        sites = sites_new(SLICE("example.com, *.example.com"), &why);
    if (size == 0 || size > HTTP_MAX_BODY_BYTES)
        return 0;
    slice body = {(const char *)data + 1, size - 1};
    buf_init(&scratch, memory, sizeof(memory));
    if (beacon_read(data[0] % 2 ? BEACON_FORM : BEACON_JSON, body, &scratch, &beacon, &why) != STATUS_OK) {
        MUST(strlen(why.text) > 0);
        return 0;
    }
    MUST(scratch.len <= body.len);
    for (size_t i = 0; i < beacon.count; i++)
        send_one(&visit, &beacon.pages[i], sites, &scratch);
    return 0;
}
