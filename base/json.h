/* SPDX-License-Identifier: Apache-2.0
 * json: a bounded, strict reader without allocation and a writer that cannot write invalid JSON.
 *
 * The reader checks the whole text once (RFC 8259, valid UTF-8, no lone surrogate escapes, no duplicate key
 * at any level, depth <= 8, <= 128 members an object, nothing but white space after the value) and hands out
 * members as slices of the text; values inside are read again when asked for. Accepts a subset of what a full
 * parser accepts. Pure, any thread. Used on the hot path of both programs; elsewhere a library does. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

enum { JSON_MAX_DEPTH = 8, JSON_MAX_MEMBERS = 128 };

enum json_kind { JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json_value {
    enum json_kind kind;
    bool has_escapes; /* JSON_TEXT: the raw text holds a backslash */
    bool is_plain;    /* JSON_TEXT of json_read_object: printable ASCII, no escapes; elsewhere false */
    slice raw;        /* the value as written; a text without its quotes */
};

struct json_member {
    slice name; /* decoded; borrowed from the text (a name written with escapes is refused: MALFORMED) */
    struct json_value value;
};

struct json_object {
    size_t count;
    struct json_member members[JSON_MAX_MEMBERS];
};

/* Checks text whole and returns its top value; `where` (may be NULL) is the byte at which the first error
 * stands. MALFORMED; TOO_BIG for depth or member count. */
enum status json_read(slice text, struct json_value *value, size_t *where) MUST_CHECK;
/* The same for a text that must be an object, with its members, all in one pass. Borrows the text. */
enum status json_read_object(slice text, struct json_object *object, size_t *where) MUST_CHECK;
/* The members of an object that json_read (or a value out of it) has already checked. Borrows the text. */
void json_members(const struct json_value *object, struct json_object *members);
/* NULL when there is no such member. */
const struct json_value *json_find(const struct json_object *object, slice name);
/* Walks a checked array: *rest starts as array.raw; false at its end. */
bool json_next(slice *rest, struct json_value *item);
/* The decoded text of a JSON_TEXT: borrowed from the text when it has no escapes, else decoded into *scratch
 * (TOO_BIG when that is full). */
enum status json_text(const struct json_value *value, struct buf *scratch, slice *text) MUST_CHECK;
/* An integer that fits; a number with fraction or exponent is MALFORMED, one beyond int64 RANGE. */
enum status json_int64(const struct json_value *value, int64_t *number) MUST_CHECK;

/* Appends s as a JSON text with quotes; invalid UTF-8 becomes U+FFFD, controls are escaped. */
void json_add_text(struct buf *out, slice s);

#endif
