/* SPDX-License-Identifier: Apache-2.0
 * What a look-up costs whose answer the memory holds: places_find of addresses that the service has answered.
 *
 * usage: places_hot COUNT. Prints the look-ups a second; measure counts instructions by two runs. */
#include <stdio.h>
#include <stdlib.h>

#include "aggregator/places.h"

enum { ADDRESSES = 100000, KEEP_MS = 1000000 };

static ip_address address_of(unsigned number)
{
    char text[32];
    ip_address ip;
    int len = snprintf(text, sizeof(text), "77.%u.%u.%u", number / 65536, number / 256 % 256, number % 256);
    MUST(ip_read((slice){text, (size_t)len}, &ip) == STATUS_OK);
    return ip;
}

static void fill(struct place_cache *cache, ip_address *ips)
{
    char memory[PLACE_MAX_TEXT_BYTES];
    struct buf texts;
    struct place place;
    buf_init(&texts, memory, sizeof(memory));
    place_compose(
        &(struct place_parts){SLICE("IN"), SLICE("Karnataka"), SLICE("Bengaluru"), 12.97, 77.59, true},
        GEO_API, &texts, &place);
    for (unsigned i = 0; i < ADDRESSES; i++) {
        ips[i] = address_of(i);
        place_cache_put(cache, ips[i], &place, (wall_ms){KEEP_MS});
    }
}

int main(int argc, char **argv)
{
    struct why why;
    static ip_address ips[ADDRESSES];
    unsigned long count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0, known = 0, state = 1;
    struct places *places = places_open("", &why);
    struct place_cache *cache = place_cache_new(2 * ADDRESSES);
    MUST(places && count > 0);
    fill(cache, ips);
    places_ask_service(places, cache, 64);
    places_set_time(places, (wall_ms){1});
    mono_ms began = mono_now();
    for (unsigned long i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        known += places_find(places, ips[(state >> 33) % ADDRESSES])->source == GEO_API;
    }
    MUST(known == count);
    printf("%.0f\n", 1000.0 * (double)count / (double)(mono_now().ms - began.ms + 1));
    places_close(&places);
    place_cache_free(&cache);
    return 0;
}
