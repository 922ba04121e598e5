/* SPDX-License-Identifier: Apache-2.0
 * failpoint: named places where a test makes the process die or stand still; nothing at all in release
 * builds.
 *
 * FOOTFALL_FAILPOINT="name" (or "name:3" for the third pass, "name:3:stop" for SIGSTOP) makes
 * FAILPOINT("name") raise SIGKILL (SIGSTOP). Read once from the environment. Several are separated by commas.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#ifdef FOOTFALL_FAILPOINTS
void failpoint_pass(const char *name);
#define FAILPOINT(name) failpoint_pass(name)
#else
#define FAILPOINT(name) ((void)0)
#endif

#endif
