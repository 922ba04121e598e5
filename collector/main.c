/* SPDX-License-Identifier: Apache-2.0
 * footfall-collector: takes page views from browsers and web servers and puts them on Kafka.
 *
 * SIGTERM, SIGINT: stop, answer what is in flight, exit 0. SIGHUP: read the sites again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <uv.h>

#include "base/log.h"
#include "base/program.h"
#include "collector/check_journal.h"
#include "collector/collector.h"
#include "proto/producer.h"

struct run {
    int argc;
    char **argv;
    struct collector *collector;
    struct log log;
    uv_signal_t signals[3];
    bool is_stopping;
};

static const int signal_numbers[3] = {SIGTERM, SIGINT, SIGHUP};

static const struct program_command commands[] = {
    {"check-journal", "DIR", "looks at a journal: segments, hits, damage, what lies in quarantine", true},
    {NULL, NULL, NULL, false},
};

/* All that a start would refuse of the settings. */
static enum status check(const void *values, const struct settings *settings, struct why *why)
{
    const struct collector_settings *collector = values;
    enum status status = collector_settings_check(values, why);
    return status == STATUS_OK ? producer_check_settings(collector->kafka_brokers, settings, why) : status;
}

static struct program describe(struct collector_settings *values)
{
    return (struct program){
        .name = "footfall-collector",
        .summary = "takes page views from browsers and web servers and puts them on Kafka",
        .rows = collector_setting_rows,
        .row_count = collector_setting_count,
        .values = values,
        .passthrough = "rdkafka",
        .check = check,
        .commands = commands,
    };
}

static void close_signals(struct run *run)
{
    for (size_t i = 0; i < sizeof(signal_numbers) / sizeof(signal_numbers[0]); i++)
        uv_close((uv_handle_t *)&run->signals[i], NULL);
}

static void on_stopped(void *context)
{
    close_signals(context);
}

static void stop(struct run *run)
{
    if (run->is_stopping)
        return;
    run->is_stopping = true;
    collector_stop(run->collector, on_stopped, run);
}

/* Everything is read and checked as at start; the sites alone are taken. What is wrong stands on stderr. */
static void reload(struct run *run)
{
    struct collector_settings values;
    struct program program = describe(&values);
    struct program_call call;
    struct why why = {.text = "the settings are wrong"};
    int exit_code;
    bool is_read = program_start(&program, run->argc, run->argv, &call, &exit_code);
    if (is_read && collector_set_sites(run->collector, slice_of(values.sites_hosts), &why) == STATUS_OK)
        log_info(&run->log, "sites_reloaded", "sites.hosts = %s", values.sites_hosts);
    else
        log_error(&run->log, "sites_kept", "the old sites stay in force: %s", why.text);
    if (is_read)
        settings_free(&call.settings);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    if (number == SIGHUP)
        reload(run);
    else
        stop(run);
}

static void watch_signals(struct run *run, uv_loop_t *loop)
{
    for (size_t i = 0; i < sizeof(signal_numbers) / sizeof(signal_numbers[0]); i++) {
        run->signals[i].data = run;
        MUST(uv_signal_init(loop, &run->signals[i]) == 0);
        MUST(uv_signal_start(&run->signals[i], on_signal, signal_numbers[i]) == 0);
    }
}

static int serve(struct run *run, uv_loop_t *loop, const struct collector_settings *values)
{
    struct why why;
    int exit_code = EX_OK;
    watch_signals(run, loop);
    if (collector_start(run->collector, &why) == STATUS_OK) {
        log_info(&run->log, "started", "http.listen = %s, %s of Kafka at %s", values->http_listen,
                 values->kafka_topic, values->kafka_brokers);
    } else {
        fprintf(stderr, "footfall-collector: %s\n", why.text);
        exit_code = program_refusal(&why);
        stop(run);
    }
    MUST(uv_run(loop, UV_RUN_DEFAULT) == 0);
    if (exit_code == EX_OK)
        log_info(&run->log, "stopped", "the journal is closed");
    return exit_code;
}

static int run_check_journal(const struct program_call *call)
{
    if (call->argument_count == 1)
        return check_journal(call->arguments[0], stdout);
    fprintf(stderr, "footfall-collector: check-journal needs one folder\n");
    return EX_USAGE;
}

static int run_collector(int argc, char **argv, const struct collector_settings *values,
                         const struct settings *settings)
{
    struct run run = {.argc = argc, .argv = argv, .log = log_new("main")};
    uv_loop_t loop;
    signal(SIGPIPE, SIG_IGN);
    /* Closing Kafka clients may take all the threads that libuv has by itself: syncs must not wait for them. */
    MUST(setenv("UV_THREADPOOL_SIZE", "12", 0) == 0);
    MUST(uv_loop_init(&loop) == 0);
    run.collector = collector_new(&loop, values, settings);
    int exit_code = serve(&run, &loop, values);
    collector_free(&run.collector);
    MUST(uv_loop_close(&loop) == 0);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct collector_settings values;
    struct program program = describe(&values);
    struct program_call call;
    int exit_code;
    if (!program_start(&program, argc, argv, &call, &exit_code))
        return exit_code;
    if (call.command)
        exit_code = run_check_journal(&call);
    else
        exit_code = run_collector(argc, argv, &values, call.settings);
    settings_free(&call.settings);
    return exit_code;
}
