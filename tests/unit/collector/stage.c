/* SPDX-License-Identifier: Apache-2.0
 * stage: see the header. */
#include "tests/unit/collector/stage.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

enum { CALL_MS = 20000 };

const char *const stage_ack_memory[] = {"journal.ack=memory", NULL};
const char *const stage_ack_kafka[] = {"journal.ack=kafka", NULL};

rd_kafka_t *__real_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size);

static rd_kafka_t *last_producer; /* the collector's, as soon as it has one */
static int failures_left;

rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
    if (type == RD_KAFKA_PRODUCER && failures_left > 0) {
        failures_left--;
        snprintf(text, size, "ssl.ca.location failed");
        return NULL;
    }
    rd_kafka_t *handle = __real_rd_kafka_new(type, conf, text, size);
    if (type == RD_KAFKA_PRODUCER)
        last_producer = handle;
    return handle;
}

/* --- life --- */

static rd_kafka_t *new_client(const char *brokers)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "group.id", "stage", why, sizeof(why)), RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "log_level", "0", why, sizeof(why)), RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, brokers ? "bootstrap.servers" : "test.mock.num.brokers",
                                       brokers ? brokers : "1", why, sizeof(why)),
                     RD_KAFKA_CONF_OK);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!client)
        fail_msg("%s", why);
    return client;
}

static void set(struct stage *stage, const char *assignment)
{
    struct why why;
    if (settings_set(stage->settings, assignment, &why) != STATUS_OK)
        fail_msg("%s", why.text);
}

static void set_all(struct stage *stage, const char *const *further)
{
    char brokers[256], directory[64];
    stage->settings =
        settings_new(collector_setting_rows, collector_setting_count, &stage->values, "rdkafka");
    snprintf(brokers, sizeof(brokers), "kafka.brokers=%s", rd_kafka_mock_cluster_bootstraps(stage->cluster));
    snprintf(directory, sizeof(directory), "journal.directory=%s/journal", stage->folder);
    set(stage, brokers);
    set(stage, directory);
    set(stage, "kafka.partitions=4");
    set(stage, "http.listen=127.0.0.1:0");
    set(stage, "admin.listen=127.0.0.1:0");
    set(stage, "sites.hosts=example.com, *.example.org");
    for (; further && *further; further++)
        set(stage, *further);
}

static void start_collector(struct stage *stage, const char *const *further)
{
    struct why why = {.text = ""};
    assert_int_equal(uv_loop_init(&stage->bench.loop), 0);
    set_all(stage, further);
    stage->collector = collector_new(&stage->bench.loop, &stage->values, stage->settings);
    if (collector_settings_check(&stage->values, &why) != STATUS_OK ||
        collector_start(stage->collector, &why) != STATUS_OK)
        fail_msg("%s", why.text);
    stage->bench.port = collector_port(stage->collector);
}

static void prepare(struct stage *stage)
{
    memset(stage, 0, sizeof(*stage));
    strcpy(stage->folder, "/tmp/collector-stage-XXXXXX");
    assert_non_null(mkdtemp(stage->folder));
    stage->client = new_client(NULL);
    stage->cluster = rd_kafka_handle_mock_cluster(stage->client);
    assert_int_equal(rd_kafka_mock_topic_create(stage->cluster, "hits", STAGE_PARTITIONS, 1), 0);
}

void stage_start(struct stage *stage, const char *const *further)
{
    prepare(stage);
    start_collector(stage, further);
}

void stage_start_again(struct stage *stage, const char *const *further)
{
    MUST(stage->is_over);
    stage->is_stopped = stage->is_over = false;
    start_collector(stage, further);
}

void stage_start_ready(struct stage *stage, const char *const *further)
{
    stage_start(stage, further);
    stage_wait_ready(stage);
}

void stage_start_held(struct stage *stage, const char *const *further)
{
    stage_start_ready(stage, further);
    stage_hold(stage);
}

void stage_start_on_unix(struct stage *stage, const char *setting)
{
    char listen[128];
    prepare(stage);
    snprintf(listen, sizeof(listen), "%s=unix:%s/listen.sock", setting, stage->folder);
    start_collector(stage, (const char *const[]){listen, stage_ack_kafka[0], NULL});
    stage_wait_ready(stage);
}

static void on_stopped(void *context)
{
    struct stage *stage = context;
    stage->is_stopped = true;
}

void stage_begin_stop(struct stage *stage)
{
    collector_stop(stage->collector, on_stopped, stage);
}

void stage_finish_stop(struct stage *stage)
{
    bench_wait(&stage->bench, &stage->is_stopped);
    assert_int_equal(uv_run(&stage->bench.loop, UV_RUN_DEFAULT), 0);
    collector_free(&stage->collector);
    assert_int_equal(uv_loop_close(&stage->bench.loop), 0);
    settings_free(&stage->settings);
    stage->is_over = true;
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    return remove(path);
}

void stage_end(struct stage *stage)
{
    if (!stage->is_over) {
        stage_begin_stop(stage);
        stage_finish_stop(stage);
    }
    rd_kafka_destroy(stage->client);
    assert_int_equal(nftw(stage->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* --- Kafka --- */

static void set_leaders(struct stage *stage, int32_t broker)
{
    for (int partition = 0; partition < STAGE_PARTITIONS; partition++)
        assert_int_equal(rd_kafka_mock_partition_set_leader(stage->cluster, "hits", partition, broker), 0);
}

void stage_hold(struct stage *stage)
{
    set_leaders(stage, -1);
}

void stage_release(struct stage *stage)
{
    set_leaders(stage, 1);
}

void stage_make_fatal(struct stage *stage)
{
    (void)stage;
    assert_int_equal(rd_kafka_test_fatal_error(last_producer, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                                               "made by a test"),
                     0);
}

void stage_fail_producers(int count)
{
    failures_left = count;
}

void stage_refuse(struct stage *stage, int count)
{
    enum { PRODUCE_KEY = 0 };
    while (count-- > 0)
        rd_kafka_mock_push_request_errors(stage->cluster, PRODUCE_KEY, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
}

static int64_t end_of(struct stage *stage, int partition)
{
    int64_t low, high;
    assert_int_equal(rd_kafka_query_watermark_offsets(stage->client, "hits", partition, &low, &high, CALL_MS),
                     0);
    return high;
}

int64_t stage_stored_count(struct stage *stage)
{
    int64_t count = 0;
    for (int partition = 0; partition < STAGE_PARTITIONS; partition++)
        count += end_of(stage, partition);
    return count;
}

static void decode(const rd_kafka_message_t *message, struct stage_hit *hit)
{
    static char copies[STAGE_MAX_HITS][8192]; /* messages go, what hits borrow stays */
    static size_t next;
    struct buf scratch;
    char *copy = copies[next++ % STAGE_MAX_HITS];
    assert_true(message->len <= sizeof(copies[0]) && message->key_len < sizeof(hit->key));
    memcpy(copy, message->payload, message->len);
    memcpy(hit->key, message->key, message->key_len);
    hit->key[message->key_len] = '\0';
    hit->partition = message->partition;
    buf_init(&scratch, hit->memory, sizeof(hit->memory));
    assert_int_equal(hit_decode((slice){copy, message->len}, &scratch, &hit->hit), HIT_GOOD);
}

static void assign(rd_kafka_t *client, int partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "hits", partition)->offset = 0;
    assert_int_equal(rd_kafka_assign(client, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

size_t stage_read_hits(struct stage *stage, struct stage_hit *hits, size_t max)
{
    size_t count = 0;
    for (int partition = 0; partition < STAGE_PARTITIONS; partition++) {
        int64_t left = end_of(stage, partition);
        assign(stage->client, partition);
        while (left > 0) {
            rd_kafka_message_t *message = rd_kafka_consumer_poll(stage->client, CALL_MS);
            assert_non_null(message);
            if (!message->err && message->payload) { /* no control record */
                assert_true(count < max);
                decode(message, &hits[count++]);
            }
            left -= !message->err;
            rd_kafka_message_destroy(message);
        }
    }
    rd_kafka_assign(stage->client, NULL);
    return count;
}

/* --- HTTP --- */

static void send_text(struct stage *stage, int fd, const struct buf *text)
{
    assert_false(text->overflowed);
    bench_send(&stage->bench, fd, buf_slice(text));
}

void stage_post(struct stage *stage, int fd, const char *head, const char *body)
{
    static char memory[128 * 1024];
    struct buf text;
    buf_init(&text, memory, sizeof(memory));
    buf_add_format(&text, "POST /v1/hits HTTP/1.1\r\nHost: collector\r\nContent-Length: %zu\r\n%s\r\n%s",
                   strlen(body), head, body);
    send_text(stage, fd, &text);
}

void stage_get(struct stage *stage, int fd, const char *target, const char *head)
{
    char memory[8192];
    struct buf text;
    buf_init(&text, memory, sizeof(memory));
    buf_add_format(&text, "GET %s HTTP/1.1\r\nHost: collector\r\n%s\r\n", target, head);
    send_text(stage, fd, &text);
}

int stage_post_held(struct stage *stage)
{
    int fd = bench_connect(&stage->bench);
    stage_post(stage, fd, "Content-Type: application/json\r\n", STAGE_PLAIN_HIT);
    stage_wait_metric(stage, STAGE_IN_FLIGHT, 1);
    return fd;
}

int stage_connect_unix(const char *listen)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, listen + strlen("unix:"));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void stage_mirror(struct stage *stage, int fd, const char *method, const char *id)
{
    char memory[1024];
    struct buf text;
    buf_init(&text, memory, sizeof(memory));
    buf_add_format(&text,
                   "GET /v1/mirror HTTP/1.1\r\nHost: example.com\r\nX-Original-URI: /m?x\r\n"
                   "X-Original-Method: %s\r\nX-Real-IP: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
                   "X-Request-ID: %s\r\n\r\n",
                   method, id);
    send_text(stage, fd, &text);
}

static void read_head(struct stage *stage, int fd, struct stage_reply *reply)
{
    size_t len = 0;
    do {
        assert_true(len + 1 < sizeof(reply->head));
        bench_read(&stage->bench, fd, reply->head + len++, 1);
        reply->head[len] = '\0';
    } while (len < 4 || strcmp(reply->head + len - 4, "\r\n\r\n") != 0);
    assert_int_equal(sscanf(reply->head, "HTTP/1.1 %d ", &reply->status), 1);
}

const struct stage_reply *stage_read_reply(struct stage *stage, int fd)
{
    static struct stage_reply reply;
    size_t len = 0;
    read_head(stage, fd, &reply);
    const char *length = strstr(reply.head, "Content-Length: ");
    if (length)
        assert_int_equal(sscanf(length, "Content-Length: %zu", &len), 1);
    assert_true(len < sizeof(reply.body));
    bench_read(&stage->bench, fd, reply.body, len);
    reply.body[len] = '\0';
    return &reply;
}

void stage_expect(struct stage *stage, int fd, int status)
{
    const struct stage_reply *reply = stage_read_reply(stage, fd);
    if (reply->status != status)
        fail_msg("%d instead of %d: %s", reply->status, status, reply->body);
}

int stage_post_alone(struct stage *stage, const char *head, const char *body)
{
    int fd = bench_connect(&stage->bench);
    stage_post(stage, fd, head, body);
    int status = stage_read_reply(stage, fd)->status;
    close(fd);
    return status;
}

/* Everything the admin listener says to this; static memory. */
static const char *ask_admin(struct stage *stage, const char *request)
{
    int public_port = stage->bench.port;
    stage->bench.port = collector_admin_port(stage->collector);
    const char *text = bench_talk(&stage->bench, slice_of(request));
    stage->bench.port = public_port;
    return text;
}

int stage_ready_status(struct stage *stage)
{
    int status;
    const char *text = ask_admin(stage, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(sscanf(text, "HTTP/1.1 %d ", &status), 1);
    return status;
}

void stage_wait_ready(struct stage *stage)
{
    mono_ms since = mono_now();
    while (stage_ready_status(stage) != 200) {
        if (mono_now().ms - since.ms > BENCH_PATIENCE_MS)
            fail_msg("not ready");
        usleep(1000);
    }
}

void stage_wait_not_ready(struct stage *stage, const char *reason)
{
    mono_ms since = mono_now();
    while (
        !strstr(ask_admin(stage, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), reason)) {
        if (mono_now().ms - since.ms > BENCH_PATIENCE_MS)
            fail_msg("not because of %s", reason);
        usleep(1000);
    }
}

int64_t stage_metric(struct stage *stage, const char *name)
{
    char line[256];
    const char *text = ask_admin(stage, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *found = strstr(text, line);
    if (!found)
        fail_msg("no metric %s", name);
    return strtoll(found + strlen(line), NULL, 10);
}

void stage_wait_metric(struct stage *stage, const char *name, int64_t value)
{
    mono_ms since = mono_now();
    int64_t last;
    while ((last = stage_metric(stage, name)) != value) {
        if (mono_now().ms - since.ms > BENCH_PATIENCE_MS)
            fail_msg("%s stays at %lld", name, (long long)last);
        usleep(1000);
    }
}
