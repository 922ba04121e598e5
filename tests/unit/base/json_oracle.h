/* SPDX-License-Identifier: Apache-2.0
 * json_oracle: what jansson makes of a text, written in a form that can be compared byte by byte.
 *
 * Apart from the test because jansson.h and base/json.h use the same names. The form: n t f; i<integer>;
 * r<real, hexadecimal>; s<length>:<bytes>; [ items ]; { name value … } in the order of the text. */
#ifndef TESTS_UNIT_BASE_JSON_ORACLE_H
#define TESTS_UNIT_BASE_JSON_ORACLE_H

#include "base/buf.h"

struct oracle {
    bool takes;          /* jansson reads it */
    bool is_overflow;    /* jansson refuses only because a number is too big for its types */
    size_t depth;        /* of arrays and objects */
    size_t most_members; /* of the largest object */
};

struct oracle oracle_read(slice text, struct buf *form);

#endif
