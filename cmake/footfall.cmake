# SPDX-License-Identifier: Apache-2.0
# How our own targets are made: one set of flags, headers reached as "folder/file.h" only through what is linked.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

add_library(footfall_flags INTERFACE)
target_compile_features(footfall_flags INTERFACE c_std_11)
target_compile_definitions(footfall_flags INTERFACE _GNU_SOURCE FOOTFALL_VERSION="${PROJECT_VERSION}")
target_compile_options(footfall_flags INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Werror
    $<$<C_COMPILER_ID:Clang>:-Wno-string-conversion> # MUST(!"what cannot be")
    -fno-strict-aliasing -fstack-protector-strong)
if(FOOTFALL_FAILPOINTS)
    target_compile_definitions(footfall_flags INTERFACE FOOTFALL_FAILPOINTS=1)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_definitions(footfall_flags INTERFACE _FORTIFY_SOURCE=2)
    target_link_options(footfall_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(FOOTFALL_SANITIZE)
    # Global on purpose: code compiled from packages (llhttp) must carry the same instrumentation.
    add_compile_options(-fsanitize=${FOOTFALL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${FOOTFALL_SANITIZE})
endif()

# footfall_library(base SOURCES a.c b.c LINK other) makes the static library "footfall_base" from the files of this
# folder. Its users include its headers as "base/a.h": the include root holds links to this folder only, so that a
# library that is not linked cannot be included.
function(footfall_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE" ${ARGN})
    set(target footfall_${name})
    add_library(${target} STATIC ${ARG_SOURCES})
    file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    set(root ${CMAKE_BINARY_DIR}/include/${name})
    file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
    file(REMOVE_RECURSE ${root})
    file(MAKE_DIRECTORY ${root}/${folder})
    foreach(header ${headers})
        get_filename_component(leaf ${header} NAME)
        file(CREATE_LINK ${header} ${root}/${folder}/${leaf} SYMBOLIC)
    endforeach()
    target_include_directories(${target} PUBLIC ${root})
    target_link_libraries(${target} PUBLIC footfall_flags ${ARG_LINK} PRIVATE ${ARG_PRIVATE})
endfunction()

# footfall_test(name SOURCES test_x.c LINK footfall_base) adds one cmocka program to ctest. RUN_BY: a script that runs
# it, such as tests/lib/with_postgres.
function(footfall_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK;RUN_BY" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_compile_definitions(${name} PRIVATE FOOTFALL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE footfall_flags ${ARG_LINK} PkgConfig::CMOCKA)
    add_test(NAME ${name} COMMAND ${ARG_RUN_BY} $<TARGET_FILE:${name}>)
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# footfall_fuzz(name SOURCES fuzz_x.c LINK …) builds a fuzz target with the replaying main of tests/fuzz/replay.c and
# replays corpus/<name> in every ctest run. With clang and -DFOOTFALL_LIBFUZZER=ON it is a real libFuzzer program.
function(footfall_fuzz name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    set(target fuzz_${name})
    if(FOOTFALL_LIBFUZZER)
        add_executable(${target} ${ARG_SOURCES})
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(${target} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
    endif()
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(${target} PRIVATE footfall_flags ${ARG_LINK})
    add_test(NAME ${target} COMMAND ${target} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(${target} PROPERTIES TIMEOUT 300)
endfunction()
