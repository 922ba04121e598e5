/* SPDX-License-Identifier: Apache-2.0
 * uuid: 128-bit identifiers (RFC 9562): version 7 for hits, version 4 for owners and streams, text forms.
 *
 * uuid_v7 is monotonic within a process: ids of one millisecond count up in their random part. Loop thread
 * only. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/clock.h"

typedef struct {
    uint8_t bytes[16];
} uuid;

enum { UUID_TEXT_LEN = 36, UUID_HEX_LEN = 32 };

/* Bytes from the kernel's generator (getrandom). */
void random_bytes(void *out, size_t len);

uuid uuid_v4(void);
uuid uuid_v7(wall_ms now);
bool uuid_equals(uuid a, uuid b);
int uuid_compare(uuid a, uuid b);
void uuid_write(uuid id, char out[UUID_TEXT_LEN]);    /* 8-4-4-4-12, lower case, no NUL */
void uuid_write_hex(uuid id, char out[UUID_HEX_LEN]); /* 32 hex digits, no NUL */
/* 36 characters with dashes or 32 hex digits, either case; else MALFORMED. */
enum status uuid_read(slice text, uuid *id) MUST_CHECK;
/* The id that stands for any other text: XXH3-128 of it, marked version 8 (RFC 9562, vendor specific). */
uuid uuid_of_text(slice text);

#endif
