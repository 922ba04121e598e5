/* SPDX-License-Identifier: Apache-2.0
 * footfall-aggregator: reads hits from Kafka and stores them and their sessions in Postgres, each once. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "aggregator/aggregator.h"
#include "aggregator/backfill.h"
#include "aggregator/backoff.h"
#include "aggregator/configuration.h"
#include "aggregator/erase.h"
#include "aggregator/forget.h"
#include "aggregator/locate.h"
#include "aggregator/migrate.h"
#include "aggregator/receipt.h"
#include "aggregator/resume.h"
#include "aggregator/retry.h"
#include "aggregator/service.h"
#include "base/clock.h"
#include "base/program.h"
#include "proto/partition.h"

/* Of `migrate`, when a table is locked. */
enum { LOCKED_MIN_MS = 1000, LOCKED_MAX_MS = 10 * 1000, LOCKED_PATIENCE_MS = 10 * 60 * 1000 };

static int complain(const char *reason, int exit_code)
{
    fprintf(stderr, "footfall-aggregator: %s\n", reason);
    return exit_code;
}

static int exit_code_of(enum status status)
{
    switch (status) {
    case STATUS_AGAIN:
        return EX_TEMPFAIL;
    case STATUS_UNAVAILABLE:
        return EX_UNAVAILABLE;
    case STATUS_DENIED:
        return EX_NOPERM;
    default:
        return EX_CONFIG;
    }
}

/* Hits wait behind each try, so they are given time between two. */
static enum status migrate_patiently(const char *conninfo, struct migrate_report *report, struct why *why)
{
    struct backoff backoff = {.min_ms = LOCKED_MIN_MS, .max_ms = LOCKED_MAX_MS};
    mono_ms give_up_at = {mono_now().ms + LOCKED_PATIENCE_MS};
    enum status status;
    while ((status = migrate_run(conninfo, report, why)) == STATUS_AGAIN && mono_now().ms < give_up_at.ms) {
        int64_t wait_ms = backoff_next(&backoff);
        fprintf(stderr, "footfall-aggregator: %s; it is tried again in %lld ms\n", why->text,
                (long long)wait_ms);
        usleep((useconds_t)wait_ms * 1000);
    }
    return status;
}

static const char *owner_conninfo_of(const struct configuration *configuration)
{
    bool has_owner = configuration->postgres_owner_conninfo[0] != '\0';
    return has_owner ? configuration->postgres_owner_conninfo : configuration->postgres_conninfo;
}

static int run_migrate(const struct configuration *configuration, const struct program_call *call)
{
    struct migrate_report report;
    struct why why;
    if (call->argument_count > 0)
        return complain("migrate takes no arguments", EX_USAGE);
    enum status status = migrate_patiently(owner_conninfo_of(configuration), &report, &why);
    if (status != STATUS_OK)
        return complain(why.text, exit_code_of(status));
    if (report.from_version == report.to_version)
        printf("the schema is at version %d, nothing was to be done\n", report.to_version);
    else
        printf("the schema was brought from version %d to %d\n", report.from_version, report.to_version);
    return 0;
}

struct asked {
    struct rd_kafka_s *kafka;
    const char *topic;
};

static bool ask_log(void *context, int partition, struct loss_log *log)
{
    const struct asked *asked = context;
    return topic_ask_log(asked->kafka, asked->topic, partition, log);
}

static enum status resume_one(const struct configuration *configuration, const struct resume_order *order,
                              struct why *said)
{
    if (order->partition >= order->facts->partition_count)
        return why_say(said, STATUS_RANGE, "topic %s has partitions 0 to %d only", order->topic,
                       order->facts->partition_count - 1);
    return resume_run(configuration->postgres_conninfo, order, said);
}

/* Partition -1: all. Says of each what was done. */
static int resume(const struct configuration *configuration, struct resume_order *order)
{
    int exit_code = 0;
    int first = order->partition < 0 ? 0 : order->partition;
    int end = order->partition < 0 ? order->facts->partition_count : first + 1;
    for (order->partition = first; order->partition < end; order->partition++) {
        struct why said;
        enum status status = resume_one(configuration, order, &said);
        if (status == STATUS_OK)
            printf("%s\n", said.text);
        else
            exit_code = complain(said.text, exit_code_of(status));
    }
    return exit_code;
}

static bool read_partition(const char *text, int *partition)
{
    int64_t number = -1;
    if (strcmp(text, "all") != 0 &&
        slice_to_int64(slice_of(text), 0, PARTITIONS_MAX - 1, &number) != STATUS_OK)
        return false;
    *partition = (int)number;
    return true;
}

static int run_resume(const struct configuration *configuration, const struct program_call *call)
{
    const struct topic_access access = {configuration->kafka_brokers, configuration->kafka_topic,
                                        call->settings};
    struct topic_facts facts;
    struct asked asked = {.topic = access.topic};
    struct resume_order order = {
        .topic = access.topic,
        .facts = &facts,
        .ask_log = ask_log,
        .context = &asked,
        .accepts_loss = call->argument_count == 2 && strcmp(call->arguments[1], "--accept-loss") == 0,
    };
    if (call->argument_count != 1 && !order.accepts_loss)
        return complain("resume needs a partition, and may be followed by --accept-loss", EX_USAGE);
    if (!read_partition(call->arguments[0], &order.partition))
        return complain("the partition is a number from 0 up, or all", EX_USAGE);
    struct why why;
    enum status status = topic_open(&access, &asked.kafka, &facts, &why);
    if (status != STATUS_OK)
        return complain(why.text, exit_code_of(status));
    int exit_code = resume(configuration, &order);
    topic_close(&asked.kafka);
    return exit_code;
}

static int run_retry(const struct configuration *configuration, const struct program_call *call)
{
    struct retry_report report;
    struct why why;
    if (call->argument_count > 0)
        return complain("retry-rejects takes no arguments", EX_USAGE);
    enum status status = retry_run(configuration, call->settings, &report, &why);
    long long stored = report.stored, duplicates = report.duplicates;
    printf("%lld rejects of topic %s were tried: %lld are hits now, %lld were stored before, %lld stay\n",
           (long long)report.seen, configuration->kafka_topic, stored, duplicates,
           (long long)report.seen - stored - duplicates);
    return status == STATUS_OK ? 0 : complain(why.text, exit_code_of(status));
}

static int run_forget(const struct configuration *configuration, const struct program_call *call)
{
    const char *conninfo = configuration->postgres_conninfo;
    const char *topic = configuration->kafka_topic;
    struct why why;
    int64_t count = 0;
    enum status status = STATUS_OK;
    if (call->argument_count == 0)
        status = forget_run_old(conninfo, topic, &count, &why);
    for (int i = 0; i < call->argument_count && status == STATUS_OK; i++) {
        status = forget_run_one(conninfo, topic, call->arguments[i], &why);
        count += status == STATUS_OK;
    }
    printf("%lld streams of topic %s were forgotten\n", (long long)count, topic);
    return status == STATUS_OK ? 0 : complain(why.text, exit_code_of(status));
}

static int run_locate(const struct configuration *configuration, const struct program_call *call)
{
    if (call->argument_count == 0)
        return complain("locate needs at least one address", EX_USAGE);
    return locate_run(configuration, call->arguments, call->argument_count);
}

static int run_backfill(const struct configuration *configuration, const struct program_call *call)
{
    if (call->argument_count == 0)
        return backfill_run(configuration, "");
    if (call->argument_count != 2 || strcmp(call->arguments[0], "--since") != 0)
        return complain("backfill-geo may be followed by --since and a time, and nothing else", EX_USAGE);
    return backfill_run(configuration, call->arguments[1]);
}

static void ask_retentions(const struct configuration *configuration, const struct settings *settings,
                           struct receipt_topic *topics, size_t count)
{
    const struct topic_access access = {configuration->kafka_brokers, configuration->kafka_topic, settings};
    struct rd_kafka_s *kafka;
    struct topic_facts facts;
    struct why why;
    if (topic_open(&access, &kafka, &facts, &why) != STATUS_OK)
        return;
    for (size_t i = 0; i < count; i++)
        topics[i].is_known = topic_ask_retention(kafka, topics[i].name, &topics[i].retention_ms);
    topic_close(&kafka);
}

/* Those of the settings, and what else the database has hits of. */
static size_t list_topics(const struct configuration *configuration, const struct erase_report *report,
                          struct receipt_topic topics[ERASE_MAX_TOPICS + 2])
{
    size_t count = 0;
    topics[count++] = (struct receipt_topic){.name = configuration->kafka_topic};
    if (configuration->enriched_topic[0] != '\0')
        topics[count++] = (struct receipt_topic){.name = configuration->enriched_topic};
    for (size_t i = 0; i < report->topic_count; i++)
        if (strcmp(report->topics[i], configuration->kafka_topic) != 0)
            topics[count++] = (struct receipt_topic){.name = report->topics[i]};
    return count;
}

static int run_erase(const struct configuration *configuration, const struct program_call *call)
{
    struct erase_report report;
    struct receipt_topic topics[ERASE_MAX_TOPICS + 2];
    struct why why;
    ip_address ip;
    if (call->argument_count != 1)
        return complain("erase needs one address", EX_USAGE);
    if (ip_read(slice_of(call->arguments[0]), &ip) != STATUS_OK)
        return complain(
            "erase needs an address such as 203.0.113.7 or 2001:db8::7, without brackets, port, zone or"
            " prefix length",
            EX_USAGE);
    enum status status = erase_run(owner_conninfo_of(configuration), ip, &report, &why);
    if (status != STATUS_OK)
        return complain(why.text, exit_code_of(status));
    size_t count = list_topics(configuration, &report, topics);
    ask_retentions(configuration, call->settings, topics, count);
    receipt_print(stdout, &(struct receipt){ip, &report, configuration->kafka_brokers, topics, count});
    return 0;
}

static const struct program_command commands[] = {
    {"migrate", "", "brings the schema up to date and says what was done", false},
    {"resume", "PARTITION|all [--accept-loss]",
     "lets a halted partition go on, with --accept-loss also where records are gone, and says what was given "
     "up",
     false},
    {"retry-rejects", "",
     "puts rejected hits through the checks again: what is good now is stored, the rest stays", false},
    {"forget-stream", "[STREAM…]",
     "deletes what is kept of whole streams that have ended: of these, or of those that ended 30 days ago",
     false},
    {"erase", "ADDR",
     "takes an IP address out of all that Postgres holds, and prints a receipt that says what stays "
     "elsewhere",
     false},
    {"locate", "ADDR…",
     "prints what would be stored as the place of each address: source, geodata, coordinates, and why",
     false},
    {"backfill-geo", "[--since TIME]",
     "asks ip2location.io for the places of hits that got theirs from a file, or none, since then (30 days)",
     false},
    {NULL, NULL, NULL, false},
};

static int dispatch(const struct configuration *configuration, const struct program_call *call)
{
    if (call->command == NULL)
        return service_run(configuration, call->settings);
    if (strcmp(call->command, "migrate") == 0)
        return run_migrate(configuration, call);
    if (strcmp(call->command, "resume") == 0)
        return run_resume(configuration, call);
    if (strcmp(call->command, "retry-rejects") == 0)
        return run_retry(configuration, call);
    if (strcmp(call->command, "forget-stream") == 0)
        return run_forget(configuration, call);
    if (strcmp(call->command, "erase") == 0)
        return run_erase(configuration, call);
    if (strcmp(call->command, "backfill-geo") == 0)
        return run_backfill(configuration, call);
    return run_locate(configuration, call);
}

/* All that a start would refuse of the settings. */
static enum status check(const void *values, const struct settings *settings, struct why *why)
{
    enum status status = configuration_check(values, why);
    return status == STATUS_OK ? aggregator_check(values, settings, why) : status;
}

int main(int argc, char **argv)
{
    struct configuration configuration;
    const struct program program = {
        .name = "footfall-aggregator",
        .summary = "reads hits from Kafka, stores them and their sessions in Postgres, each once",
        .rows = configuration_rows,
        .row_count = configuration_row_count,
        .values = &configuration,
        .passthrough = "rdkafka",
        .check = check,
        .commands = commands,
    };
    struct program_call call;
    int exit_code;
    if (!program_start(&program, argc, argv, &call, &exit_code))
        return exit_code;
    exit_code = dispatch(&configuration, &call);
    settings_free(&call.settings);
    return exit_code;
}
