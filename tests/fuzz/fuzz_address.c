/* SPDX-License-Identifier: Apache-2.0
 * Addresses and ranges: what is read is written as a text that reads the same and is its own canonical form.
 */
#include "base/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(slice text)
{
    ip_address ip, back;
    char first[IP_TEXT_MAX], second[IP_TEXT_MAX];
    if (ip_read(text, &ip) != STATUS_OK)
        return;
    size_t len = ip_write(ip, first);
    MUST(len <= IP_TEXT_MAX && ip_read((slice){first, len}, &back) == STATUS_OK && ip_equals(ip, back));
    MUST(slice_equals((slice){first, len}, (slice){second, ip_write(back, second)}));
}

static void check_range(slice text)
{
    ip_range range;
    if (ip_range_read(text, &range) != STATUS_OK)
        return;
    MUST(range.prefix_bits <= 128 && ip_range_has(&range, range.base));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = {(const char *)data, size};
    check_address(text);
    check_range(text);
    return 0;
}
