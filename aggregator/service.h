/* SPDX-License-Identifier: Apache-2.0
 * service: the running footfall-aggregator: loop, signals, admin listener, preparation, aggregator.
 *
 *   service_run -> admin listens -> preparation (migrations, group) -> aggregator -> SIGTERM -> drained -> 0
 * Called by main; returns the exit code. SIGHUP reads the MMDB files again. */
#ifndef AGGREGATOR_SERVICE_H
#define AGGREGATOR_SERVICE_H

#include "aggregator/configuration.h"

int service_run(const struct configuration *configuration, const struct settings *settings);

#endif
