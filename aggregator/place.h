/* SPDX-License-Identifier: Apache-2.0
 * place: where an address is, as far as somebody said, in the form in which rows hold it.
 *
 * mmdb and answer read place_parts from their sources as these stand -> place_compose cleans them -> places,
 * place_cache and row use the place. Here, and nowhere else, it is decided what a name may be, that "-" means
 * unknown, that a place without a city has no coordinates, and how geodata is written. Pure, any thread. */
#ifndef AGGREGATOR_PLACE_H
#define AGGREGATOR_PLACE_H

#include "base/buf.h"

enum geo_source { GEO_NONE, GEO_PRIVATE, GEO_MMDB, GEO_API };
enum { GEO_SOURCE_COUNT = GEO_API + 1 };
slice geo_source_text(enum geo_source source); /* none, private, mmdb, api */

struct place_parts { /* as a source says it: neither cleaned nor cut; each empty when absent */
    slice country;   /* ISO 3166 code */
    slice state;
    slice city;
    double latitude;
    double longitude;
    bool has_coordinates; /* they are there and on the globe */
};

struct place {
    slice country; /* two capital letters; empty: not known, as are the others */
    slice state;
    slice city;
    float latitude; /* degrees */
    float longitude;
    bool has_coordinates; /* only with a city: a country's centre is nobody's place */
    bool is_provisional;  /* somebody better was asked and has not answered yet */
    enum geo_source source;
    slice geodata; /* {"country": "IN", "state": "-", "city": "-"}; {} when nothing is known */
};

enum { PLACE_MAX_TEXT_BYTES = 2304 }; /* of all texts of a place */

/* The place that the parts make. Its texts stand in `texts`, which is emptied first and over memory of
 * PLACE_MAX_TEXT_BYTES at least; they are borrowed from there. */
void place_compose(const struct place_parts *parts, enum geo_source source, struct buf *texts,
                   struct place *place);
bool place_is_code(slice country); /* two capital letters */
bool place_is_on_globe(double latitude, double longitude);

/* For keeping a place: the bytes of its texts, and a copy whose texts stand in that many bytes of room. */
size_t place_text_bytes(const struct place *place);
struct place place_copy(const struct place *place, char *room);

#endif
