/* SPDX-License-Identifier: Apache-2.0
 * failpoint: named places where a test makes the process die or stand still, and named sizes that a test
 * makes smaller; nothing at all in release builds.
 *
 * FOOTFALL_FAILPOINT="name" (or "name:3" for the third pass, "name:3:stop" for SIGSTOP) makes
 * FAILPOINT("name") raise SIGKILL (SIGSTOP). Read once from the environment. Several are separated by commas.
 * FOOTFALL_FAILPOINT_NUMBERS="name=number,…": FAILPOINT_NUMBER("name", usual) is that number.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include <stdint.h>

#ifdef FOOTFALL_FAILPOINTS
int64_t failpoint_number(const char *name, int64_t usual);
#define FAILPOINT_NUMBER(name, usual) failpoint_number(name, usual)
void failpoint_pass(const char *name);
#define FAILPOINT(name) failpoint_pass(name)
#else
#define FAILPOINT(name)               ((void)0)
#define FAILPOINT_NUMBER(name, usual) ((int64_t)(usual))
#endif

#endif
