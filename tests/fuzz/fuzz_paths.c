/* SPDX-License-Identifier: Apache-2.0
 * fuzz_paths: any text as a page's URL and as a referrer: what is kept stands in it (or is "/"), is short,
 * and holds none of the characters at which it was cut. */
#include <stdint.h>

#include "aggregator/paths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(slice part, slice whole, const char *never)
{
    size_t character_count = 0;
    MUST(part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
    for (size_t i = 0; i < part.len; i++)
        character_count += ((unsigned char)part.data[i] & 0xC0) != 0x80;
    MUST(character_count <= PATHS_MAX_CHARS);
    for (; *never != '\0'; never++)
        MUST(slice_find(part, *never) == part.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = {(const char *)data, size};
    slice page = paths_page(text), host = paths_host(text);
    MUST(page.len > 0);
    if (!slice_equals(page, SLICE("/")))
        check(page, text, "?#");
    if (host.len > 0)
        check(host, text, "/?#@");
    return 0;
}
