/* SPDX-License-Identifier: Apache-2.0
 * script: serves footfall.js, the beacon that pages load.
 *
 * A route's handler (GET, HEAD). The text is embedded at build time, without comments and indentation, with a
 * strong entity tag made of its hash: browsers keep it for a day and then ask whether it is still the same
 * (304). Any origin may load it. Loop thread; nothing can fail. */
#ifndef COLLECTOR_SCRIPT_H
#define COLLECTOR_SCRIPT_H

#include "base/slice.h"

struct http_request;

/* In the file that embed_script.cmake makes. */
extern const slice script_text;
extern const slice script_etag; /* with its quotes */

/* context is not used. */
void script_handle(void *context, struct http_request *request);

#endif
