/* SPDX-License-Identifier: Apache-2.0
 * receipt: see the header. */
#include "aggregator/receipt.h"

enum { SECOND_MS = 1000, DAY_S = 24 * 60 * 60 };

static void print_removed(FILE *out, const struct receipt *receipt, const char *ip)
{
    const struct erase_report *report = receipt->report;
    if (report->total == 0) {
        fprintf(out, "nothing of %s was found in Postgres at %s; nothing was changed\n", ip, report->moment);
        return;
    }
    fprintf(out, "%s was erased from Postgres, as it stood there at %s; rows removed:\n", ip, report->moment);
    for (size_t i = 0; i < ERASE_PLACES; i++)
        fprintf(out, "  %-30s %lld\n", erase_tables[i], (long long)report->removed[i]);
    fprintf(out, "traffic_by_hour, pages_by_day and referrers_by_day count these hits no more\n");
}

static void print_topic(FILE *out, const struct receipt_topic *topic, const char *brokers)
{
    fprintf(out, "  Kafka topic %s on %s: ", topic->name, brokers);
    if (!topic->is_known)
        fprintf(out,
                "until its retention.ms deletes the records; the broker does not say how long that is"
                " (right DescribeConfigs):"
                " kafka-configs.sh --bootstrap-server %s --describe --all --topic %s\n",
                brokers, topic->name);
    else if (topic->retention_ms < 0)
        fprintf(out, "for ever, its retention.ms is -1\n");
    else
        fprintf(out, "until its retention.ms of %lld deletes the records (%.1f days)\n",
                (long long)topic->retention_ms, (double)topic->retention_ms / SECOND_MS / DAY_S);
}

/* What this program does not reach. */
static const char *const elsewhere[] = {
    "journals of collectors (journal.directory): until Kafka has confirmed the hits; files in quarantine: "
    "until deleted",
    "Postgres: backups, standbys that are behind, write-ahead log; its files until VACUUM has passed over "
    "these tables",
    "aggregators: their memory of where an address is, until they are restarted",
    "logs of web servers and proxies; and texts of other visitors (URLs, referrers) in which the address is "
    "written",
};

/* What is kept, and says nothing of a person. */
static const char *const kept[] = {
    "footfall.received, footfall.audit: numbers of messages; they keep what was erased from coming back from "
    "Kafka",
    "user_agents: texts that no row of this address points to any more",
    "rollups of days whose hits were deleted before: sums",
};

static void print_lines(FILE *out, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  %s\n", lines[i]);
}

void receipt_print(FILE *out, const struct receipt *receipt)
{
    char ip[IP_TEXT_MAX + 1];
    ip[ip_write(receipt->ip, ip)] = '\0';
    print_removed(out, receipt, ip);
    fprintf(out, "a hit of it that is stored after this moment is a new one, and stays\n");
    fprintf(out, "where it may still stand, and until when:\n");
    for (size_t i = 0; i < receipt->topic_count; i++)
        print_topic(out, &receipt->topics[i], receipt->brokers);
    print_lines(out, elsewhere, sizeof elsewhere / sizeof elsewhere[0]);
    fprintf(out, "what stays in Postgres, without the address:\n");
    print_lines(out, kept, sizeof kept / sizeof kept[0]);
}
