/* SPDX-License-Identifier: Apache-2.0
 * replay: a main for fuzz targets that runs every file of the given folders once, in every test run.
 *
 * The same targets are built with libFuzzer when FOOTFALL_LIBFUZZER is on; then this file is left out. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_INPUT_BYTES = 1 << 20 };

static int replay_file(const char *path)
{
    static uint8_t input[MAX_INPUT_BYTES];
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    size_t size = fread(input, 1, sizeof(input), file);
    fclose(file);
    uint8_t *exact = malloc(size ? size : 1); /* its own allocation, so that a read past the end is seen */
    if (!exact)
        return 0;
    memcpy(exact, input, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

static int replay_folder(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        count += replay_file(name);
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += replay_folder(argv[i]);
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1; /* an empty corpus is a test that cannot fail */
}
