/* SPDX-License-Identifier: Apache-2.0
 * entries: see the header. */
#include "aggregator/entries.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/uuid.h"

enum { START_ENTRIES = 16 };

#define TIME_MASK   ((UINT64_C(1) << 49) - 1)
#define EVENTS_MASK ((UINT64_C(1) << 40) - 1)

_Static_assert(sizeof(struct entry) == 64, "one cache line");
_Static_assert(SESSION_MAX_TIME_MS - SESSION_MIN_TIME_MS <= (int64_t)TIME_MASK, "times fit");
_Static_assert(SESSION_MAX_EVENTS <= (int64_t)EVENTS_MASK, "counts fit");

void entries_init(struct entries *entries)
{
    *entries = (struct entries){.used = 1, .cap = START_ENTRIES};
    entries->at = must_calloc(START_ENTRIES, sizeof *entries->at);
    chains_init(&entries->chains);
    entries->strings = strings_new();
    random_bytes(&entries->seed, sizeof entries->seed);
}

void entries_fini(struct entries *entries)
{
    strings_free(&entries->strings);
    addresses_fini(&entries->addresses);
    chains_fini(&entries->chains);
    free(entries->at);
}

/* ---- Numbers and their packed form ---- */

struct session_span entry_span(const struct entry *entry)
{
    return (struct session_span){.start = {(int64_t)entry->start + SESSION_MIN_TIME_MS},
                                 .last = {(int64_t)entry->last + SESSION_MIN_TIME_MS}};
}

static uint64_t pack_time(wall_ms time)
{
    MUST(time.ms >= SESSION_MIN_TIME_MS && time.ms <= SESSION_MAX_TIME_MS);
    return (uint64_t)(time.ms - SESSION_MIN_TIME_MS);
}

static uint64_t pack_events(int64_t events)
{
    MUST(events >= 0 && events <= SESSION_MAX_EVENTS);
    return (uint64_t)events;
}

static struct packed_address address_of(const struct entry *entry)
{
    return (struct packed_address){.value = entry->ip, .is_wide = entry->has_wide_ip};
}

/* ---- Places: three texts in one, the lengths of the first two before them ---- */

enum { PLACE_HEAD = 2 * sizeof(uint16_t), PLACE_MAX = PLACE_HEAD + 3 * SESSION_MAX_TEXT };
_Static_assert((int)PLACE_MAX <= (int)STRINGS_MAX_LEN, "a place is one text");

static char *add_text(char *at, slice text)
{
    if (text.len > 0)
        memcpy(at, text.data, text.len);
    return at + text.len;
}

static string_id add_place(struct strings *strings, const struct session *session)
{
    char place[PLACE_MAX];
    uint16_t lens[] = {(uint16_t)session->country.len, (uint16_t)session->state.len};
    if (session->country.len + session->state.len + session->city.len == 0)
        return 0;
    MUST(session->country.len <= SESSION_MAX_TEXT && session->state.len <= SESSION_MAX_TEXT &&
         session->city.len <= SESSION_MAX_TEXT);
    memcpy(place, lens, PLACE_HEAD);
    char *end = add_text(place + PLACE_HEAD, session->country);
    end = add_text(end, session->state);
    end = add_text(end, session->city);
    return strings_add(strings, (slice){place, (size_t)(end - place)});
}

static void read_place(slice place, struct session *out)
{
    uint16_t lens[2];
    if (place.len == 0)
        return;
    memcpy(lens, place.data, PLACE_HEAD);
    slice texts = slice_from(place, PLACE_HEAD);
    out->country = slice_head(texts, lens[0]);
    texts = slice_from(texts, lens[0]);
    out->state = slice_head(texts, lens[1]);
    out->city = slice_from(texts, lens[1]);
}

/* ---- Chains ---- */

static uint64_t hash_key(const struct entries *entries, ip_address ip, string_id host)
{
    struct {
        ip_address ip;
        string_id host;
    } key = {ip, host};
    _Static_assert(sizeof key == sizeof ip + sizeof host, "no padding is hashed");
    return XXH3_64bits_withSeed(&key, sizeof key, entries->seed);
}

bool entries_find_key(const struct entries *entries, const struct session *session, struct entry_key *key)
{
    key->ip = session->ip;
    key->host = strings_find(entries->strings, session->host);
    key->hash = hash_key(entries, key->ip, key->host);
    return key->host != 0;
}

uint32_t entries_next_of_key(const struct entries *entries, const struct entry_key *key, uint32_t after)
{
    uint32_t number = after == 0 ? *chains_at(&entries->chains, key->hash) : entries->at[after].next_of_chain;
    while (number != 0) {
        const struct entry *entry = &entries->at[number];
        if (entry->host == key->host &&
            ip_equals(addresses_read(&entries->addresses, address_of(entry)), key->ip))
            break;
        number = entry->next_of_chain;
    }
    return number;
}

static uint32_t *chain_of(struct entries *entries, uint32_t number)
{
    const struct entry *entry = &entries->at[number];
    ip_address ip = addresses_read(&entries->addresses, address_of(entry));
    return chains_at(&entries->chains, hash_key(entries, ip, entry->host));
}

static void link_entry(struct entries *entries, uint32_t number)
{
    uint32_t *first = chain_of(entries, number);
    entries->at[number].next_of_chain = *first;
    *first = number;
}

static void unlink_entry(struct entries *entries, uint32_t number)
{
    uint32_t *at = chain_of(entries, number);
    while (*at != number)
        at = &entries->at[*at].next_of_chain;
    *at = entries->at[number].next_of_chain;
}

static void add_chain(struct entries *entries)
{
    uint32_t number = chains_split(&entries->chains);
    for (uint32_t next; number != 0; number = next) {
        next = entries->at[number].next_of_chain;
        link_entry(entries, number);
    }
}

/* ---- The life of an entry ---- */

static uint32_t take_number(struct entries *entries)
{
    uint32_t number = entries->first_free;
    if (number != 0) {
        entries->first_free = entries->at[number].next_of_chain;
        return number;
    }
    if (entries->used == entries->cap) {
        MUST(entries->cap <= UINT32_MAX / 2);
        entries->cap *= 2;
        entries->at = must_realloc(entries->at, entries->cap * sizeof *entries->at);
    }
    entries->at[entries->used] = (struct entry){.state = ENTRY_FREE};
    return entries->used++;
}

uint32_t entries_add(struct entries *entries, const struct session *session)
{
    if (entries->open_count == entries->chains.count)
        add_chain(entries);
    uint32_t number = take_number(entries);
    struct packed_address ip = addresses_pack(&entries->addresses, session->ip);
    entries->at[number] = (struct entry){
        .state = ENTRY_OPEN,
        .is_changed = entries->at[number].is_changed,
        .ip = ip.value,
        .has_wide_ip = ip.is_wide,
        .host = strings_add(entries->strings, session->host),
    };
    entries_replace(entries, number, session);
    link_entry(entries, number);
    entries->open_count++;
    return number;
}

void entries_close(struct entries *entries, uint32_t number, enum entry_state state)
{
    struct entry *entry = &entries->at[number];
    MUST(entry->state == ENTRY_OPEN && (state == ENTRY_JOINED || state == ENTRY_GONE));
    unlink_entry(entries, number);
    entry->state = state & 3;
    entries->open_count--;
}

void entries_drop_texts(struct entries *entries, uint32_t number)
{
    struct entry *entry = &entries->at[number];
    MUST(entry->state == ENTRY_JOINED || entry->state == ENTRY_GONE);
    string_id texts[] = {entry->host, entry->entry_url, entry->referrer, entry->place, entry->exit_url};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        strings_remove(entries->strings, texts[i]);
    addresses_remove(&entries->addresses, address_of(entry));
    entry->host = entry->entry_url = entry->referrer = entry->place = entry->exit_url = 0;
    entry->has_wide_ip = 0;
}

void entries_free(struct entries *entries, uint32_t number)
{
    struct entry *entry = &entries->at[number];
    entries_drop_texts(entries, number);
    entry->state = ENTRY_FREE;
    entry->next_of_chain = entries->first_free;
    entries->first_free = number;
}

/* ---- Values ---- */

void entries_read(const struct entries *entries, uint32_t number, struct session *out)
{
    const struct entry *entry = &entries->at[number];
    struct session_span span = entry_span(entry);
    *out = (struct session){
        .ip = addresses_read(&entries->addresses, address_of(entry)),
        .host = strings_text(entries->strings, entry->host),
        .start = span.start,
        .last = span.last,
        .events = (int64_t)entry->events,
        .bot_events = (int64_t)entry->bot_events,
        .entry_url = strings_text(entries->strings, entry->entry_url),
        .referrer = strings_text(entries->strings, entry->referrer),
        .exit_url = strings_text(entries->strings, entry->exit_url),
    };
    read_place(strings_text(entries->strings, entry->place), out);
}

/* The new text is added before the old one is removed: it may be the same, or lie in it. */
static void set_text(struct strings *strings, string_id *id, slice text)
{
    string_id old = *id;
    *id = strings_add(strings, text);
    strings_remove(strings, old);
}

static void set_first(struct entries *entries, struct entry *entry, const struct session *value)
{
    string_id old_place = entry->place;
    entry->start = pack_time(value->start) & TIME_MASK;
    entry->place = add_place(entries->strings, value);
    strings_remove(entries->strings, old_place);
    set_text(entries->strings, &entry->entry_url, value->entry_url);
    set_text(entries->strings, &entry->referrer, value->referrer);
}

static void set_last(struct entries *entries, struct entry *entry, const struct session *value)
{
    entry->last = pack_time(value->last) & TIME_MASK;
    set_text(entries->strings, &entry->exit_url, value->exit_url);
}

static void set_counts(struct entry *entry, int64_t events, int64_t bot_events)
{
    entry->events = pack_events(events) & EVENTS_MASK;
    entry->bot_events = pack_events(bot_events) & EVENTS_MASK;
}

void entries_merge(struct entries *entries, uint32_t number, const struct session *part)
{
    struct entry *entry = &entries->at[number];
    struct session_span span = entry_span(entry);
    struct session whole = {.start = span.start, .last = span.last};
    if (part->start.ms == span.start.ms || part->last.ms == span.last.ms)
        entries_read(entries, number, &whole); /* the times leave it open: the texts decide */
    if (session_starts_before(part, &whole))
        set_first(entries, entry, part);
    if (session_ends_after(part, &whole))
        set_last(entries, entry, part);
    set_counts(entry, session_add_events((int64_t)entry->events, part->events),
               session_add_events((int64_t)entry->bot_events, part->bot_events));
}

void entries_replace(struct entries *entries, uint32_t number, const struct session *value)
{
    struct entry *entry = &entries->at[number];
    set_first(entries, entry, value);
    set_last(entries, entry, value);
    set_counts(entry, value->events, value->bot_events);
}
