/* SPDX-License-Identifier: Apache-2.0
 * See setting.h. */
#include "base/setting.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { MAX_TEXT_LEN = 4096, MAX_PORT = 65535, MAX_UNIX_PATH_LEN = 107 /* what sockaddr_un holds */ };

struct unit {
    const char *name;
    int64_t size;
};

/* Smallest first. */
static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000}, {NULL, 0}};
static const struct unit size_units[] = {
    {"", 1}, {"KiB", 1ll << 10}, {"MiB", 1ll << 20}, {"GiB", 1ll << 30}, {"TiB", 1ll << 40}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum setting_type type)
{
    if (type == SETTING_DURATION)
        return duration_units;
    return type == SETTING_SIZE ? size_units : no_units;
}

static void *place_of(const struct setting_row *row, void *values)
{
    return (char *)values + row->offset;
}

static const void *place_in(const struct setting_row *row, const void *values)
{
    return (const char *)values + row->offset;
}

/* ---- what a row takes, in words ---- */

static int64_t max_of(const struct setting_row *row)
{
    return row->min == 0 && row->max == 0 ? INT64_MAX : row->max;
}

/* In the largest unit that gives a whole number. */
static void add_number(struct buf *out, enum setting_type type, int64_t number)
{
    const struct unit *unit = units_of(type);
    while (number != 0 && unit[1].name && number % unit[1].size == 0)
        unit++;
    buf_add_int64(out, number / unit->size);
    buf_add(out, slice_of(unit->name));
}

static void add_range(struct buf *out, const struct setting_row *row)
{
    if (max_of(row) == INT64_MAX) {
        buf_add(out, SLICE(" of at least "));
        add_number(out, row->type, row->min);
        return;
    }
    buf_add(out, SLICE(" from "));
    add_number(out, row->type, row->min);
    buf_add(out, SLICE(" to "));
    add_number(out, row->type, row->max);
}

static void add_choices(struct buf *out, const char *choices)
{
    slice rest = slice_of(choices), choice;
    const char *between = "one of ";
    while (slice_cut(&rest, '|', &choice)) {
        buf_add(out, slice_of(between));
        buf_add(out, choice);
        between = ", ";
    }
}

void setting_add_kind(struct buf *out, const struct setting_row *row)
{
    static const char *const words[] = {
        [SETTING_TEXT] = "a text",
        [SETTING_SECRET] = "a text, never shown",
        [SETTING_BOOL] = "true or false",
        [SETTING_INT] = "a whole number",
        [SETTING_DURATION] = "a duration",
        [SETTING_SIZE] = "a size",
        [SETTING_CHOICE] = "",
        [SETTING_LIST] = "a list, separated by commas",
        [SETTING_LISTEN] = "host:port, [v6]:port, unix:/path, or empty for none",
    };
    buf_add(out, slice_of(words[row->type]));
    if (row->type == SETTING_CHOICE)
        add_choices(out, row->choices);
    if (row->type == SETTING_INT || row->type == SETTING_DURATION || row->type == SETTING_SIZE)
        add_range(out, row);
}

/* ---- from text ---- */

static enum status say_kind(const struct setting_row *row, enum status status, struct why *problem)
{
    static const char *const examples[] = {
        [SETTING_DURATION] = " (such as 250ms, 15s, 5min, 24h, 90d)",
        [SETTING_SIZE] = " (such as 4096, 64KiB, 8GiB)",
        [SETTING_LISTEN] = " (such as 127.0.0.1:7110)",
    };
    char memory[256];
    struct buf kind;
    buf_init(&kind, memory, sizeof(memory));
    setting_add_kind(&kind, row);
    const char *example = row->type < sizeof(examples) / sizeof(examples[0]) ? examples[row->type] : NULL;
    slice words = buf_slice(&kind);
    return why_say(problem, status, "must be %.*s%s", SLICE_ARGS(words), example ? example : "");
}

enum status setting_check_text(const char *text, size_t max_len, struct why *problem)
{
    size_t len = strlen(text);
    if (len > max_len)
        return why_say(problem, STATUS_TOO_BIG, "has %zu bytes, at most %zu are allowed", len, max_len);
    if (!text_is_clean((slice){text, len}))
        return why_say(problem, STATUS_MALFORMED, "holds control characters or is not UTF-8");
    if (text[0] == ';' || strstr(text, " ;"))
        return why_say(problem, STATUS_MALFORMED,
                       "holds a ';' after a space, which begins a comment in a file; leave the space out");
    return STATUS_OK;
}

static enum status store_text(const struct setting_row *row, const char *text, void *values,
                              struct why *problem)
{
    size_t max_len = row->max > 0 ? (size_t)row->max : MAX_TEXT_LEN;
    enum status status = setting_check_text(text, max_len, problem);
    if (status != STATUS_OK)
        return status;
    if (row->min > 0 && !text[0])
        return why_say(problem, STATUS_MISSING, "must not be empty");
    *(const char **)place_of(row, values) = text;
    return STATUS_OK;
}

static bool is_port(slice text)
{
    int64_t port;
    return text.len > 0 && text.data[0] != '-' && slice_to_int64(text, 0, MAX_PORT, &port) == STATUS_OK;
}

/* Whether host and port can be told apart; whether they exist shows when we listen there. */
static bool is_listen_address(slice text)
{
    if (slice_starts_with(text, SLICE("unix:"))) {
        slice path = slice_from(text, 5);
        return path.len > 1 && path.data[0] == '/' && path.len <= MAX_UNIX_PATH_LEN;
    }
    if (slice_starts_with(text, SLICE("["))) {
        size_t end = slice_find(text, ']');
        return end > 1 && end + 1 < text.len && text.data[end + 1] == ':' &&
               is_port(slice_from(text, end + 2));
    }
    size_t colon = slice_find(text, ':');
    return colon > 0 && colon < text.len && is_port(slice_from(text, colon + 1));
}

static enum status store_listen(const struct setting_row *row, const char *text, void *values,
                                struct why *problem)
{
    if (text[0] && !is_listen_address(slice_of(text)))
        return say_kind(row, STATUS_MALFORMED, problem);
    return store_text(row, text, values, problem);
}

static enum status store_bool(const struct setting_row *row, const char *text, void *values,
                              struct why *problem)
{
    bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0)
        return say_kind(row, STATUS_MALFORMED, problem);
    *(bool *)place_of(row, values) = is_true;
    return STATUS_OK;
}

static size_t count_digits(const char *text)
{
    return (text[0] == '-') + strspn(text + (text[0] == '-'), "0123456789");
}

/* Digits and a unit; 0 needs no unit. */
static enum status read_number(const struct setting_row *row, const char *text, int64_t *number)
{
    int64_t count;
    size_t digits = count_digits(text);
    enum status status = slice_to_int64((slice){text, digits}, INT64_MIN, INT64_MAX, &count);
    if (status != STATUS_OK)
        return status;
    for (const struct unit *unit = units_of(row->type); unit->name; unit++) {
        if (strcmp(text + digits, unit->name) != 0)
            continue;
        return __builtin_mul_overflow(count, unit->size, number) ? STATUS_RANGE : STATUS_OK;
    }
    *number = 0;
    return count == 0 && !text[digits] ? STATUS_OK : STATUS_MALFORMED;
}

static enum status store_number(const struct setting_row *row, const char *text, void *values,
                                struct why *problem)
{
    int64_t number;
    enum status status = read_number(row, text, &number);
    if (status == STATUS_OK && (number < row->min || number > max_of(row)))
        status = STATUS_RANGE;
    if (status != STATUS_OK)
        return say_kind(row, status, problem);
    *(int64_t *)place_of(row, values) = number;
    return STATUS_OK;
}

static enum status store_choice(const struct setting_row *row, const char *text, void *values,
                                struct why *problem)
{
    slice rest = slice_of(row->choices), choice;
    for (int i = 0; slice_cut(&rest, '|', &choice); i++) {
        if (!slice_equals(choice, slice_of(text)))
            continue;
        *(int *)place_of(row, values) = i;
        return STATUS_OK;
    }
    return say_kind(row, STATUS_MALFORMED, problem);
}

enum status setting_store(const struct setting_row *row, const char *text, void *values, struct why *problem)
{
    switch (row->type) {
    case SETTING_TEXT:
    case SETTING_SECRET:
    case SETTING_LIST:
        return store_text(row, text, values, problem);
    case SETTING_LISTEN:
        return store_listen(row, text, values, problem);
    case SETTING_BOOL:
        return store_bool(row, text, values, problem);
    case SETTING_CHOICE:
        return store_choice(row, text, values, problem);
    case SETTING_INT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        return store_number(row, text, values, problem);
    }
    MUST(false && "a known type");
    return STATUS_MALFORMED;
}

/* ---- to text ---- */

static slice choice_at(const char *choices, int index)
{
    slice rest = slice_of(choices), choice = {NULL, 0};
    for (int i = 0; i <= index; i++)
        MUST(slice_cut(&rest, '|', &choice));
    return choice;
}

void setting_add_value(struct buf *out, const struct setting_row *row, const void *values)
{
    const void *place = place_in(row, values);
    switch (row->type) {
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_LISTEN:
        buf_add(out, slice_of(*(const char *const *)place));
        return;
    case SETTING_SECRET:
        return;
    case SETTING_BOOL:
        buf_add(out, slice_of(*(const bool *)place ? "true" : "false"));
        return;
    case SETTING_CHOICE:
        buf_add(out, choice_at(row->choices, *(const int *)place));
        return;
    case SETTING_INT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        add_number(out, row->type, *(const int64_t *)place);
        return;
    }
    MUST(false && "a known type");
}
