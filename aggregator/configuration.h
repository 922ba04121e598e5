/* SPDX-License-Identifier: Apache-2.0
 * configuration: the settings of footfall-aggregator: the table that code, --print-config and the documents
 * are made from, and the struct that it fills.
 *
 * Texts are owned by the settings object that filled it. Read-only after the start. */
#ifndef AGGREGATOR_CONFIGURATION_H
#define AGGREGATOR_CONFIGURATION_H

#include "base/settings.h"

enum configuration_commit { COMMIT_ON, COMMIT_OFF }; /* as the choices stand in the table */

struct configuration {
    const char *kafka_brokers;
    const char *kafka_topic;
    const char *kafka_group;
    const char *kafka_instance;
    const char *postgres_conninfo;
    const char *postgres_owner_conninfo;
    int postgres_synchronous_commit; /* enum configuration_commit */
    int64_t events_max_age_ms;
    int64_t retention_days;
    int64_t sessions_gap_ms;
    int64_t sessions_lateness_ms;
    int64_t sessions_max_open;
    const char *enriched_topic;
    const char *geo_databases;
    const char *ip2location_url;
    int ip2location_enabled; /* see locating.c, as the next but two */
    const char *ip2location_key;
    const char *ip2location_key_file;
    int ip2location_key_in;
    bool ip2location_bulk;
    const char *ip2location_bulk_url;
    const char *ip2location_ca_file;
    int64_t ip2location_daily_budget;
    int64_t ip2location_monthly_budget;
    int64_t ip2location_keep_ms;
    int64_t ip2location_ipv6_prefix;
    const char *admin_listen;
    int log_level; /* enum log_level */
};

extern const struct setting_row configuration_rows[];
extern const size_t configuration_row_count;

/* What no row can say alone. */
enum status configuration_check(const void *values, struct why *why) MUST_CHECK;

#endif
