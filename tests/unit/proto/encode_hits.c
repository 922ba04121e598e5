/* SPDX-License-Identifier: Apache-2.0
 * encode_hits: writes sample hits to stdout, one a line, for test_hit_schema.py. Argument: how many. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/sample_hit.h"

int main(int argc, char **argv)
{
    static struct sample_hit sample;
    static char memory[HIT_MAX_BYTES];
    struct choice choice = choice_seeded(25);
    int count = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i < count; i++) {
        struct buf out;
        buf_init(&out, memory, sizeof memory);
        sample_hit_choose(&sample, &choice);
        hit_encode(&sample.hit, &out);
        buf_add_char(&out, '\n');
        MUST(!out.overflowed);
        fwrite(out.data, 1, out.len, stdout);
    }
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
