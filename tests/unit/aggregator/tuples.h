/* SPDX-License-Identifier: Apache-2.0
 * tuples: reads back what our encoders wrote in the binary form of COPY: field by field, and the rows of
 * five tables.
 *
 * For tests that ask what merge would store. Anything that is not as it should be stops the program (MUST).
 * Slices are borrowed from the tuples. */
#ifndef TESTS_UNIT_AGGREGATOR_TUPLES_H
#define TESTS_UNIT_AGGREGATOR_TUPLES_H

#include "aggregator/session.h"

struct tuples_change {
    int partition;
    int64_t version;
    int32_t ordinal;
    struct session value;
};

struct tuples_stray {
    int home;
    struct session value;
};

struct tuples_sum {
    slice kind;
    wall_ms at;
    slice host, name, country, state, city;
    int bot; /* -1: NULL */
    slice source;
    bool counted;
    int64_t hits;
};

/* The next field of a tuple, or element of an array: data NULL: NULL. */
slice tuples_field(slice *rest);
int64_t tuples_number(slice big_endian); /* of at most eight bytes, signed */

/* Each takes the first tuple off *rest; false when there is none left. topic: what the first column must say.
 */
bool tuples_next_session(slice *rest, int64_t gap_ms, struct session *session);

/* Changes stand in pages, many in a tuple: begin with {.rest = tuples}. */
struct tuples_changes {
    slice rest; /* tuples */
    slice page; /* what is left of the JSON array */
    struct tuples_change next;
};
bool tuples_next_change(struct tuples_changes *changes, slice topic, struct tuples_change *change);
bool tuples_next_stray(slice *rest, slice topic, struct tuples_stray *stray);
bool tuples_next_sum(slice *rest, struct tuples_sum *sum);
/* Of a row of processed_events, where its message stood. */
struct tuples_place {
    int partition;
    int64_t offset;
};
bool tuples_next_hit(slice *rest, struct tuples_place *place);

#endif
