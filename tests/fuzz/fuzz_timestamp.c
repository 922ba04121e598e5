/* SPDX-License-Identifier: Apache-2.0
 * Times: what is read can be written, and is read from that as the same moment. */
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wall_ms time, back;
    char text[TIMESTAMP_TEXT_LEN];
    if (timestamp_read((slice){(const char *)data, size}, &time) != STATUS_OK)
        return 0;
    timestamp_write(time, text);
    MUST(timestamp_read((slice){text, sizeof text}, &back) == STATUS_OK && back.ms == time.ms);
    return 0;
}
