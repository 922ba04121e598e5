/* SPDX-License-Identifier: Apache-2.0
 * sites: see the header. */
#include "collector/sites.h"

#include <stdlib.h>

#include "base/settings.h"
#include "proto/hit.h"

struct host_list {
    slice *hosts;
    size_t count;
};

struct sites {
    struct host_list exact;
    struct host_list below; /* parents: "example.org" for "*.example.org" */
    struct buf names;
};

static const slice wildcard = SLICE("*.");

static int compare_hosts(const void *a, const void *b)
{
    return slice_compare(*(const slice *)a, *(const slice *)b);
}

static void sort_hosts(struct host_list *list)
{
    if (list->count > 0)
        qsort(list->hosts, list->count, sizeof(slice), compare_hosts);
}

static bool list_has(const struct host_list *list, slice host)
{
    return list->count > 0 && bsearch(&host, list->hosts, list->count, sizeof(slice), compare_hosts);
}

static enum status add_site(struct sites *sites, slice item, struct why *why)
{
    bool is_wildcard = slice_starts_with(item, wildcard);
    struct host_list *list = is_wildcard ? &sites->below : &sites->exact;
    slice name = is_wildcard ? slice_from(item, wildcard.len) : item, host;
    bool has_port = slice_find(name, ':') < name.len && (name.len == 0 || name.data[0] != '[');
    if (has_port || hit_host_canonical(name, &sites->names, &host) != STATUS_OK)
        return why_say(
            why, STATUS_MALFORMED,
            "sites.hosts: \"%.*s\" is no host: write example.com or *.example.org, without scheme, "
            "port or path, names beyond ASCII in their xn-- form",
            SLICE_ARGS(item));
    list->hosts[list->count++] = host;
    return STATUS_OK;
}

static enum status add_all(struct sites *sites, slice list, struct why *why)
{
    slice rest = list, item;
    while (settings_list_next(&rest, &item)) {
        enum status status = add_site(sites, item, why);
        if (status != STATUS_OK)
            return status;
    }
    if (sites_count(sites) == 0)
        return why_say(why, STATUS_MISSING,
                       "sites.hosts is empty: name the hosts whose page views are to be taken, such as "
                       "sites.hosts = example.com, *.example.com");
    return STATUS_OK;
}

/* Room for every entry, so that neither the names nor the lists ever move. */
static struct sites *make_room(slice list)
{
    struct sites *sites = must_calloc(1, sizeof(*sites));
    slice rest = list, item;
    size_t count = 0;
    while (settings_list_next(&rest, &item))
        count++;
    sites->exact.hosts = must_calloc(count + 1, sizeof(slice));
    sites->below.hosts = must_calloc(count + 1, sizeof(slice));
    size_t name_bytes = list.len + HIT_MAX_HOST;
    buf_init(&sites->names, must_malloc(name_bytes), name_bytes);
    return sites;
}

struct sites *sites_new(slice list, struct why *why)
{
    struct sites *sites = make_room(list);
    if (add_all(sites, list, why) != STATUS_OK)
        sites_free(&sites);
    else {
        sort_hosts(&sites->exact);
        sort_hosts(&sites->below);
    }
    return sites;
}

void sites_free(struct sites **sites)
{
    if (!*sites)
        return;
    free((*sites)->exact.hosts);
    free((*sites)->below.hosts);
    free((*sites)->names.data);
    free(*sites);
    *sites = NULL;
}

size_t sites_count(const struct sites *sites)
{
    return sites->exact.count + sites->below.count;
}

static bool has_parent(const struct host_list *below, slice host)
{
    while (below->count > 0) {
        size_t dot = slice_find(host, '.');
        if (dot == host.len)
            return false;
        host = slice_from(host, dot + 1);
        if (list_has(below, host))
            return true;
    }
    return false;
}

bool sites_has(const struct sites *sites, slice host)
{
    return list_has(&sites->exact, host) || has_parent(&sites->below, host);
}
