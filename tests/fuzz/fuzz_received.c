/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: the text of received ranges. What is read must be written just as it stood; what is refused
 * leaves the set alone. */
#include <stdlib.h>

#include "aggregator/received.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = {(const char *)data, size};
    struct received set = {.count = 0};
    struct buf written;
    if (received_read(text, &set) != STATUS_OK) {
        MUST(set.count == 0 && set.ranges == NULL);
        return 0;
    }
    buf_init_growing(&written, size, size); /* and in no more room */
    received_write(&set, &written);
    MUST(slice_equals(buf_slice(&written), text));
    buf_fini(&written);
    received_fini(&set);
    return 0;
}
