/* SPDX-License-Identifier: Apache-2.0
 * Control records: a good one has numbers in their order and a clean reason, and survives being encoded and
 * decoded again. */
#include <stdlib.h>

#include "base/text.h"
#include "proto/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct control *control)
{
    char memory[CONTROL_MAX_BYTES], scratch_memory[CONTROL_MAX_BYTES];
    struct buf out, scratch;
    struct control back;
    buf_init(&out, memory, sizeof memory);
    buf_init(&scratch, scratch_memory, sizeof scratch_memory);
    control_encode(control, &out);
    MUST(!out.overflowed);
    MUST(control_decode(buf_slice(&out), &scratch, &back) == CONTROL_GOOD);
    MUST(back.kind == control->kind && back.from == control->from && back.last == control->last);
    MUST(uuid_equals(back.stream.boot, control->stream.boot));
    MUST(back.stream.partition == control->stream.partition);
    MUST(slice_equals(back.reason, control->reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control control;
    struct buf scratch;
    char *memory = must_malloc(size);
    buf_init(&scratch, memory, size);
    if (control_decode((slice){(const char *)data, size}, &scratch, &control) == CONTROL_GOOD) {
        MUST(control.kind == CONTROL_FIN || (control.from >= 1 && control.from <= control.last));
        MUST(control.reason.len <= CONTROL_MAX_REASON && text_is_clean(control.reason));
        check_again(&control);
    }
    free(memory);
    return 0;
}
