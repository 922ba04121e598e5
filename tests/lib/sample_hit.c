/* SPDX-License-Identifier: Apache-2.0
 * sample_hit: see the header. */
#include "tests/lib/sample_hit.h"

static slice end_text(struct sample_hit *sample, size_t start)
{
    MUST(!sample->texts.overflowed);
    return slice_from(buf_slice(&sample->texts), start);
}

static slice choose_text(struct sample_hit *sample, struct choice *choice, size_t min_len,
                         enum hit_field field)
{
    static const slice pieces[] = {
        SLICE("a"),
        SLICE("Z"),
        SLICE("0"),
        SLICE("/"),
        SLICE("?q=%20&x=1"),
        SLICE("\""),
        SLICE("\\"),
        SLICE("\\u0041"),
        SLICE("{\"a\": 1}"),
        SLICE("Mozilla/5.0 (X11)"),
        SLICE("\xC3\xA4"),
        SLICE(" "),
        SLICE("\xE2\x82\xAC"),
        SLICE("\xF0\x9F\x91\xA3"),
        SLICE("</script>"),
        SLICE("\xC2\x80"),
        SLICE("\xE2\x80\xA8"),
        SLICE("\xEF\xBF\xBF"),
    };
    size_t start = sample->texts.len;
    size_t max_len = hit_field_max_len(field);
    if (!choice_one_in(choice, 20)) /* mostly short, as in life */
        max_len = max_len < 80 ? max_len : 80;
    size_t len = min_len + choice_below(choice, max_len - min_len + 1);
    while (sample->texts.len - start < len) {
        slice piece = pieces[choice_below(choice, sizeof pieces / sizeof pieces[0])];
        if (sample->texts.len - start + piece.len > len)
            piece = SLICE("x");
        buf_add(&sample->texts, piece);
    }
    return end_text(sample, start);
}

static slice choose_host(struct sample_hit *sample, struct choice *choice)
{
    static const slice pieces[] = {SLICE("a"), SLICE("shop"), SLICE("x--y"), SLICE("7"), SLICE("a_b")};
    size_t start = sample->texts.len;
    size_t count = 1 + choice_below(choice, choice_one_in(choice, 10) ? 40 : 4);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(&sample->texts, '.');
        buf_add(&sample->texts, pieces[choice_below(choice, sizeof pieces / sizeof pieces[0])]);
    }
    return end_text(sample, start);
}

static ip_address choose_ip(struct choice *choice)
{
    ip_address ip = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}};
    for (size_t i = choice_one_in(choice, 3) ? 0 : 12; i < sizeof ip.bytes; i++)
        ip.bytes[i] = (uint8_t)choice_below(choice, 256);
    return ip;
}

static uuid choose_uuid(struct choice *choice)
{
    uuid id;
    for (size_t i = 0; i < sizeof id.bytes; i++)
        id.bytes[i] = (uint8_t)choice_below(choice, 256);
    return id;
}

static wall_ms choose_time(struct choice *choice)
{
    return (wall_ms){INT64_C(1700000000000) + (int64_t)choice_below(choice, UINT64_C(100000000000))};
}

static void choose_our_fields(struct sample_hit *sample, struct choice *choice)
{
    struct hit *hit = &sample->hit;
    hit->source = (enum hit_source)choice_below(choice, HIT_OTHER + 1);
    hit->has_id = !choice_one_in(choice, 4);
    if (hit->has_id)
        hit->id = choose_uuid(choice);
    hit->has_stream = !choice_one_in(choice, 4);
    if (hit->has_stream) {
        hit->stream = (struct hit_stream){choose_uuid(choice), (int)choice_below(choice, INT32_MAX)};
        hit->seq = 1 + (int64_t)(choice_below(choice, INT64_MAX - 1) >> choice_below(choice, 60));
    }
    hit->has_received_time = !choice_one_in(choice, 4);
    if (hit->has_received_time)
        hit->received_time = choose_time(choice);
    hit->language = choose_text(sample, choice, 0, HIT_FIELD_LANGUAGE);
    hit->title = choose_text(sample, choice, 0, HIT_FIELD_TITLE);
    hit->screen = choose_text(sample, choice, 0, HIT_FIELD_SCREEN);
    hit->flags = choice_one_in(choice, 2) ? 0 : (uint32_t)choice_below(choice, 32);
}

void sample_hit_choose(struct sample_hit *sample, struct choice *choice)
{
    buf_init(&sample->texts, sample->memory, sizeof sample->memory);
    sample->hit = (struct hit){.flags = 0};
    struct hit *hit = &sample->hit;
    hit->url = choose_text(sample, choice, 1, HIT_FIELD_URL);
    hit->referrer = choose_text(sample, choice, 0, HIT_FIELD_REFERRER);
    hit->user_agent = choose_text(sample, choice, 0, HIT_FIELD_USER_AGENT);
    hit->host = choose_host(sample, choice);
    hit->ip = choose_ip(choice);
    hit->headers = choose_text(sample, choice, 0, HIT_FIELD_HEADERS);
    hit->event_time = choose_time(choice);
    choose_our_fields(sample, choice);
}

static bool are_our_fields_equal(const struct hit *a, const struct hit *b)
{
    return a->has_id == b->has_id && uuid_equals(a->id, b->id) && a->source == b->source &&
           a->has_stream == b->has_stream && uuid_equals(a->stream.boot, b->stream.boot) &&
           a->stream.partition == b->stream.partition && a->seq == b->seq &&
           a->has_received_time == b->has_received_time && a->received_time.ms == b->received_time.ms &&
           slice_equals(a->language, b->language) && slice_equals(a->title, b->title) &&
           slice_equals(a->screen, b->screen) && a->flags == b->flags;
}

bool hits_are_equal(const struct hit *a, const struct hit *b)
{
    return slice_equals(a->url, b->url) && slice_equals(a->referrer, b->referrer) &&
           slice_equals(a->user_agent, b->user_agent) && slice_equals(a->host, b->host) &&
           ip_equals(a->ip, b->ip) && slice_equals(a->headers, b->headers) &&
           a->event_time.ms == b->event_time.ms && are_our_fields_equal(a, b);
}
