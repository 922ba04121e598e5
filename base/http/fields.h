/* SPDX-License-Identifier: Apache-2.0
 * fields: the header fields of a request, as slices into the bytes that were read.
 *
 * Apart from http.h because the one file that includes llhttp.h cannot see both: their method names collide.
 */
#ifndef BASE_HTTP_FIELDS_H
#define BASE_HTTP_FIELDS_H

#include "base/slice.h"

enum {
    HTTP_MAX_FIELDS = 64,       /* in one request; a beacon has about 15 */
    HTTP_MAX_FIELD_BYTES = 4096 /* one line: name, colon, value */
};

struct http_field {
    slice name;
    slice value; /* trimmed */
};

#endif
