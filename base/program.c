/* SPDX-License-Identifier: Apache-2.0
 * See program.h. */
#include "base/program.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum { MAX_SETS = 256, MAX_CONFIG_BYTES = 1 << 20 };

/* What the command line asks for, before anything is read. */
struct request {
    const char *config; /* NULL: none */
    const char *sets[MAX_SETS];
    size_t set_count;
    bool needs_check; /* of the settings together */
    enum { RUN, CHECK_CONFIG, PRINT_CONFIG, SHOW_VERSION, SHOW_HELP } action;
};

enum { OPTION_CONFIG = 256, OPTION_SET, OPTION_CHECK, OPTION_PRINT, OPTION_VERSION, OPTION_HELP };

static const struct option options[] = {{"config", required_argument, NULL, OPTION_CONFIG},
                                        {"set", required_argument, NULL, OPTION_SET},
                                        {"check-config", no_argument, NULL, OPTION_CHECK},
                                        {"print-config", no_argument, NULL, OPTION_PRINT},
                                        {"version", no_argument, NULL, OPTION_VERSION},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

static void show_help(const struct program *program)
{
    printf("%s: %s\n\n"
           "usage: %s [options]%s\n\n"
           "  --config FILE            read settings from FILE\n"
           "  --set SECTION.KEY=VALUE  set one setting; wins over file and environment; may be repeated\n"
           "  --check-config           check the settings and leave\n"
           "  --print-config           print the settings in force, as a file, and leave\n"
           "  --version                print the version and leave\n"
           "  --help                   print this and leave\n",
           program->name, program->summary, program->name, program->commands ? " [command [arguments]]" : "");
    const struct program_command *command = program->commands;
    if (command)
        printf("\ncommands (without one: run)\n");
    for (; command && command->name; command++)
        printf("  %s %s\n      %s\n", command->name, command->arguments, command->help);
}

static void complain(const struct program *program, const char *problem, const char *what)
{
    fprintf(stderr, "%s: %s%s; see %s --help\n", program->name, problem, what, program->name);
}

static bool add_set(const struct program *program, struct request *request, const char *assignment)
{
    if (request->set_count == MAX_SETS) {
        complain(program, "more than 256 times ", "--set");
        return false;
    }
    request->sets[request->set_count++] = assignment;
    return true;
}

static bool take_option(const struct program *program, int option, struct request *request)
{
    switch (option) {
    case OPTION_CONFIG:
        if (request->config)
            complain(program, "more than one ", "--config");
        bool is_first = !request->config;
        request->config = optarg;
        return is_first;
    case OPTION_SET:
        return add_set(program, request, optarg);
    case OPTION_CHECK:
        request->action = CHECK_CONFIG;
        return true;
    case OPTION_PRINT:
        request->action = PRINT_CONFIG;
        return true;
    case OPTION_VERSION:
        request->action = SHOW_VERSION;
        return true;
    case OPTION_HELP:
        request->action = SHOW_HELP;
        return true;
    default:
        fprintf(stderr, "see %s --help\n", program->name); /* getopt has said what is wrong */
        return false;
    }
}

static const struct program_command *find_command(const struct program *program, const char *name)
{
    for (const struct program_command *command = program->commands; command && command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

static bool read_arguments(const struct program *program, int argc, char **argv, struct request *request,
                           struct program_call *call)
{
    int option;
    optind = 0; /* start anew, also when a test has been here before */
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (!take_option(program, option, request))
            return false;
    }
    if (optind == argc)
        return true;
    const struct program_command *command = find_command(program, argv[optind]);
    if (!command) {
        complain(program, "unknown command ", argv[optind]);
        return false;
    }
    request->needs_check = !command->needs_no_settings;
    call->command = argv[optind];
    call->arguments = argv + optind + 1;
    call->argument_count = argc - optind - 1;
    return true;
}

static enum status read_settings(const struct program *program, const struct request *request,
                                 struct settings *settings, struct why *why)
{
    enum status status = STATUS_OK;
    if (request->config)
        status = settings_read_file(settings, request->config, why);
    if (status == STATUS_OK)
        status = settings_read_environment(settings, environ, why);
    for (size_t i = 0; status == STATUS_OK && i < request->set_count; i++)
        status = settings_set(settings, request->sets[i], why);
    /* What is printed may lack what must be set: it is how a first file is made. */
    if (status == STATUS_OK && program->check && request->needs_check && request->action != PRINT_CONFIG)
        status = program->check(program->values, settings, why);
    return status;
}

static void print_config(const struct settings *settings)
{
    struct buf out;
    buf_init_growing(&out, 4096, MAX_CONFIG_BYTES);
    settings_print(settings, &out);
    MUST(!out.overflowed);
    fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
}

/* Reads the settings and does what needs them; true when the program is to run. */
static bool use_settings(const struct program *program, const struct request *request,
                         struct program_call *call, int *exit_code)
{
    struct why why = {.text = ""};
    call->settings = settings_new(program->rows, program->row_count, program->values, program->passthrough);
    enum status status = read_settings(program, request, call->settings, &why);
    if (status == STATUS_OK && request->action == RUN)
        return true;
    *exit_code = EX_OK;
    if (status != STATUS_OK) {
        fprintf(stderr, "%s: %s\n", program->name, why.text);
        *exit_code = status == STATUS_UNAVAILABLE ? EX_NOINPUT : EX_CONFIG; /* a file cannot be read */
    } else if (request->action == CHECK_CONFIG) {
        printf("%s: the settings are valid\n", program->name);
    } else {
        print_config(call->settings);
    }
    settings_free(&call->settings);
    return false;
}

/* Settings hold passwords and keys, requests hold what visitors look at. */
static void keep_memory_private(void)
{
    const struct rlimit none = {0, 0};
    MUST(setrlimit(RLIMIT_CORE, &none) == 0);
#ifndef __SANITIZE_ADDRESS__ /* whose search for leaks reads this memory from another process */
    MUST(prctl(PR_SET_DUMPABLE, 0) == 0);
#endif
}

bool program_start(const struct program *program, int argc, char **argv, struct program_call *call,
                   int *exit_code)
{
    struct request request = {.needs_check = true, .action = RUN};
    keep_memory_private();
    *call = (struct program_call){.settings = NULL};
    *exit_code = EX_OK;
    if (!read_arguments(program, argc, argv, &request, call)) {
        *exit_code = EX_USAGE;
        return false;
    }
    if (request.action == SHOW_HELP) {
        show_help(program);
        return false;
    }
    if (request.action == SHOW_VERSION) {
        printf("%s %s\n", program->name, FOOTFALL_VERSION);
        return false;
    }
    return use_settings(program, &request, call, exit_code);
}

int program_refusal(const struct why *why)
{
    return why->status == STATUS_UNAVAILABLE || why->status == STATUS_AGAIN ? EX_TEMPFAIL : EX_CONFIG;
}
