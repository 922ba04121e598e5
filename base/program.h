/* SPDX-License-Identifier: Apache-2.0
 * program: the command line that all programs share: --config FILE, --set section.key=value (repeatable),
 * --check-config, --print-config, --version, --help, then an optional command with arguments.
 *
 * From program_start on the process leaves no core file, and nobody else without root's rights reads its memory.
 * program_start reads everything in the order of precedence and either returns true, or has done what was
 * asked and says which exit code to leave with (sysexits: 0, EX_USAGE 64, EX_CONFIG 78, EX_NOINPUT 66 when a
 * settings file cannot be read). The units in deploy/systemd start a program again after all codes but 64 and
 * 78, which say that only a person can help. Start-up only; prints to stdout and stderr. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include "base/settings.h"

struct program {
    const char *name;    /* "footfall-collector" */
    const char *summary; /* one line for --help */
    const struct setting_row *rows;
    size_t row_count;
    void *values;
    const char *passthrough;
    /* Checks across settings, and of what is passed on (NULL: none): fills *why. */
    enum status (*check)(const void *values, const struct settings *settings, struct why *why);
    /* What may follow the options; the last row has no name. NULL: no commands. */
    const struct program_command {
        const char *name;
        const char *arguments; /* for help: "ADDR…" */
        const char *help;
        bool needs_no_settings; /* then `check` is not asked */
    } * commands;
};

struct program_call {
    struct settings *settings; /* owned by the caller from now on */
    const char *command;       /* NULL: run */
    char **arguments;          /* borrowed from argv */
    int argument_count;
};

/* True: go on with *call. False: leave with *exit_code. */
bool program_start(const struct program *program, int argc, char **argv, struct program_call *call,
                   int *exit_code);

/* For a program whose parts could not be started: EX_TEMPFAIL when what was taken or missing may soon be free
 * or there, a port, a folder, a file; else EX_CONFIG. */
int program_refusal(const struct why *why);

#endif
