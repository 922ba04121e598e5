/* SPDX-License-Identifier: Apache-2.0
 * ip2location: see the header. */
#include "aggregator/ip2location.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Letters and digits are what the service gives out. */
static bool is_key_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static enum status keep_key(const char *setting, slice text, struct ip2location_key *out, struct why *why)
{
    if (text.len == 0)
        return why_say(why, STATUS_MISSING, "%s holds no key", setting);
    if (text.len > IP2LOCATION_MAX_KEY)
        return why_say(why, STATUS_TOO_BIG, "%s: a key has at most %d characters", setting,
                       IP2LOCATION_MAX_KEY);
    for (size_t i = 0; i < text.len; i++)
        if (!is_key_character(text.data[i]))
            return why_say(why, STATUS_MALFORMED, "%s: a key is made of letters, digits, - and _", setting);
    memcpy(out->text, text.data, text.len);
    out->text[text.len] = '\0';
    return STATUS_OK;
}

static enum status read_key_file(const char *path, struct ip2location_key *out, struct why *why)
{
    char memory[2 * IP2LOCATION_MAX_KEY];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return why_say(why, STATUS_UNAVAILABLE, "ip2location.key_file: %s cannot be opened: %s", path,
                       strerror(errno));
    setvbuf(file, NULL, _IONBF, 0); /* no second copy of the key in memory */
    size_t len = fread(memory, 1, sizeof memory, file);
    fclose(file);
    slice text = {memory, len};
    text = slice_head(text, slice_find(text, '\n'));
    if (slice_ends_with(text, SLICE("\r")))
        text.len--;
    enum status status = keep_key("ip2location.key_file", slice_trim(text), out, why);
    explicit_bzero(memory, sizeof memory);
    return status;
}

enum status ip2location_read_key(const char *key, const char *key_file, struct ip2location_key *out,
                                 struct why *why)
{
    if (key[0] != '\0' && key_file[0] != '\0')
        return why_say(why, STATUS_CONFLICT,
                       "ip2location.key and ip2location.key_file are both set: use one");
    if (key[0] != '\0')
        return keep_key("ip2location.key", slice_of(key), out, why);
    if (key_file[0] != '\0')
        return read_key_file(key_file, out, why);
    out->text[0] = '\0';
    return STATUS_OK;
}

/* ---- Requests ---- */

static void add_ip(struct buf *out, ip_address ip)
{
    char text[IP_TEXT_MAX];
    buf_add_bytes(out, text, ip_write(ip, text));
}

static void add_array(struct buf *out, const ip_address *ips, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_add(out, i == 0 ? SLICE("[\"") : SLICE("\",\""));
        add_ip(out, ips[i]);
    }
    buf_add(out, SLICE("\"]"));
}

static void add_key(struct buf *url, struct buf *header, bool in_header, const struct ip2location_key *key)
{
    if (key->text[0] == '\0')
        return;
    buf_add(in_header ? header : url, in_header ? SLICE("Authorization: Bearer ") : SLICE("&key="));
    buf_add(in_header ? header : url, slice_of(key->text));
}

static void end_text(struct buf *text)
{
    buf_add_char(text, '\0');
    MUST(!text->overflowed);
}

void ip2location_write(const struct ip2location_form *form, const struct ip2location_key *key,
                       const ip_address *ips, size_t count, struct ip2location_request *out)
{
    struct buf url, header, body;
    MUST(count > 0 && count <= (form->is_bulk ? IP2LOCATION_MAX_AT_ONCE : 1));
    buf_init(&url, out->url, sizeof out->url);
    buf_init(&header, out->header, sizeof out->header);
    buf_init(&body, out->body, sizeof out->body);
    buf_add(&url, slice_of(form->base));
    buf_add(&url, SLICE("?format=json"));
    if (form->is_bulk) {
        add_array(&body, ips, count);
    } else {
        buf_add(&url, SLICE("&ip="));
        add_ip(&url, ips[0]);
    }
    add_key(&url, &header, form->key_in_header, key);
    end_text(&url);
    end_text(&header);
    end_text(&body);
}
