/* SPDX-License-Identifier: Apache-2.0
 * program: see the header. */
#include "base/program.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { MAX_PRINTED_BYTES = 1024 * 1024 };

/* What the command line asked for besides settings. */
struct wishes {
    bool help;
    bool version;
    bool check_config;
    bool print_config;
    const char *config; /* NULL: none */
    int rest;           /* index of the command in argv */
};

static void print_help(const struct program *program)
{
    printf("%s: %s\n\nusage: %s [--config FILE] [--set section.key=value]… [--check-config | --print-config]",
           program->name, program->summary, program->name);
    printf("%s\n\n", program->commands != NULL ? " [COMMAND]" : "");
    printf("  --config FILE            settings, [section] and key = value\n"
           "  --set section.key=value  one setting; wins over the file and the environment; repeatable\n"
           "  --check-config           says whether the settings are right, and ends\n"
           "  --print-config           prints all settings with their explanation as a file, and ends\n"
           "  --version, --help\n\n"
           "Settings also come from the environment: FOOTFALL_<SECTION>_<KEY>.\n");
    for (const struct program_command *command = program->commands; command != NULL && command->name != NULL;
         command++)
        printf("%s  %s %s\n        %s\n", command == program->commands ? "\nCommands:\n" : "", command->name,
               command->arguments, command->help);
}

/* False: *why says what is wrong with the command line. */
static bool take_flag(const struct program *program, char **argv, struct wishes *wishes, struct why *why)
{
    const char *flag = argv[wishes->rest++];
    bool has_value = strcmp(flag, "--config") == 0 || strcmp(flag, "--set") == 0;
    if (has_value && argv[wishes->rest] == NULL) {
        (void)why_say(why, STATUS_MISSING, "%s: it needs a value", flag);
        return false;
    }
    if (strcmp(flag, "--config") == 0)
        wishes->config = argv[wishes->rest++];
    else if (strcmp(flag, "--set") == 0)
        wishes->rest++; /* taken last, when file and environment are read */
    else if (strcmp(flag, "--check-config") == 0)
        wishes->check_config = true;
    else if (strcmp(flag, "--print-config") == 0)
        wishes->print_config = true;
    else if (strcmp(flag, "--version") == 0)
        wishes->version = true;
    else if (strcmp(flag, "--help") == 0)
        wishes->help = true;
    else
        return why_say(why, STATUS_MALFORMED, "%s: there is no such flag; %s --help lists them", flag,
                       program->name) == STATUS_OK;
    return true;
}

static enum status read_settings(struct settings *settings, const struct wishes *wishes, char **argv,
                                 struct why *why)
{
    enum status status = STATUS_OK;
    if (wishes->config != NULL)
        status = settings_read_file(settings, wishes->config, why);
    if (status == STATUS_OK)
        status = settings_read_environment(settings, environ, why);
    for (int i = 1; status == STATUS_OK && i < wishes->rest; i++)
        if (strcmp(argv[i], "--set") == 0)
            status = settings_set(settings, argv[++i], why);
        else if (strcmp(argv[i], "--config") == 0)
            i++;
    return status;
}

static bool has_command(const struct program *program, const char *name)
{
    for (const struct program_command *command = program->commands; command != NULL && command->name != NULL;
         command++)
        if (strcmp(command->name, name) == 0)
            return true;
    return false;
}

static void print_settings(const struct settings *settings)
{
    struct buf out;
    buf_init_growing(&out, 16384, MAX_PRINTED_BYTES);
    settings_print(settings, &out);
    MUST(!out.overflowed);
    fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
}

static int refuse(const struct program *program, int exit_code, const struct why *why)
{
    fprintf(stderr, "%s: %s\n", program->name, why->text);
    return exit_code;
}

/* The settings are read; true: run. */
static bool finish(const struct program *program, const struct wishes *wishes, struct settings *settings,
                   int *exit_code)
{
    struct why why;
    if (wishes->print_config) {
        print_settings(settings);
        *exit_code = EX_OK;
        return false;
    }
    if (program->check != NULL && program->check(program->values, &why) != STATUS_OK) {
        *exit_code = refuse(program, EX_CONFIG, &why);
        return false;
    }
    if (wishes->check_config) {
        printf("%s: the settings are right\n", program->name);
        *exit_code = EX_OK;
        return false;
    }
    return true;
}

static bool take_flags(const struct program *program, char **argv, struct wishes *wishes, struct why *why)
{
    *wishes = (struct wishes){.rest = 1};
    while (argv[wishes->rest] != NULL && argv[wishes->rest][0] == '-')
        if (!take_flag(program, argv, wishes, why))
            return false;
    const char *command = argv[wishes->rest];
    if (command == NULL || has_command(program, command))
        return true;
    (void)why_say(why, STATUS_NOT_FOUND, "%s: there is no such command; %s --help lists them", command,
                  program->name);
    return false;
}

bool program_start(const struct program *program, int argc, char **argv, struct program_call *call,
                   int *exit_code)
{
    struct why why;
    struct wishes wishes;
    if (!take_flags(program, argv, &wishes, &why)) {
        *exit_code = refuse(program, EX_USAGE, &why);
        return false;
    }
    if (wishes.help || wishes.version) {
        if (wishes.help)
            print_help(program);
        else
            printf("%s %s\n", program->name, FOOTFALL_VERSION);
        *exit_code = EX_OK;
        return false;
    }
    struct settings *settings =
        settings_new(program->rows, program->row_count, program->values, program->passthrough);
    enum status status = read_settings(settings, &wishes, argv, &why);
    if (status != STATUS_OK)
        *exit_code =
            refuse(program,
                   status == STATUS_NOT_FOUND && wishes.config != NULL && access(wishes.config, R_OK) != 0
                       ? EX_NOINPUT
                       : EX_CONFIG,
                   &why);
    if (status != STATUS_OK || !finish(program, &wishes, settings, exit_code)) {
        settings_free(&settings);
        return false;
    }
    *call =
        (struct program_call){.settings = settings,
                              .command = argv[wishes.rest],
                              .arguments = argv[wishes.rest] != NULL ? argv + wishes.rest + 1 : argv + argc,
                              .argument_count = argv[wishes.rest] != NULL ? argc - wishes.rest - 1 : 0};
    return true;
}
