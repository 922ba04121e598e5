/* SPDX-License-Identifier: Apache-2.0
 * failpoint: see the header. */
#include "base/failpoint.h"

#include <signal.h>
#include <stdlib.h>

#include "base/slice.h"

#ifdef FOOTFALL_FAILPOINTS

enum { MAX_POINTS = 16 };

struct point {
    slice name;
    int64_t passes_left; /* the one that brings it to 0 raises */
    int signal;
};

static struct point points[MAX_POINTS];
static size_t point_count;

/* "name", "name:3", "name:3:stop" */
static void read_point(slice text)
{
    struct point point = {.passes_left = 1, .signal = SIGKILL};
    slice pass, action;
    MUST(slice_cut(&text, ':', &point.name));
    if (slice_cut(&text, ':', &pass))
        MUST(slice_to_int64(pass, 1, INT64_MAX, &point.passes_left) == STATUS_OK);
    if (slice_cut(&text, ':', &action)) {
        MUST(slice_equals(action, SLICE("stop")));
        point.signal = SIGSTOP;
    }
    MUST(point_count < MAX_POINTS);
    points[point_count++] = point;
}

static void read_environment(void)
{
    static bool is_read;
    if (is_read)
        return;
    is_read = true;
    slice rest = slice_of(getenv("FOOTFALL_FAILPOINT"));
    for (slice text; slice_cut(&rest, ',', &text);)
        read_point(text);
}

void failpoint_pass(const char *name)
{
    read_environment();
    for (size_t i = 0; i < point_count; i++)
        if (slice_equals(points[i].name, slice_of(name)) && --points[i].passes_left == 0)
            raise(points[i].signal);
}

int64_t failpoint_number(const char *name, int64_t usual)
{
    slice rest = slice_of(getenv("FOOTFALL_FAILPOINT_NUMBERS"));
    int64_t number = usual;
    for (slice value, key; slice_cut(&rest, ',', &value);) {
        MUST(slice_cut(&value, '=', &key));
        if (slice_equals(key, slice_of(name)))
            MUST(slice_to_int64(value, 1, INT64_MAX, &number) == STATUS_OK);
    }
    return number;
}

#endif
