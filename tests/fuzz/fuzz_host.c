/* SPDX-License-Identifier: Apache-2.0
 * Hosts: the canonical form is clean, within its limit, and its own canonical form. */
#include "base/text.h"
#include "proto/hit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char first[HIT_MAX_HOST], second[HIT_MAX_HOST];
    struct buf out, again;
    slice host, same;
    buf_init(&out, first, sizeof first);
    buf_init(&again, second, sizeof second);
    if (hit_host_canonical((slice){(const char *)data, size}, &out, &host) != STATUS_OK)
        return 0;
    MUST(host.len > 0 && text_is_clean(host) && host.data[host.len - 1] != '.');
    MUST(hit_host_canonical(host, &again, &same) == STATUS_OK && slice_equals(host, same));
    return 0;
}
