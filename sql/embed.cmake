# SPDX-License-Identifier: Apache-2.0
# Writes OUTPUT, the C side of migrations.h, from the SQL files listed in MIGRATIONS (each NNNN_concern.sql).
# Run by CMake at build time: cmake -DOUTPUT=… -DMIGRATIONS=a;b -P embed.cmake

set(rows "")
foreach(file IN LISTS MIGRATIONS)
    get_filename_component(name ${file} NAME_WE)
    if(NOT name MATCHES "^0*([0-9]+)_")
        message(FATAL_ERROR "${file}: the name of a migration begins with its number and '_'")
    endif()
    set(version ${CMAKE_MATCH_1})
    file(READ ${file} text)
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
    string(APPEND rows "    {${version}, \"${name}\",\n     \"${text}\"},\n")
endforeach()

file(WRITE ${OUTPUT}
"/* Made from sql/migrations by sql/embed.cmake. */
#include \"sql/migrations.h\"

const struct migration migrations[] = {
${rows}};
const size_t migration_count = sizeof(migrations) / sizeof(migrations[0]);
")
