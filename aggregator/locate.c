/* SPDX-License-Identifier: Apache-2.0
 * locate: see the header. */
#include "aggregator/locate.h"

#include <stdio.h>
#include <sysexits.h>
#include <uv.h>

#include "aggregator/locating.h"

struct locate {
    uv_loop_t loop;
    struct places *places;
    struct metrics metrics;
    struct locator *locator; /* NULL: the files alone are asked */
    const char *why;         /* of the address under way, when the service was to be asked */
};

static int complain(const char *reason)
{
    fprintf(stderr, "footfall-aggregator: %s\n", reason);
    return EX_CONFIG;
}

static const char *why_without_service(const struct place *place)
{
    switch (place->source) {
    case GEO_PRIVATE:
        return "no public address: nobody is asked";
    case GEO_MMDB:
        return "a file of geo.databases says so";
    default:
        return "no file of geo.databases knows it";
    }
}

static void print_place(const struct locate *locate, ip_address ip, const struct place *place)
{
    char text[IP_TEXT_MAX];
    printf("%.*s %.*s %.*s", (int)ip_write(ip, text), text, SLICE_ARGS(geo_source_text(place->source)),
           SLICE_ARGS(place->geodata));
    if (place->has_coordinates)
        printf(" %.4f %.4f", (double)place->latitude, (double)place->longitude);
    if (locate->why != NULL && place->source != GEO_API)
        printf(" (%s; %s)\n", locate->why, why_without_service(place));
    else
        printf(" (%s)\n", locate->why != NULL ? locate->why : why_without_service(place));
}

static void locate_one(struct locate *locate, ip_address ip)
{
    locate->why = NULL;
    const struct place *place = places_find(locate->places, ip);
    if (!place->is_provisional) {
        print_place(locate, ip, place);
        return;
    }
    locator_turn(locate->locator);
    while (places_awaits(locate->places, ip))
        uv_run(&locate->loop, UV_RUN_ONCE);
    print_place(locate, ip, places_settle(locate->places, ip));
}

static int locate_all(struct locate *locate, char *const *addresses, int count)
{
    int exit_code = 0;
    for (int i = 0; i < count; i++) {
        ip_address ip;
        if (ip_read(slice_of(addresses[i]), &ip) == STATUS_OK) {
            locate_one(locate, ip);
        } else {
            fprintf(stderr, "footfall-aggregator: %s is not an IP address\n", addresses[i]);
            exit_code = EX_DATAERR;
        }
    }
    return exit_code;
}

static void on_change(void *context)
{
    (void)context; /* locate_one looks after every turn of the loop */
}

static void on_settled(void *context, ip_address asked, const char *why)
{
    struct locate *locate = context;
    (void)asked; /* one at a time */
    locate->why = why;
}

static void start_locator(struct locate *locate, const struct configuration *configuration,
                          const struct ip2location_key *key, int count)
{
    struct locator_options options = locating_options(configuration, key);
    options.max_lease = count;
    options.places = locate->places;
    options.metrics = &locate->metrics;
    options.on_change = on_change;
    options.on_settled = on_settled;
    options.context = locate;
    locate->locator = locator_new(&locate->loop, &options);
    locator_set_key(locate->locator, key);
}

static void on_closed(void *context)
{
    (void)context; /* the loop ends by itself */
}

static void stop_locator(struct locate *locate)
{
    while (!locator_is_idle(locate->locator)) /* what was heard is kept */
        uv_run(&locate->loop, UV_RUN_ONCE);
    locator_close(&locate->locator, on_closed, NULL);
    uv_run(&locate->loop, UV_RUN_DEFAULT);
}

int locate_run(const struct configuration *configuration, char *const *addresses, int count)
{
    struct locate locate = {.locator = NULL};
    struct ip2location_key key;
    struct why why;
    if (locating_read_key(configuration, &key, &why) != STATUS_OK)
        return complain(why.text);
    locate.places = places_open(configuration->geo_databases, &why);
    if (locate.places == NULL)
        return complain(why.text);
    MUST(uv_loop_init(&locate.loop) == 0);
    if (locating_is_on(configuration, &key))
        start_locator(&locate, configuration, &key, count);
    int exit_code = locate_all(&locate, addresses, count);
    if (locate.locator != NULL)
        stop_locator(&locate);
    MUST(uv_loop_close(&locate.loop) == 0);
    places_close(&locate.places);
    return exit_code;
}
