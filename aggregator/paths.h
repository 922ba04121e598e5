/* SPDX-License-Identifier: Apache-2.0
 * paths: what rollups keep of URLs: the path of a page, the host of a referrer.
 *
 * rollups -> paths_page, paths_host. Any text is taken, for other producers' URLs may be anything: it is cut
 * as RFC 3986, appendix B, does, which never fails. footfall.page_of and footfall.host_of say the same in
 * SQL, and a test compares them, so neither changes alone. Results are slices of the text, at most
 * PATHS_MAX_CHARS characters, which bounds rows and index entries. Texts are UTF-8. Pure, any thread. */
#ifndef AGGREGATOR_PATHS_H
#define AGGREGATOR_PATHS_H

#include "base/slice.h"

enum { PATHS_MAX_CHARS = 256 };

/* Without scheme, host, query and fragment; "/" when nothing is left. */
slice paths_page(slice url);
/* Without scheme, user, port and what follows; not yet lower-cased (ASCII only); empty when there is none. */
slice paths_host(slice referrer);

#endif
