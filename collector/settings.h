/* SPDX-License-Identifier: Apache-2.0
 * settings: what the collector can be told, one table of rows, and the checks that need more than one row.
 *
 * main gives the table to program_start; collector_start reads the values. Texts live as long as the struct
 * settings they came from. Start-up, and again on SIGHUP for the sites. */
#ifndef COLLECTOR_SETTINGS_H
#define COLLECTOR_SETTINGS_H

#include "base/http/http.h"
#include "base/settings.h"

enum collector_ack { ACK_DISK, ACK_OS, ACK_MEMORY, ACK_KAFKA }; /* the order of the row's choices */

struct collector_settings {
    const char *http_listen;
    const char *http_prefix;
    bool http_reuse_port;
    const char *http_trusted_proxies;
    struct http_limits http_limits;
    const char *mirror_listen;
    const char *admin_listen;
    const char *sites_hosts;
    const char *kafka_brokers;
    const char *kafka_topic;
    int64_t kafka_partitions;
    const char *journal_directory;
    int journal_ack;
    int64_t journal_max_bytes;
    int64_t journal_min_free_bytes;
};

enum { COLLECTOR_MAX_TRUSTED = 256 /* ranges in http.trusted_proxies */ };

extern const struct setting_row collector_setting_rows[];
extern const size_t collector_setting_count;

/* values: a struct collector_settings. */
enum status collector_settings_check(const void *values, struct why *why) MUST_CHECK;

#endif
