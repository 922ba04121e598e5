/* SPDX-License-Identifier: Apache-2.0
 * sim_disk: see the header. */
#include "tests/lib/sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, MAX_FILES = 128, MAX_OPEN = 256 };

struct version {
    uint64_t sector;
    char bytes[SECTOR];
};

struct inode {
    char *live, *durable; /* of the same capacity */
    size_t capacity;
    size_t live_len;
    size_t *lens; /* since the last good sync; lens[0] is the durable one */
    size_t len_count;
    struct version *versions;
    size_t version_count, version_capacity;
    bool had_sync_error;
};

struct name {
    char text[DISK_MAX_NAME + 1];
    int inode;
};

struct names {
    struct name at[MAX_FILES];
    size_t count;
};

struct change {
    char from[DISK_MAX_NAME + 1]; /* "": a new file */
    char to[DISK_MAX_NAME + 1];   /* "": removed */
    int inode;
};

struct sim_disk {
    struct disk disk;
    struct choice *choice;
    struct inode *inodes;
    int inode_count;
    struct names live, durable;
    struct change *changes;
    size_t change_count;
    int open[MAX_OPEN]; /* inode + 1 */
    bool is_locked;
    uint64_t free_bytes;
    uint64_t bytes_read;
    int repeated_syncs;
    sim_fault_fn *fault;
    void *fault_context;
};

static struct sim_disk *self_of(struct disk *disk)
{
    return (struct sim_disk *)disk;
}

static int ask(struct sim_disk *sim, enum sim_call call)
{
    return sim->fault ? sim->fault(sim->fault_context, call) : SIM_FINE;
}

/* --- names --- */

static int find(const struct names *names, const char *text)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i].text, text) == 0)
            return (int)i;
    return -1;
}

static void remove_name(struct names *names, const char *text)
{
    int i = find(names, text);
    if (i >= 0)
        names->at[i] = names->at[--names->count];
}

static void add_name(struct names *names, const char *text, int inode)
{
    remove_name(names, text);
    MUST(names->count < MAX_FILES && strlen(text) <= DISK_MAX_NAME);
    strcpy(names->at[names->count].text, text);
    names->at[names->count++].inode = inode;
}

static void apply(struct names *names, const struct change *change)
{
    if (change->from[0] && find(names, change->from) < 0)
        return; /* the change that made it was lost */
    if (change->from[0])
        remove_name(names, change->from);
    if (change->to[0])
        add_name(names, change->to, change->inode);
}

static void change_names(struct sim_disk *sim, const char *from, const char *to, int inode)
{
    sim->changes = must_realloc(sim->changes, (sim->change_count + 1) * sizeof(*sim->changes));
    struct change *change = &sim->changes[sim->change_count++];
    *change = (struct change){.inode = inode};
    strcpy(change->from, from);
    strcpy(change->to, to);
    apply(&sim->live, change);
}

/* --- files --- */

static int inode_new(struct sim_disk *sim)
{
    sim->inodes = must_realloc(sim->inodes, ((size_t)sim->inode_count + 1) * sizeof(*sim->inodes));
    struct inode *inode = &sim->inodes[sim->inode_count];
    *inode = (struct inode){.len_count = 1};
    inode->lens = must_calloc(1, sizeof(*inode->lens));
    return sim->inode_count++;
}

static void make_room(struct inode *inode, size_t len)
{
    size_t capacity = (len + SECTOR - 1) / SECTOR * SECTOR;
    if (capacity <= inode->capacity)
        return;
    inode->live = must_realloc(inode->live, capacity);
    inode->durable = must_realloc(inode->durable, capacity);
    memset(inode->live + inode->capacity, 0, capacity - inode->capacity);
    memset(inode->durable + inode->capacity, 0, capacity - inode->capacity);
    inode->capacity = capacity;
}

static void set_len(struct inode *inode, size_t len)
{
    make_room(inode, len);
    if (len < inode->live_len)
        memset(inode->live + len, 0, inode->live_len - len);
    inode->live_len = len;
    inode->lens = must_realloc(inode->lens, (inode->len_count + 1) * sizeof(*inode->lens));
    inode->lens[inode->len_count++] = len;
}

static void note_sectors(struct inode *inode, size_t from, size_t to)
{
    for (size_t sector = from / SECTOR; sector * SECTOR < to; sector++) {
        if (inode->version_count == inode->version_capacity) {
            inode->version_capacity = inode->version_capacity ? 2 * inode->version_capacity : 16;
            inode->versions =
                must_realloc(inode->versions, inode->version_capacity * sizeof(*inode->versions));
        }
        struct version *version = &inode->versions[inode->version_count++];
        version->sector = sector;
        memcpy(version->bytes, inode->live + sector * SECTOR, SECTOR);
    }
}

/* Each unsynced version of a sector is there or not; the last one that is there is what the disk has. */
static void settle(const struct inode *inode, struct choice *choice, bool is_all, char *bytes, size_t *len)
{
    for (size_t i = 0; i < inode->version_count; i++)
        if (is_all || choice_one_in(choice, 2))
            memcpy(bytes + inode->versions[i].sector * SECTOR, inode->versions[i].bytes, SECTOR);
    *len = is_all ? inode->live_len : inode->lens[choice_below(choice, inode->len_count)];
}

static void forget_versions(struct inode *inode, size_t len)
{
    inode->version_count = 0;
    inode->len_count = 1;
    inode->lens[0] = len;
}

static struct inode *file_of(struct sim_disk *sim, int file)
{
    MUST(file >= 0 && file < MAX_OPEN && sim->open[file] > 0);
    return &sim->inodes[sim->open[file] - 1];
}

/* --- the functions --- */

static int sim_open(struct disk *disk, const char *name, enum disk_mode mode)
{
    struct sim_disk *sim = self_of(disk);
    int fault = ask(sim, SIM_OPEN), place = find(&sim->live, name), file = 0;
    if (fault < 0)
        return fault;
    if (mode == DISK_READ && place < 0)
        return -ENOENT;
    if (mode == DISK_CREATE && place >= 0)
        return -EEXIST;
    while (file < MAX_OPEN && sim->open[file] != 0)
        file++;
    if (file == MAX_OPEN)
        return -EMFILE;
    if (place < 0) {
        int inode = inode_new(sim);
        change_names(sim, "", name, inode);
        place = find(&sim->live, name);
    }
    sim->open[file] = sim->live.at[place].inode + 1;
    return file;
}

static int sim_close(struct disk *disk, int file)
{
    (void)file_of(self_of(disk), file);
    self_of(disk)->open[file] = 0;
    return 0;
}

static int sim_preallocate(struct disk *disk, int file, uint64_t bytes)
{
    struct inode *inode = file_of(self_of(disk), file);
    int fault = ask(self_of(disk), SIM_PREALLOCATE);
    if (fault < 0)
        return fault;
    if (bytes > inode->live_len)
        set_len(inode, bytes);
    return 0;
}

static int64_t sim_write(struct disk *disk, int file, slice bytes, uint64_t at)
{
    struct inode *inode = file_of(self_of(disk), file);
    int fault = ask(self_of(disk), SIM_WRITE);
    size_t len = fault == SIM_SHORT ? (bytes.len + 1) / 2 : bytes.len;
    if (fault < 0)
        return fault;
    if (at + len > inode->live_len)
        set_len(inode, at + len);
    memcpy(inode->live + at, bytes.data, len);
    note_sectors(inode, at, at + len);
    return (int64_t)len;
}

static int64_t sim_read(struct disk *disk, int file, void *out, size_t len, uint64_t at)
{
    struct sim_disk *sim = self_of(disk);
    struct inode *inode = file_of(sim, file);
    int fault = ask(sim, SIM_READ);
    if (fault < 0)
        return fault;
    if (at >= inode->live_len)
        return 0;
    if (len > inode->live_len - at)
        len = inode->live_len - at;
    if (fault == SIM_SHORT)
        len = (len + 1) / 2;
    memcpy(out, inode->live + at, len);
    sim->bytes_read += len;
    return (int64_t)len;
}

static int sim_sync(struct disk *disk, int file)
{
    struct sim_disk *sim = self_of(disk);
    struct inode *inode = file_of(sim, file);
    int fault = ask(sim, SIM_SYNC);
    size_t len;
    sim->repeated_syncs += inode->had_sync_error;
    settle(inode, sim->choice, fault == 0, inode->durable, &len);
    forget_versions(inode, len);
    inode->had_sync_error = inode->had_sync_error || fault < 0;
    return fault < 0 ? fault : 0;
}

static int sim_truncate(struct disk *disk, const char *name, uint64_t bytes)
{
    struct sim_disk *sim = self_of(disk);
    int place = find(&sim->live, name), fault = ask(sim, SIM_TRUNCATE);
    if (fault < 0)
        return fault;
    if (place < 0)
        return -ENOENT;
    set_len(&sim->inodes[sim->live.at[place].inode], bytes);
    return 0;
}

static int64_t sim_size(struct disk *disk, const char *name)
{
    struct sim_disk *sim = self_of(disk);
    int place = find(&sim->live, name), fault = ask(sim, SIM_SIZE);
    if (fault < 0)
        return fault;
    return place < 0 ? -ENOENT : (int64_t)sim->inodes[sim->live.at[place].inode].live_len;
}

static int sim_unlink(struct disk *disk, const char *name)
{
    struct sim_disk *sim = self_of(disk);
    int fault = ask(sim, SIM_REMOVE);
    if (fault < 0)
        return fault;
    if (find(&sim->live, name) < 0)
        return -ENOENT;
    change_names(sim, name, "", 0);
    return 0;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *sim = self_of(disk);
    int place = find(&sim->live, from), fault = ask(sim, SIM_REMOVE);
    if (fault < 0)
        return fault;
    if (place < 0)
        return -ENOENT;
    change_names(sim, from, to, sim->live.at[place].inode);
    return 0;
}

static int sim_sync_folder(struct disk *disk)
{
    struct sim_disk *sim = self_of(disk);
    int fault = ask(sim, SIM_SYNC_FOLDER);
    if (fault < 0)
        return fault;
    sim->durable = sim->live;
    sim->change_count = 0;
    return 0;
}

static int sim_list(struct disk *disk, const char *folder, disk_list_fn *each, void *context)
{
    struct sim_disk *sim = self_of(disk);
    size_t len = strlen(folder);
    for (size_t i = 0; i < sim->live.count; i++) {
        const char *text = sim->live.at[i].text, *slash = strchr(text, '/');
        if (len == 0 && !slash)
            each(context, text);
        else if (len > 0 && slash && (size_t)(slash - text) == len && strncmp(text, folder, len) == 0)
            each(context, slash + 1);
    }
    return 0;
}

static int64_t sim_free_bytes(struct disk *disk)
{
    return (int64_t)self_of(disk)->free_bytes;
}

static int sim_lock(struct disk *disk)
{
    if (self_of(disk)->is_locked)
        return -EWOULDBLOCK;
    self_of(disk)->is_locked = true;
    return 0;
}

static void sim_unlock(struct disk *disk)
{
    self_of(disk)->is_locked = false;
}

static const struct disk_functions functions = {
    .open = sim_open,
    .close = sim_close,
    .preallocate = sim_preallocate,
    .write = sim_write,
    .read = sim_read,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .size = sim_size,
    .unlink = sim_unlink,
    .rename = sim_rename,
    .sync_folder = sim_sync_folder,
    .list = sim_list,
    .free_bytes = sim_free_bytes,
    .lock = sim_lock,
    .free = sim_unlock,
};

/* --- the test's side --- */

struct sim_disk *sim_disk_new(struct choice *choice)
{
    struct sim_disk *sim = must_calloc(1, sizeof(*sim));
    sim->disk.functions = &functions;
    sim->choice = choice;
    sim->free_bytes = UINT64_C(1) << 40;
    return sim;
}

void sim_disk_free(struct sim_disk **sim)
{
    if (!*sim)
        return;
    for (int i = 0; i < (*sim)->inode_count; i++) {
        free((*sim)->inodes[i].live);
        free((*sim)->inodes[i].durable);
        free((*sim)->inodes[i].lens);
        free((*sim)->inodes[i].versions);
    }
    free((*sim)->inodes);
    free((*sim)->changes);
    free(*sim);
    *sim = NULL;
}

struct disk *sim_disk_of(struct sim_disk *sim)
{
    return &sim->disk;
}

void sim_disk_set_fault(struct sim_disk *sim, sim_fault_fn *fault, void *context)
{
    sim->fault = fault;
    sim->fault_context = context;
}

void sim_disk_set_free_bytes(struct sim_disk *sim, uint64_t bytes)
{
    sim->free_bytes = bytes;
}

/* The file as it is found: bytes[0 … capacity), and its length. */
static void add_found(struct sim_disk *found, const char *text, const char *bytes, size_t len)
{
    int number = inode_new(found);
    struct inode *inode = &found->inodes[number];
    make_room(inode, len);
    if (len > 0) {
        memcpy(inode->live, bytes, len);
        memcpy(inode->durable, bytes, len);
    }
    inode->live_len = inode->lens[0] = len;
    add_name(&found->live, text, number);
    add_name(&found->durable, text, number);
}

static struct sim_disk *found_new(const struct sim_disk *sim, struct choice *choice)
{
    struct sim_disk *found = sim_disk_new(choice);
    found->free_bytes = sim->free_bytes;
    return found;
}

struct sim_disk *sim_disk_lose_power(const struct sim_disk *sim, struct choice *choice)
{
    struct sim_disk *found = found_new(sim, choice);
    struct names *names = must_malloc(sizeof(*names));
    *names = sim->durable;
    for (size_t i = 0; i < sim->change_count; i++)
        if (choice_one_in(choice, 2))
            apply(names, &sim->changes[i]);
    for (size_t i = 0; i < names->count; i++) {
        const struct inode *inode = &sim->inodes[names->at[i].inode];
        char *bytes = must_malloc(inode->capacity + 1);
        size_t len;
        if (inode->capacity > 0)
            memcpy(bytes, inode->durable, inode->capacity);
        settle(inode, choice, false, bytes, &len);
        add_found(found, names->at[i].text, bytes, len);
        free(bytes);
    }
    free(names);
    return found;
}

struct sim_disk *sim_disk_kill(const struct sim_disk *sim, struct choice *choice)
{
    struct sim_disk *found = found_new(sim, choice);
    for (size_t i = 0; i < sim->live.count; i++) {
        const struct inode *inode = &sim->inodes[sim->live.at[i].inode];
        add_found(found, sim->live.at[i].text, inode->live, inode->live_len);
    }
    return found;
}

slice sim_disk_file(struct sim_disk *sim, const char *name)
{
    int place = find(&sim->live, name);
    if (place < 0)
        return (slice){NULL, 0};
    const struct inode *inode = &sim->inodes[sim->live.at[place].inode];
    return (slice){inode->live ? inode->live : "", inode->live_len};
}

void sim_disk_put(struct sim_disk *sim, const char *name, slice bytes)
{
    remove_name(&sim->live, name);
    remove_name(&sim->durable, name);
    if (bytes.data)
        add_found(sim, name, bytes.data, bytes.len);
}

size_t sim_disk_file_count(const struct sim_disk *sim)
{
    return sim->live.count;
}

uint64_t sim_disk_bytes_read(const struct sim_disk *sim)
{
    return sim->bytes_read;
}

int sim_disk_repeated_syncs(const struct sim_disk *sim)
{
    return sim->repeated_syncs;
}
