/* SPDX-License-Identifier: Apache-2.0
 * ip2location: how the service is asked: its key, and the request for one address.
 *
 * The key comes from a setting or a file and is read again on SIGHUP. It is part of a URL or of a header
 * field, so only characters that need no escaping are taken; it is never logged, and once there is one the
 * process leaves no core dump. Pure but for the file; start-up and reload. */
#ifndef AGGREGATOR_IP2LOCATION_H
#define AGGREGATOR_IP2LOCATION_H

#include "base/address.h"
#include "base/buf.h"

enum { IP2LOCATION_MAX_KEY = 128 };

/* What the service allows an address that sends no key. */
enum { IP2LOCATION_KEYLESS_DAILY = 1000 };

struct ip2location_key {
    char text[IP2LOCATION_MAX_KEY + 1]; /* empty: none */
};

/* From the setting ip2location.key, else the file of ip2location.key_file (its first line), else none.
 * Sentences name the setting, never the key. */
enum status ip2location_read_key(const char *key, const char *key_file, struct ip2location_key *out,
                                 struct why *why) MUST_CHECK;
/* No core dump of this process, and nobody else reads its memory. */
void ip2location_protect_key(void);

/* The URL of the request for one address; key NULL: it is not part of it. */
void ip2location_add_url(struct buf *out, const char *base, const struct ip2location_key *key, ip_address ip);
/* The header field with the key. */
void ip2location_add_header(struct buf *out, const struct ip2location_key *key);

#endif
