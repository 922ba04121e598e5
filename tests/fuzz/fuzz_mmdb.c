/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: any bytes as a MaxMind database, opened and read. */
#include <stddef.h>
#include <stdint.h>

#include "tests/lib/mmdb_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)mmdb_files_use(data, size);
    return 0;
}
