/* SPDX-License-Identifier: Apache-2.0
 * fuzz_mention: any bytes of a rejected message: an address behind them is found in each of its spellings, and
 * what stands around them does not change what they name. */
#include <stdint.h>
#include <string.h>

#include "aggregator/mention.h"
#include "base/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const of_v4[] = {"203.0.113.9",        "203.0.113.9:8080", "203.000.113.009",
                                    "::ffff:203.0.113.9", "::FFFF:cb00:7109", "203.0.113\\u002e9",
                                    "[::ffff:cb00:7109]"};
static const char *const of_v6[] = {"2001:db8::9", "2001:0DB8:0:0:0:0:0:9", "[2001:db8::9]:443",
                                    "2001\\u003adb8::9"};

static char text[8192];

/* With a space before and the spelling behind. */
static bool names_with(slice bytes, const char *behind, ip_address ip)
{
    slice tail = slice_of(behind);
    text[0] = ' ';
    memcpy(text + 1, bytes.data, bytes.len);
    text[1 + bytes.len] = ' ';
    memcpy(text + 2 + bytes.len, tail.data, tail.len);
    return mention_has((slice){text, 2 + bytes.len + tail.len}, ip);
}

static void check(slice bytes, const char *const *spellings, size_t count)
{
    ip_address ip;
    MUST(ip_read(slice_of(spellings[0]), &ip) == STATUS_OK);
    for (size_t i = 0; i < count; i++)
        MUST(names_with(bytes, spellings[i], ip));
    MUST(names_with(bytes, "", ip) == mention_has(bytes, ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice bytes = {size > 0 ? (const char *)data : "", size};
    if (size + 64 > sizeof text)
        return 0;
    check(bytes, of_v4, sizeof of_v4 / sizeof of_v4[0]);
    check(bytes, of_v6, sizeof of_v6 / sizeof of_v6[0]);
    return 0;
}
