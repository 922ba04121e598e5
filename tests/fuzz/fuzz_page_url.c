/* SPDX-License-Identifier: Apache-2.0
 * fuzz_page_url: any text as a page's url and as an Origin: a host that is found is canonical, and stands in
 * the text before any slash, question mark or hash. */
#include <stdint.h>
#include <string.h>

#include "collector/url.h"
#include "proto/hit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_host(slice host)
{
    char memory[512];
    struct buf scratch;
    slice again;
    buf_init(&scratch, memory, sizeof(memory));
    MUST(host.len > 0 && host.len <= HIT_MAX_HOST);
    MUST(hit_host_canonical(host, &scratch, &again) == STATUS_OK && slice_equals(host, again));
    static const char never[] = "@/\\?# ";
    for (size_t i = 0; i < sizeof(never) - 1; i++)
        MUST(slice_find(host, never[i]) == host.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char memory[2 * HIT_MAX_URL];
    struct buf scratch;
    slice text = {(const char *)data, size}, host, origin_host;
    if (size > HIT_MAX_URL)
        return 0;
    buf_init(&scratch, memory, sizeof(memory));
    bool is_url = url_host(text, &scratch, &host) == STATUS_OK;
    if (is_url)
        check_host(host);
    if (url_origin_host(text, &scratch, &origin_host) == STATUS_OK)
        MUST(is_url && slice_equals(host, origin_host));
    return 0;
}
