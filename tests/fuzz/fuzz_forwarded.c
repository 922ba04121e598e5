/* SPDX-License-Identifier: Apache-2.0
 * fuzz_forwarded: any X-Forwarded-For: with ", 203.0.113.9, 10.0.0.1" behind it the visitor is always
 * 203.0.113.9, and alone it never gives a visitor to a stranger's peer. */
#include <stdint.h>
#include <string.h>

#include "collector/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ip_address read_address(slice text)
{
    ip_address ip;
    MUST(ip_read(text, &ip) == STATUS_OK);
    return ip;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const slice tail = SLICE(", 203.0.113.9, 10.0.0.1");
    static char chain[8192];
    ip_range range;
    ip_address client, proxy = read_address(SLICE("10.0.0.2")),
                       stranger = read_address(SLICE("198.51.100.1"));
    MUST(ip_range_read(SLICE("10.0.0.0/8"), &range) == STATUS_OK);
    const struct client_trust trust = {&range, 1};
    if (size + tail.len > sizeof(chain))
        return 0;
    slice alone = {(const char *)data, size};
    memcpy(chain, data, size);
    memcpy(chain + size, tail.data, tail.len);
    MUST(client_find(&trust, &proxy, (slice){chain, size + tail.len}, &client) == STATUS_OK);
    MUST(ip_equals(client, read_address(SLICE("203.0.113.9"))));
    MUST(client_find(&trust, &stranger, alone, &client) == STATUS_OK && ip_equals(client, stranger));
    MUST(client_find(&trust, &proxy, alone, &client) == STATUS_OK);
    if (client_find(&trust, NULL, alone, &client) != STATUS_OK)
        MUST(client_find(&trust, &proxy, alone, &client) == STATUS_OK && ip_equals(client, proxy));
    return 0;
}
