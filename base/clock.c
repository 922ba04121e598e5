/* SPDX-License-Identifier: Apache-2.0
 * clock: see the header. */
#include "base/clock.h"

#include <time.h>

#define MIN_MS INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define MAX_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
enum { DAY_MS = 86400000 };

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    MUST(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

wall_ms wall_now(void)
{
    return (wall_ms){read_clock(CLOCK_REALTIME)};
}

mono_ms mono_now(void)
{
    return (mono_ms){read_clock(CLOCK_MONOTONIC)};
}

struct date {
    int64_t year, month, day;
};

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March here, so that the leap day
 * is the last of one, and come in cycles of 400 (146,097 days). */
static int64_t days_of(const struct date *date)
{
    int64_t year = date->year - (date->month <= 2);
    int64_t cycle = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_cycle = year - cycle * 400;
    int64_t day_of_year =
        (153 * (date->month > 2 ? date->month - 3 : date->month + 9) + 2) / 5 + date->day - 1;
    int64_t day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    return cycle * 146097 + day_of_cycle - 719468;
}

static struct date date_of(int64_t days)
{
    unsigned from_march = (unsigned)(days + 719468 + 146097); /* a cycle ahead: year 0 has no negative days */
    unsigned cycle = from_march / 146097;
    unsigned day_of_cycle = from_march % 146097;
    unsigned year = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    unsigned day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
    return (struct date){(int64_t)year + 400 * (int64_t)cycle - 400 + (month <= 2), month,
                         day_of_year - (153 * shifted + 2) / 5 + 1};
}

/* Two digits and what follows them. */
static char *put_two(char *at, unsigned number, char after)
{
    at[0] = (char)('0' + number / 10);
    at[1] = (char)('0' + number % 10);
    at[2] = after;
    return at + 3;
}

void timestamp_write(wall_ms time, char out[TIMESTAMP_TEXT_LEN])
{
    MUST(time.ms >= MIN_MS && time.ms <= MAX_MS);
    int64_t days = (time.ms - MIN_MS) / DAY_MS;
    unsigned ms = (unsigned)((time.ms - MIN_MS) % DAY_MS);
    struct date date = date_of(days + MIN_MS / DAY_MS);
    put_two(out, (unsigned)date.year / 100, '\0');
    out = put_two(out + 2, (unsigned)date.year % 100, '-');
    out = put_two(out, (unsigned)date.month, '-');
    out = put_two(out, (unsigned)date.day, 'T');
    out = put_two(out, ms / 3600000, ':');
    out = put_two(out, ms / 60000 % 60, ':');
    out = put_two(out, ms / 1000 % 60, '.');
    *out = (char)('0' + ms % 1000 / 100);
    put_two(out + 1, ms % 100, 'Z');
}

/* ---- Reading ---- */

enum { TIMESTAMP_MAX_TEXT = 40, FRACTION_MAX_DIGITS = 9 };

/* Exactly so many digits at the front of *rest. */
static bool take_digits(slice *rest, size_t count, int64_t *number)
{
    if (rest->len < count)
        return false;
    *number = 0;
    for (size_t i = 0; i < count; i++) {
        char c = rest->data[i];
        if (c < '0' || c > '9')
            return false;
        *number = *number * 10 + (c - '0');
    }
    *rest = slice_from(*rest, count);
    return true;
}

static bool take_char(slice *rest, char c)
{
    if (rest->len == 0 || rest->data[0] != c)
        return false;
    *rest = slice_from(*rest, 1);
    return true;
}

static bool take_date(slice *rest, struct date *date)
{
    return take_digits(rest, 4, &date->year) && take_char(rest, '-') && take_digits(rest, 2, &date->month) &&
           take_char(rest, '-') && take_digits(rest, 2, &date->day);
}

struct time_of_day {
    int64_t hour, minute, second, ms;
};

/* Up to nine digits after the point, cut to three. */
static bool take_fraction(slice *rest, int64_t *ms)
{
    size_t count = 0;
    *ms = 0;
    for (int64_t digit; count < FRACTION_MAX_DIGITS && take_digits(rest, 1, &digit); count++)
        if (count < 3)
            *ms = *ms * 10 + digit;
    for (size_t i = count; i < 3; i++)
        *ms *= 10;
    return count > 0;
}

static bool take_time(slice *rest, struct time_of_day *time)
{
    time->ms = 0;
    if (!take_digits(rest, 2, &time->hour) || !take_char(rest, ':') || !take_digits(rest, 2, &time->minute) ||
        !take_char(rest, ':') || !take_digits(rest, 2, &time->second))
        return false;
    return !take_char(rest, '.') || take_fraction(rest, &time->ms);
}

/* The rest of the text: minutes east of UTC. */
static bool take_zone(slice *rest, int64_t *minutes)
{
    int64_t hour, minute;
    *minutes = 0;
    if (rest->len == 0 || take_char(rest, 'Z'))
        return rest->len == 0;
    int sign = take_char(rest, '+') ? 1 : take_char(rest, '-') ? -1 : 0;
    if (sign == 0 || !take_digits(rest, 2, &hour) || !take_char(rest, ':') || !take_digits(rest, 2, &minute))
        return false;
    *minutes = sign * (hour * 60 + minute);
    return rest->len == 0 && hour < 24 && minute < 60;
}

static bool exists(const struct date *date, const struct time_of_day *time)
{
    if (date->month < 1 || date->month > 12 || date->day < 1)
        return false;
    struct date back = date_of(days_of(date)); /* another one when the month has no such day */
    return back.day == date->day && back.month == date->month && time->hour < 24 && time->minute < 60 &&
           time->second < 60;
}

enum status timestamp_read(slice text, wall_ms *time)
{
    struct date date;
    struct time_of_day of_day;
    int64_t zone_minutes;
    if (text.len > TIMESTAMP_MAX_TEXT || !take_date(&text, &date) ||
        !(take_char(&text, 'T') || take_char(&text, ' ')) || !take_time(&text, &of_day) ||
        !take_zone(&text, &zone_minutes))
        return STATUS_MALFORMED;
    if (!exists(&date, &of_day))
        return STATUS_RANGE;
    int64_t minutes = of_day.hour * 60 + of_day.minute - zone_minutes;
    int64_t ms = days_of(&date) * DAY_MS + minutes * 60000 + of_day.second * 1000 + of_day.ms;
    if (ms < MIN_MS || ms > MAX_MS)
        return STATUS_RANGE;
    time->ms = ms;
    return STATUS_OK;
}
