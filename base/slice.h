/* SPDX-License-Identifier: Apache-2.0
 * slice: borrowed bytes, a pointer and a length; never NUL-terminated, never owned.
 *
 * Whoever returns a slice says until when it is valid. An empty slice has len 0; its pointer may be NULL.
 * Pure, any thread. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct {
    const char *data;
    size_t len;
} slice;

/* A slice of a string literal, its length known at compile time. */
#define SLICE(literal) ((slice){("" literal), sizeof(literal) - 1})
/* For printf: "%.*s", SLICE_ARGS(s). */
#define SLICE_ARGS(s) (int)(s).len, (s).data

slice slice_of(const char *text); /* of a C string; NULL gives the empty slice */
bool slice_equals(slice a, slice b);
bool slice_equals_nocase(slice a, slice b); /* ASCII only */
int slice_compare(slice a, slice b);        /* bytewise; a prefix sorts first */
bool slice_starts_with(slice s, slice prefix);
bool slice_ends_with(slice s, slice suffix);
/* Position of the first c, or s.len. */
size_t slice_find(slice s, char c);
slice slice_from(slice s, size_t start); /* the rest from start (start <= len) */
slice slice_head(slice s, size_t len);   /* the first len bytes (len <= s.len) */
slice slice_trim(slice s);               /* without spaces and tabs at both ends */

/* Cuts *rest at the first separator: gives what stands before it, leaves what follows in *rest. False when
 * *rest is used up (rest->data == NULL); the last piece ends at the end of the slice. */
bool slice_cut(slice *rest, char separator, slice *piece);

/* A decimal integer without sign or with one '-', whole slice, in [min, max]; else MALFORMED or RANGE. */
enum status slice_to_int64(slice s, int64_t min, int64_t max, int64_t *value) MUST_CHECK;

#endif
