/* SPDX-License-Identifier: Apache-2.0
 * Texts: cleaning gives a clean text whatever comes, and a clean one stays; percent-decoding never grows. */
#include <stdlib.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cleaning(slice text, size_t max_len)
{
    struct buf out;
    char *memory = must_malloc(max_len);
    buf_init(&out, memory, max_len);
    bool changed = text_add_clean(&out, text, max_len);
    MUST(!out.overflowed && text_is_clean(buf_slice(&out)));
    MUST(changed != slice_equals(buf_slice(&out), text));
    MUST(changed || text_is_clean(text));
    free(memory);
}

static void check_decoding(slice text)
{
    struct buf out;
    char *memory = must_malloc(text.len);
    buf_init(&out, memory, text.len);
    enum status status = text_add_percent_decoded(&out, text, true);
    MUST(!out.overflowed && (status == STATUS_OK || slice_find(text, '%') < text.len));
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = {(const char *)data, size};
    check_cleaning(text, 3 * size);
    check_cleaning(text, size > 0 ? data[0] % (size + 1) : 0);
    check_decoding(text);
    return 0;
}
