/* SPDX-License-Identifier: Apache-2.0
 * sessions_model: see the header. */
#include "tests/lib/sessions_model.h"

#include <string.h>

enum { STEP_MS = 100000, MAX_SPAN_STEPS = 8 };

static const slice hosts[] = {{"example.com", 11}, {"example.org", 11}, {"shop.example.com", 16}};
static const slice texts[] = {{"", 0}, {"/", 1}, {"/a", 2}, {"/a?b=1", 6}, {"Bengaluru", 9}};
static const ip_address ips[] = {
    {{[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1}},
    {{[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 2}},
    {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
    {{0x20, 0x01, 0x0d, 0xb8, [7] = 9, [15] = 1}},
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static bool is_same_text(const struct session *a, const struct session *b)
{
    return slice_equals(a->entry_url, b->entry_url) && slice_equals(a->referrer, b->referrer) &&
           slice_equals(a->country, b->country) && slice_equals(a->state, b->state) &&
           slice_equals(a->city, b->city) && slice_equals(a->exit_url, b->exit_url);
}

bool session_is_same(const struct session *a, const struct session *b)
{
    return session_is_same_key(a, b) && a->start.ms == b->start.ms && a->last.ms == b->last.ms &&
           a->events == b->events && a->bot_events == b->bot_events && is_same_text(a, b);
}

int session_order(const void *a, const void *b)
{
    const struct session *left = a;
    const struct session *right = b;
    int order = slice_compare(left->host, right->host);
    if (order == 0)
        order = memcmp(&left->ip, &right->ip, sizeof left->ip);
    if (order == 0)
        order = (left->start.ms > right->start.ms) - (left->start.ms < right->start.ms);
    return order;
}

static slice pooled_text(slice text)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (slice_equals(texts[i], text))
            return texts[i];
    size_t host = 0;
    while (!slice_equals(hosts[host], text))
        MUST(++host < COUNT_OF(hosts));
    return hosts[host];
}

struct session pooled(const struct session *value)
{
    struct session copy = *value;
    copy.host = pooled_text(value->host);
    copy.entry_url = pooled_text(value->entry_url);
    copy.referrer = pooled_text(value->referrer);
    copy.country = pooled_text(value->country);
    copy.state = pooled_text(value->state);
    copy.city = pooled_text(value->city);
    copy.exit_url = pooled_text(value->exit_url);
    return copy;
}

static slice pick_text(struct choice *choice)
{
    return texts[choice_below(choice, COUNT_OF(texts))];
}

struct session random_part(struct choice *choice, wall_ms base, uint64_t step_count)
{
    struct session part = {
        .ip = ips[choice_below(choice, COUNT_OF(ips))],
        .host = hosts[choice_below(choice, COUNT_OF(hosts))],
        .start = {base.ms + STEP_MS * (int64_t)choice_below(choice, step_count)},
        .events = 1,
        .entry_url = pick_text(choice),
        .referrer = pick_text(choice),
        .country = pick_text(choice),
        .state = pick_text(choice),
        .city = pick_text(choice),
        .exit_url = pick_text(choice),
    };
    if (choice_one_in(choice, 4))
        part.start.ms += (int64_t)choice_below(choice, 3) - 1;
    part.last = part.start;
    if (choice_one_in(choice, 8)) {
        part.last.ms += STEP_MS * (int64_t)choice_below(choice, MAX_SPAN_STEPS);
        part.events += 1 + (int64_t)choice_below(choice, 200);
    }
    part.bot_events = (int64_t)choice_below(choice, (uint64_t)part.events + 1);
    return part;
}

static size_t find_touching(const struct sessions_model *model, const struct session *part)
{
    size_t i = 0;
    while (i < model->count && !(session_is_same_key(&model->open[i].value, part) &&
                                 session_touches(&model->open[i].value, part, model->gap_ms)))
        i++;
    return i;
}

void model_add(struct sessions_model *model, const struct session *part, mono_ms now)
{
    struct model_session whole = {.value = *part, .touched = now, .is_changed = true};
    size_t i;
    while ((i = find_touching(model, &whole.value)) < model->count) {
        session_merge(&whole.value, &model->open[i].value);
        model_remove(model, &model->open[i]);
    }
    MUST(model->count < MODEL_MAX);
    model->open[model->count++] = whole;
}

struct model_session *model_find(struct sessions_model *model, const struct session *value)
{
    for (size_t i = 0; i < model->count; i++)
        if (session_is_same(&model->open[i].value, value))
            return &model->open[i];
    return NULL;
}

void model_remove(struct sessions_model *model, struct model_session *gone)
{
    *gone = model->open[--model->count];
}

void model_note_stored(struct sessions_model *model)
{
    for (size_t i = 0; i < model->count; i++)
        model->open[i].is_changed = false;
}
