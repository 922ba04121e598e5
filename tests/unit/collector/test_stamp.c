/* SPDX-License-Identifier: Apache-2.0
 * Tests of collector/stamp, headers and bots: what becomes of a page and its request. */
#include "collector/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/http/http.h"
#include "base/json.h"
#include "collector/bots.h"
#include "collector/headers.h"

enum { ARRIVAL_MS = 1700000000 };

static struct sites *sites;
static char memory[64 * 1024];
static struct buf scratch;
static struct http_request request;

static int make_sites(void **state)
{
    struct why why;
    (void)state;
    sites = sites_new(SLICE("example.com"), &why);
    return sites ? 0 : -1;
}

static int free_sites(void **state)
{
    (void)state;
    sites_free(&sites);
    return 0;
}

static void begin(void)
{
    buf_init(&scratch, memory, sizeof(memory));
    request = (struct http_request){.arrival = {ARRIVAL_MS}};
}

static void add_field(const char *name, const char *value)
{
    request.fields[request.field_count++] = (struct http_field){slice_of(name), slice_of(value)};
}

static struct stamped stamp(const struct page *page)
{
    struct visit visit;
    struct stamped stamped;
    struct why why = {.text = ""};
    ip_address ip;
    assert_int_equal(ip_read(SLICE("192.0.2.1"), &ip), STATUS_OK);
    visit_read(&request, HIT_BEACON, ip, &scratch, &visit);
    if (stamp_hit(&visit, page, sites, &scratch, &stamped, &why) != STATUS_OK)
        fail_msg("%s", why.text);
    return stamped;
}

static void expect_text(slice got, const char *expected)
{
    if (!slice_equals(got, slice_of(expected)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARGS(got), expected);
}

static void everything_finds_its_place(void **state)
{
    const struct page page = {
        .url = SLICE("https://Example.com:443/a"),
        .referrer = SLICE("https://other.org/"),
        .title = SLICE("T"),
        .screen = SLICE("1x2"),
        .id = SLICE("0190AAAA-bbbb-7ccc-8ddd-eeeeeeeeeeee"),
        .age_ms = 250,
    };
    char id[UUID_TEXT_LEN];
    (void)state;
    begin();
    add_field("User-Agent", "Mozilla/5.0 Gecko Firefox/141.0");
    add_field("Accept-Language", "de-AT, de;q=0.9");
    struct stamped stamped = stamp(&page);
    const struct hit *hit = &stamped.hit;
    expect_text(hit->url, "https://Example.com:443/a");
    expect_text(hit->host, "example.com");
    expect_text(hit->referrer, "https://other.org/");
    expect_text(hit->language, "de-AT");
    expect_text(hit->user_agent, "Mozilla/5.0 Gecko Firefox/141.0");
    expect_text(hit->headers, "{\"accept-language\":\"de-AT, de;q=0.9\"}");
    assert_int_equal(hit->event_time.ms, ARRIVAL_MS - 250);
    assert_int_equal(hit->received_time.ms, ARRIVAL_MS);
    assert_true(hit->has_received_time);
    assert_int_equal(hit->flags, 0);
    assert_int_equal(hit->source, HIT_BEACON);
    assert_true(stamped.has_given_id && hit->has_id);
    uuid_write(hit->id, id);
    assert_memory_equal(id, "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee", UUID_TEXT_LEN);
}

static void ids_are_given_hashed_or_made(void **state)
{
    struct page page = {.url = SLICE("http://example.com/")};
    (void)state;
    begin();
    struct stamped made = stamp(&page), other = stamp(&page);
    assert_false(made.has_given_id);
    assert_true(made.hit.has_id);
    assert_false(uuid_equals(made.hit.id, other.hit.id));
    page.id = SLICE("00000000000000000000000000000000");
    assert_false(stamp(&page).has_given_id);
    page.id = SLICE("page-7");
    struct stamped hashed = stamp(&page), again = stamp(&page);
    assert_true(hashed.has_given_id);
    assert_true(uuid_equals(hashed.hit.id, again.hit.id));
}

static void texts_are_cleaned_and_cut(void **state)
{
    static char agent[3 * HIT_MAX_USER_AGENT];
    static char title[2 * HIT_MAX_TITLE];
    struct page page = {
        .url = SLICE("http://example.com/\xff"), .referrer = SLICE("a\x01z"), .title = {title}};
    (void)state;
    memset(agent, 'a', sizeof(agent) - 1);
    for (size_t i = 0; i < sizeof(title); i += 2) /* two bytes a character, cut in the middle of none */
        memcpy(title + i, "\xc3\xa4", 2);
    page.title.len = HIT_MAX_TITLE + 2;
    begin();
    add_field("user-agent", agent);
    struct stamped stamped = stamp(&page);
    expect_text(stamped.hit.url, "http://example.com/\xef\xbf\xbd");
    expect_text(stamped.hit.referrer, "az");
    assert_int_equal(stamped.hit.user_agent.len, HIT_MAX_USER_AGENT);
    assert_int_equal(stamped.hit.title.len, HIT_MAX_TITLE);
    assert_int_equal(stamped.hit.flags, HIT_FLAG_CLEANED);
}

static void urls_are_judged(void **state)
{
    static const struct {
        const char *url;
        enum status status;
        const char *reason;
    } urls[] = {
        {"", STATUS_MISSING, "url is missing"},
        {"about:blank", STATUS_MALFORMED, "url is no http or https address"},
        {"http://example.org/", STATUS_DENIED, "the url's host is no site of this collector"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct visit visit = {.source = HIT_BEACON};
        struct page page = {.url = slice_of(urls[i].url)};
        struct stamped stamped;
        struct why why = {.text = ""};
        begin();
        assert_int_equal(stamp_hit(&visit, &page, sites, &scratch, &stamped, &why), urls[i].status);
        assert_string_equal(why.text, urls[i].reason);
    }
}

static void signals_become_flags(void **state)
{
    static const struct {
        const char *name, *value;
        uint32_t flags;
    } cases[] = {
        {"User-Agent", "Googlebot/2.1 (+http://www.google.com/bot.html)", HIT_FLAG_BOT_AGENT},
        {"User-Agent", "", HIT_FLAG_NO_AGENT},
        {"Sec-Purpose", "prefetch;prerender", HIT_FLAG_PREFETCH | HIT_FLAG_NO_AGENT},
        {"Sec-GPC", "1", HIT_FLAG_PRIVACY | HIT_FLAG_NO_AGENT},
        {"DNT", "1", HIT_FLAG_PRIVACY | HIT_FLAG_NO_AGENT},
        {"DNT", "0", HIT_FLAG_NO_AGENT},
    };
    struct page page = {.url = SLICE("http://example.com/")};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin();
        add_field(cases[i].name, cases[i].value);
        assert_int_equal(stamp(&page).hit.flags, cases[i].flags);
    }
}

static void only_listed_headers_are_kept(void **state)
{
    struct json_value value;
    struct headers headers;
    struct buf out;
    char text[HIT_MAX_HEADERS];
    (void)state;
    begin();
    add_field("Cookie", "secret=1");
    add_field("Authorization", "Basic abc");
    add_field("SEC-CH-UA", "\"Chromium\";v=\"140\"\t\xff");
    add_field("Sec-Fetch-Site", "cross-site");
    add_field("sec-fetch-site", "none");
    add_field("Sec-Secret", "x");
    add_field("Sec-GPC", "");
    buf_init(&out, text, sizeof(text));
    headers_read(&request, &headers);
    headers_write(&headers, &out);
    assert_int_equal(json_read(buf_slice(&out), &value, NULL), STATUS_OK);
    expect_text(buf_slice(&out), "{\"sec-ch-ua\":\"\\\"Chromium\\\";v=\\\"140\\\"\\t\xef\xbf\xbd\","
                                 "\"sec-fetch-site\":\"cross-site\"}");
}

static void headers_never_outgrow_their_limit(void **state)
{
    static char long_value[2000], text[HIT_MAX_HEADERS];
    struct json_value value;
    struct headers headers;
    struct buf out;
    (void)state;
    memset(long_value, 0x1f, sizeof(long_value) - 1); /* six bytes each when escaped */
    begin();
    add_field("accept-language", long_value);
    add_field("sec-gpc", "1");
    add_field("sec-purpose", long_value + 1000);
    add_field("sec-ch-ua-model", long_value + 1000);
    buf_init(&out, text, sizeof(text));
    headers_read(&request, &headers);
    headers_write(&headers, &out);
    assert_false(out.overflowed);
    assert_int_equal(json_read(buf_slice(&out), &value, NULL), STATUS_OK);
    assert_true(slice_starts_with(buf_slice(&out), SLICE("{\"sec-gpc\":\"1\",\"sec-purpose\":")));
}

/* Every word of the list, so that none is hidden by a wrong second letter. */
static void every_word_is_found_anywhere(void **state)
{
    static const char *const words[] = {
        "Apache-HttpClient",
        "archiver",
        "bot",
        "Bytespider",
        "crawl",
        "curl/",
        "facebookexternalhit",
        "fetcher",
        "Go-http-client",
        "Google-Read-Aloud",
        "HeadlessChrome",
        "http://",
        "https://",
        "HttpClient",
        "java/",
        "libwww",
        "Lighthouse",
        "Mediapartners",
        "monitor",
        "node-fetch",
        "okhttp",
        "PhantomJS",
        "pingdom",
        "playwright",
        "python",
        "ruby",
        "scrap",
        "slurp",
        "spider",
        "validator",
        "Web Preview",
        "wget",
    };
    char agent[128];
    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int place = 0; place < 3; place++) {
            snprintf(agent, sizeof(agent), "%s%s%s", place > 0 ? "Mozilla/5.0 x" : "", words[i],
                     place < 2 ? " (y)" : "");
            if (!bots_is_named(slice_of(agent)))
                fail_msg("%s passes for a person", agent);
            agent[strlen(agent) - (place < 2 ? 4 : 0) - 1] = '\0'; /* its last letter gone */
            if (strcmp(words[i], "https://") != 0 && bots_is_named(slice_of(agent)))
                fail_msg("%s passes for a robot", agent);
        }
    }
}

static void robots_call_themselves_so(void **state)
{
    static const char *const robots[] = {
        "Mozilla/5.0 (compatible; Bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 (compatible; AhrefsSiteAudit/6.1; +http://ahrefs.com/robot/site-audit)",
        "curl/7.88.1",
        "Wget/1.21.3",
        "python-requests/2.28",
        "Go-http-client/1.1",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 "
        "Safari/537.36",
        "facebookexternalhit/1.1",
        "Baiduspider",
    };
    static const char *const people[] = {
        "",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
        "Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/17.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 11; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 "
        "Mobile "
        "Safari/537.36",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(robots) / sizeof(robots[0]); i++)
        if (!bots_is_named(slice_of(robots[i])))
            fail_msg("%s passes for a person", robots[i]);
    for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++)
        if (bots_is_named(slice_of(people[i])))
            fail_msg("%s passes for a robot", people[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_finds_its_place),
        cmocka_unit_test(ids_are_given_hashed_or_made),
        cmocka_unit_test(texts_are_cleaned_and_cut),
        cmocka_unit_test(urls_are_judged),
        cmocka_unit_test(signals_become_flags),
        cmocka_unit_test(only_listed_headers_are_kept),
        cmocka_unit_test(headers_never_outgrow_their_limit),
        cmocka_unit_test(robots_call_themselves_so),
        cmocka_unit_test(every_word_is_found_anywhere),
    };
    return cmocka_run_group_tests(tests, make_sites, free_sites);
}
