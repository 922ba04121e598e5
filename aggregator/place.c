/* SPDX-License-Identifier: Apache-2.0
 * place: see the header. */
#include "aggregator/place.h"

#include "base/json.h"
#include "base/text.h"

enum {
    MAX_NAME_BYTES = 128, /* of a state or city; the longest real ones have about 60 */
    MAX_GEODATA_BYTES = 2 * 6 * MAX_NAME_BYTES + 64, /* each byte is six at most when escaped */
};
_Static_assert(MAX_GEODATA_BYTES + 2 * MAX_NAME_BYTES + 2 <= PLACE_MAX_TEXT_BYTES, "all texts have room");

slice geo_source_text(enum geo_source source)
{
    static const slice texts[] = {[GEO_NONE] = {"none", 4},
                                  [GEO_PRIVATE] = {"private", 7},
                                  [GEO_MMDB] = {"mmdb", 4},
                                  [GEO_API] = {"api", 3}};
    MUST((size_t)source < sizeof texts / sizeof texts[0]);
    return texts[source];
}

bool place_is_code(slice country)
{
    return country.len == 2 && country.data[0] >= 'A' && country.data[0] <= 'Z' && country.data[1] >= 'A' &&
           country.data[1] <= 'Z';
}

bool place_is_on_globe(double latitude, double longitude)
{
    return latitude >= -90 && latitude <= 90 && longitude >= -180 && longitude <= 180; /* NaN is not */
}

static slice written_since(const struct buf *texts, size_t start)
{
    return slice_from(buf_slice(texts), start);
}

static slice add_name(struct buf *texts, slice raw)
{
    char memory[MAX_NAME_BYTES];
    struct buf clean;
    buf_init(&clean, memory, sizeof memory);
    text_add_clean(&clean, raw, sizeof memory);
    slice name = slice_trim(buf_slice(&clean));
    size_t start = texts->len;
    if (!slice_equals(name, SLICE("-"))) /* how most sources write "unknown" */
        buf_add(texts, name);
    return written_since(texts, start);
}

static slice add_country(struct buf *texts, slice raw)
{
    size_t start = texts->len;
    if (place_is_code(raw))
        buf_add(texts, raw);
    return written_since(texts, start);
}

static void add_part(struct buf *out, const char *name, slice value)
{
    buf_add(out, slice_of(name));
    json_add_text(out, value.len > 0 ? value : SLICE("-"));
}

static slice add_geodata(struct buf *texts, const struct place *place)
{
    if (place->country.len + place->state.len + place->city.len == 0)
        return SLICE("{}");
    size_t start = texts->len;
    add_part(texts, "{\"country\": ", place->country);
    add_part(texts, ", \"state\": ", place->state);
    add_part(texts, ", \"city\": ", place->city);
    buf_add_char(texts, '}');
    return written_since(texts, start);
}

void place_compose(const struct place_parts *parts, enum geo_source source, struct buf *texts,
                   struct place *place)
{
    buf_clear(texts);
    *place = (struct place){.source = source};
    place->country = add_country(texts, parts->country);
    place->state = add_name(texts, parts->state);
    place->city = add_name(texts, parts->city);
    place->geodata = add_geodata(texts, place);
    MUST(!texts->overflowed);
    place->has_coordinates = parts->has_coordinates && place->city.len > 0;
    if (place->has_coordinates) {
        place->latitude = (float)parts->latitude;
        place->longitude = (float)parts->longitude;
    }
}

size_t place_text_bytes(const struct place *place)
{
    return place->country.len + place->state.len + place->city.len + place->geodata.len;
}

static slice copy_text(char **room, slice text)
{
    slice copy = {*room, text.len};
    if (text.len > 0)
        memcpy(*room, text.data, text.len);
    *room += text.len;
    return copy;
}

struct place place_copy(const struct place *place, char *room)
{
    struct place copy = *place;
    copy.country = copy_text(&room, place->country);
    copy.state = copy_text(&room, place->state);
    copy.city = copy_text(&room, place->city);
    copy.geodata = copy_text(&room, place->geodata);
    return copy;
}
