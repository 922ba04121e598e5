/* SPDX-License-Identifier: Apache-2.0
 * client: see the header. */
#include "collector/client.h"

#include "base/settings.h"

static bool is_trusted(const struct client_trust *trust, ip_address address)
{
    for (size_t i = 0; i < trust->count; i++)
        if (ip_range_has(&trust->ranges[i], address))
            return true;
    return false;
}

static bool is_port(slice s)
{
    int64_t port;
    return s.len > 1 && s.data[0] == ':' && slice_to_int64(slice_from(s, 1), 0, 65535, &port) == STATUS_OK;
}

static enum status read_bracketed(slice hop, ip_address *address)
{
    size_t end = slice_find(hop, ']');
    if (end == hop.len)
        return STATUS_MALFORMED;
    slice port = slice_from(hop, end + 1);
    if (port.len > 0 && !is_port(port))
        return STATUS_MALFORMED;
    enum status status = ip_read(slice_from(slice_head(hop, end), 1), address);
    return status == STATUS_OK && ip_is_v4(*address) ? STATUS_MALFORMED : status;
}

static enum status read_hop(slice hop, ip_address *address)
{
    if (hop.len > 0 && hop.data[0] == '[')
        return read_bracketed(hop, address);
    size_t colon = slice_find(hop, ':');
    bool has_port = slice_find(hop, '.') < colon && colon < hop.len;
    if (!has_port)
        return ip_read(hop, address);
    if (!is_port(slice_from(hop, colon)))
        return STATUS_MALFORMED;
    return ip_read(slice_head(hop, colon), address);
}

/* Cuts the last hop off the chain, whose data is NULL when that was the only one. */
static slice take_last_hop(slice *chain)
{
    size_t start = chain->len;
    while (start > 0 && chain->data[start - 1] != ',')
        start--;
    slice hop = slice_trim(slice_from(*chain, start));
    *chain = start > 0 ? slice_head(*chain, start - 1) : (slice){NULL, 0};
    return hop;
}

/* MISSING when the chain gives nobody. */
static enum status walk_chain(const struct client_trust *trust, slice chain, ip_address *client)
{
    ip_address hop;
    do {
        if (read_hop(take_last_hop(&chain), &hop) != STATUS_OK)
            return STATUS_MISSING;
    } while (chain.data != NULL && is_trusted(trust, hop));
    *client = hop;
    return STATUS_OK;
}

enum status client_find(const struct client_trust *trust, const ip_address *peer, slice forwarded,
                        ip_address *client)
{
    if (peer && !is_trusted(trust, *peer)) {
        *client = *peer;
        return STATUS_OK;
    }
    enum status status = walk_chain(trust, forwarded, client);
    if (status == STATUS_OK || !peer)
        return status;
    *client = *peer;
    return STATUS_OK;
}

enum status client_trust_read(slice list, ip_range *ranges, size_t max, size_t *count, struct why *why)
{
    slice rest = list, item;
    size_t found = 0;
    while (settings_list_next(&rest, &item)) {
        if (found == max)
            return why_say(why, STATUS_TOO_BIG, "http.trusted_proxies: more than %zu ranges: join some", max);
        if (ip_range_read(item, &ranges[found]) != STATUS_OK)
            return why_say(why, STATUS_MALFORMED,
                           "http.trusted_proxies: \"%.*s\" is no address or range: write 10.0.0.0/8, ::1 "
                           "or 2001:db8::/32, with zeros behind the prefix",
                           SLICE_ARGS(item));
        found++;
    }
    *count = found;
    return STATUS_OK;
}
