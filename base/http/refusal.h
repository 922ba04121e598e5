/* SPDX-License-Identifier: Apache-2.0
 * refusal: why a request is not taken: the status of the reply and one line for the sender.
 *
 * Given by value by every step that reads a request. Reasons are constant text: nothing of the request is
 * sent back. A refused connection gets this one reply and ends; what follows on it is thrown away unread. */
#ifndef BASE_HTTP_REFUSAL_H
#define BASE_HTTP_REFUSAL_H

#include "base/slice.h"

struct refusal {
    int status; /* 0: not refused */
    slice reason;
};

#define NOT_REFUSED          ((struct refusal){0})
#define REFUSE(code, reason) ((struct refusal){(code), SLICE(reason)})

#endif
