/* SPDX-License-Identifier: Apache-2.0
 * locate: the command `footfall-aggregator locate ADDR…`: prints what would be stored as the place of each
 * address, from where, and why.
 *
 * It asks as the running program does, in the same order and out of the same budget, and keeps what the
 * service says for all aggregators. Returns an exit code; prints to stdout and stderr. */
#ifndef AGGREGATOR_LOCATE_H
#define AGGREGATOR_LOCATE_H

#include "aggregator/configuration.h"

int locate_run(const struct configuration *configuration, char *const *addresses, int count);

#endif
