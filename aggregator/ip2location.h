/* SPDX-License-Identifier: Apache-2.0
 * ip2location: how the service is asked: its key, and the request for one address or many.
 *
 * The key comes from a setting or a file and is read again on SIGHUP. It is part of a URL or of a header
 * field, so only characters that need no escaping are taken; it is never logged. Pure but for the
 * file; start-up and reload. */
#ifndef AGGREGATOR_IP2LOCATION_H
#define AGGREGATOR_IP2LOCATION_H

#include "aggregator/answer.h"
#include "base/address.h"
#include "base/buf.h"

/* The service takes up to 1,000 addresses at once; more than an answer's reader takes is of no use. */
enum { IP2LOCATION_MAX_KEY = 128, IP2LOCATION_MAX_AT_ONCE = ANSWER_MAX_MANY };

/* What the service allows an address that sends no key. */
enum { IP2LOCATION_KEYLESS_DAILY = 1000 };

struct ip2location_key {
    char text[IP2LOCATION_MAX_KEY + 1]; /* empty: none */
};

/* From the setting ip2location.key, else the file of ip2location.key_file (its first line), else none.
 * Sentences name the setting, never the key. */
enum status ip2location_read_key(const char *key, const char *key_file, struct ip2location_key *out,
                                 struct why *why) MUST_CHECK;

/* How it is asked; base is borrowed. */
struct ip2location_form {
    const char *base; /* at most 1,000 characters */
    bool key_in_header;
    bool is_bulk;
};
/* A request, as texts: of one address, or, in bulk, of up to IP2LOCATION_MAX_AT_ONCE. */
struct ip2location_request {
    char url[1000 + IP2LOCATION_MAX_KEY + 100];
    char header[IP2LOCATION_MAX_KEY + 30];                      /* empty: none */
    char body[IP2LOCATION_MAX_AT_ONCE * (IP_TEXT_MAX + 3) + 2]; /* empty: none; else a JSON array */
};
void ip2location_write(const struct ip2location_form *form, const struct ip2location_key *key,
                       const ip_address *ips, size_t count, struct ip2location_request *out);

#endif
