/* SPDX-License-Identifier: Apache-2.0
 * reloading: see the header. */
#include "aggregator/reloading.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/log.h"
#include "base/settings.h"

enum { QUIET_MS = 1000 }; /* whoever writes a file needs time between two writes */

/* What tells one state of a file from another. */
struct fingerprint {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed; /* its bytes, or who may read them */
};

struct reloading {
    struct uv_loop_s *loop;
    const char *setting;
    struct places *places;
    struct metrics *metrics;
    struct log log;
    uv_fs_event_t watchers[DATABASES_MAX];
    size_t watcher_count;
    uv_timer_t quiet;
    int open_handles;
    uv_work_t work;
    bool is_reading;
    bool is_wanted; /* once more, when this reading is done */
    bool is_stopping;
    struct fingerprint prints[DATABASES_MAX]; /* of the files that were read last */

    struct databases *fresh; /* written by the pool's thread while is_reading */
    struct why why;
};

static void copy_path(slice path, char out[DATABASES_MAX_PATH])
{
    MUST(path.len < DATABASES_MAX_PATH);
    memcpy(out, path.data, path.len);
    out[path.len] = '\0';
}

static void take_prints(const struct reloading *reloading, struct fingerprint *prints)
{
    slice rest = slice_of(reloading->setting), item;
    char path[DATABASES_MAX_PATH];
    memset(prints, 0, DATABASES_MAX * sizeof *prints);
    for (size_t i = 0; i < DATABASES_MAX && settings_list_next(&rest, &item); i++) {
        struct stat file;
        copy_path(item, path);
        if (stat(path, &file) != 0)
            continue;
        prints[i].device = file.st_dev;
        prints[i].inode = file.st_ino;
        prints[i].size = file.st_size;
        prints[i].changed = file.st_ctim;
    }
}

/* ---- Reading ---- */

static void free_when_closed(struct reloading *reloading)
{
    if (reloading->open_handles == 0 && !reloading->is_reading)
        free(reloading);
}

/* On a thread of the pool. */
static void read_files(uv_work_t *work)
{
    struct reloading *reloading = work->data;
    reloading->fresh = databases_open(reloading->setting, &reloading->why);
}

static void use_files(struct reloading *reloading)
{
    if (reloading->fresh == NULL) {
        metrics_add(reloading->metrics, METRICS_RELOADS_FAILED, 1);
        log_error(&reloading->log, "reload_failed", "the files in use stay: %s", reloading->why.text);
        return;
    }
    metrics_add(reloading->metrics, METRICS_RELOADS, 1);
    metrics_set(reloading->metrics, METRICS_DATABASES_BUILT, databases_built_at(reloading->fresh).ms);
    log_info(&reloading->log, "reloaded", "%zu files of geo.databases were read", reloading->fresh->count);
    places_use_take(reloading->places, reloading->fresh);
    reloading->fresh = NULL;
}

static void on_read(uv_work_t *work, int status)
{
    struct reloading *reloading = work->data;
    (void)status;
    reloading->is_reading = false;
    if (reloading->is_stopping) {
        databases_close(&reloading->fresh);
        free_when_closed(reloading);
        return;
    }
    use_files(reloading);
    if (reloading->is_wanted)
        reloading_now(reloading);
}

void reloading_now(struct reloading *reloading)
{
    reloading->is_wanted = reloading->is_reading;
    if (reloading->is_reading)
        return;
    reloading->is_reading = true;
    take_prints(reloading, reloading->prints); /* what changes from here on is another change */
    reloading->work.data = reloading;
    MUST(uv_queue_work(reloading->loop, &reloading->work, read_files, on_read) == 0);
}

/* ---- Watching ---- */

static void on_quiet(uv_timer_t *timer)
{
    struct reloading *reloading = timer->data;
    struct fingerprint prints[DATABASES_MAX];
    take_prints(reloading, prints);
    if (memcmp(prints, reloading->prints, sizeof prints) != 0)
        reloading_now(reloading);
}

static void on_event(uv_fs_event_t *watcher, const char *name, int events, int status)
{
    struct reloading *reloading = watcher->data;
    (void)name;
    (void)events;
    (void)status;
    uv_timer_start(&reloading->quiet, on_quiet, QUIET_MS, 0);
}

static void watch_folder(struct reloading *reloading, slice item)
{
    char path[DATABASES_MAX_PATH];
    copy_path(item, path);
    uv_fs_event_t *watcher = &reloading->watchers[reloading->watcher_count++];
    MUST(uv_fs_event_init(reloading->loop, watcher) == 0);
    watcher->data = reloading;
    reloading->open_handles++;
    const char *folder = dirname(path);
    int error = uv_fs_event_start(watcher, on_event, folder, 0);
    if (error != 0)
        log_warning(&reloading->log, "not_watched",
                    "%s cannot be watched (%s): only SIGHUP reads its files again", folder,
                    uv_strerror(error));
}

struct reloading *reloading_start(struct uv_loop_s *loop, const char *setting, struct places *places,
                                  struct metrics *metrics)
{
    struct reloading *reloading = must_calloc(1, sizeof *reloading);
    slice rest = slice_of(setting), item;
    reloading->loop = loop;
    reloading->setting = setting;
    reloading->places = places;
    reloading->metrics = metrics;
    reloading->log = log_new("reloading");
    MUST(uv_timer_init(loop, &reloading->quiet) == 0);
    reloading->quiet.data = reloading;
    reloading->open_handles = 1;
    take_prints(reloading, reloading->prints);
    metrics_set(metrics, METRICS_DATABASES_BUILT, places_built_at(places).ms);
    while (reloading->watcher_count < DATABASES_MAX && settings_list_next(&rest, &item))
        watch_folder(reloading, item);
    return reloading;
}

static void on_closed(uv_handle_t *handle)
{
    struct reloading *reloading = handle->data;
    reloading->open_handles--;
    free_when_closed(reloading);
}

void reloading_stop(struct reloading **reloading)
{
    struct reloading *stopping = *reloading;
    *reloading = NULL;
    if (stopping == NULL)
        return;
    stopping->is_stopping = true;
    uv_close((uv_handle_t *)&stopping->quiet, on_closed);
    for (size_t i = 0; i < stopping->watcher_count; i++)
        uv_close((uv_handle_t *)&stopping->watchers[i], on_closed);
}
