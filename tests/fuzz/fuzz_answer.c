/* SPDX-License-Identifier: Apache-2.0
 * Answers of the place service: whatever comes, a place has sound parts that rows can hold. The first line is
 * the status, the rest the body: read as an answer about one address, and as one about many. */
#include "aggregator/answer.h"
#include "base/json.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct place_parts *parts)
{
    char memory[PLACE_MAX_TEXT_BYTES];
    struct buf texts;
    struct place place;
    struct json_value geodata;
    buf_init(&texts, memory, sizeof memory);
    place_compose(parts, GEO_API, &texts, &place);
    MUST(place_is_code(place.country));
    MUST(text_is_clean(place.state) && text_is_clean(place.city));
    MUST(json_read(place.geodata, &geodata, NULL) == STATUS_OK && geodata.kind == JSON_OBJECT);
    MUST(!place.has_coordinates ||
         (place.city.len > 0 && place_is_on_globe((double)place.latitude, (double)place.longitude)));
}

static void read_many(int status, slice body, struct buf *scratch)
{
    static struct answer_many many;
    const slice texts[] = {SLICE("106.51.1.1"), SLICE("106.51.1.2"), SLICE("2405:200::")};
    ip_address asked[3];
    for (size_t i = 0; i < 3; i++)
        MUST(ip_read(texts[i], &asked[i]) == STATUS_OK);
    answer_read_many(status, body, asked, 3, &many);
    for (size_t i = 0; i < 3; i++) {
        struct place_parts parts;
        if (answer_of(&many, i, asked[i], scratch, &parts) != ANSWER_PLACE)
            continue;
        MUST(status == 200 && body.len <= ANSWER_MAX_MANY_BYTES);
        check_place(&parts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char memory[ANSWER_MAX_BYTES];
    slice body = {(const char *)data, size}, status_text;
    int64_t status;
    ip_address asked;
    struct place_parts parts;
    struct buf scratch;
    if (!slice_cut(&body, '\n', &status_text) || slice_to_int64(status_text, 100, 599, &status) != STATUS_OK)
        return 0;
    MUST(ip_read(SLICE("106.51.1.1"), &asked) == STATUS_OK);
    buf_init(&scratch, memory, sizeof memory);
    if (answer_read((int)status, body, asked, &scratch, &parts) == ANSWER_PLACE) {
        MUST(status == 200 && body.len <= ANSWER_MAX_BYTES);
        check_place(&parts);
    }
    read_many((int)status, body, &scratch);
    return 0;
}
