# One CMake target a folder. A folder sees only the folders that it names in DEPENDS, so the
# dependency direction of docs/architecture.md is also a link error when it is broken.

if(MONO_TESTS)
    find_package(GTest REQUIRED)
    include(GoogleTest)
endif()
find_package(Threads REQUIRED)

add_library(mono_warnings INTERFACE)
target_compile_options(mono_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
    -Wold-style-cast -Werror -fno-exceptions -fno-rtti -fno-plt
    # GCC 12 sees overlaps in std::string that are not there (GCC bug 105651).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

# sanitize(target sanitizers): the sources get all of MONO_SANITIZE, the tests perhaps fewer.
function(sanitize target sanitizers)
    if(sanitizers)
        target_compile_options(${target} INTERFACE -fsanitize=${sanitizers}
            -fno-omit-frame-pointer -fno-sanitize-recover=all)
    endif()
    if(MONO_SANITIZE)
        target_link_options(${target} INTERFACE -fsanitize=${MONO_SANITIZE})
    endif()
endfunction()

add_library(mono_flags INTERFACE)
target_link_libraries(mono_flags INTERFACE mono_warnings)
sanitize(mono_flags "${MONO_SANITIZE}")
if(MONO_FUZZ)
    target_compile_options(mono_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# What is only a test compiles three times faster without optimisation and without UBSan, which
# is for the sources (and for the fuzz targets, which replay the same inputs through them).
add_library(mono_test_flags INTERFACE)
target_compile_options(mono_test_flags INTERFACE -O0)
target_link_libraries(mono_test_flags INTERFACE mono_warnings)
string(REPLACE ",undefined" "" test_sanitizers "${MONO_SANITIZE}")
sanitize(mono_test_flags "${test_sanitizers}")
if(MONO_TESTS)
    target_link_libraries(mono_test_flags INTERFACE GTest::gtest_main)
endif()

# Half of the compiler's time goes into GoogleTest and the standard library: read once for all
# that are compiled with the same flags. Only the asan preset wants it: clang-tidy cannot read
# what GCC has precompiled, and what is released is to be built file by file.
set(precompile OFF)
if(MONO_TESTS AND NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    set(precompile ON)
    set(standard_headers <algorithm> <array> <atomic> <cstdint> <functional> <map> <memory>
        <optional> <set> <span> <string> <string_view> <utility> <vector>)
    set(nothing ${PROJECT_BINARY_DIR}/precompiled.cpp)
    file(WRITE ${nothing} "")
    add_library(mono_precompiled_flags OBJECT ${nothing})
    add_executable(mono_precompiled_test_flags ${nothing})  # compiled as the tests are: -fPIE
    foreach(kind IN ITEMS flags test_flags)
        target_link_libraries(mono_precompiled_${kind} PRIVATE mono_${kind} Threads::Threads)
        # So ccache sees what is precompiled.
        target_compile_options(mono_${kind} INTERFACE
            $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
    endforeach()
    target_precompile_headers(mono_precompiled_flags PRIVATE ${standard_headers})
    target_precompile_headers(mono_precompiled_test_flags PRIVATE
        ${standard_headers} <gtest/gtest.h>)
endif()

# GCC has one budget for inlining in all that is linked together. Folders that every request goes
# through (HOT) are small classes that call each other, and get larger limits; what runs seldom
# (COLD) is made small, in memory too, and takes nothing of the budget.
set(release_gcc "$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>")
add_library(mono_hot_flags INTERFACE)
target_compile_options(mono_hot_flags INTERFACE
    "$<${release_gcc}:--param=max-inline-insns-auto=80;--param=inline-min-speedup=5>")
add_library(mono_cold_flags INTERFACE)
target_compile_options(mono_cold_flags INTERFACE "$<${release_gcc}:-Os>")

if(MONO_LTO)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# mono_folder(name [HOT|COLD] DEPENDS other... TEST_DEPENDS other...): library mono_<name> from
# this folder's *.cpp, and, with MONO_TESTS, the executable <name>_test from its *_test.cpp.
function(mono_folder name)
    cmake_parse_arguments(ARG "HOT;COLD" "" "DEPENDS;TEST_DEPENDS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS *.cpp)
    set(tests ${sources})
    list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
    list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cpp$")
    list(TRANSFORM ARG_DEPENDS PREPEND mono_)
    list(TRANSFORM ARG_TEST_DEPENDS PREPEND mono_)
    if(sources)
        add_library(mono_${name} STATIC ${sources})
        target_include_directories(mono_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
        target_link_libraries(mono_${name} PUBLIC ${ARG_DEPENDS} Threads::Threads PRIVATE mono_flags)
        if(precompile)
            target_precompile_headers(mono_${name} REUSE_FROM mono_precompiled_flags)
        endif()
        if(ARG_HOT)
            target_link_libraries(mono_${name} PRIVATE mono_hot_flags)
        elseif(ARG_COLD)
            target_link_libraries(mono_${name} PRIVATE mono_cold_flags)
        endif()
    else()
        add_library(mono_${name} INTERFACE)
        target_include_directories(mono_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
        target_link_libraries(mono_${name} INTERFACE ${ARG_DEPENDS} Threads::Threads)
    endif()
    if(MONO_TESTS AND tests)
        add_executable(${name}_test ${tests})
        target_link_libraries(${name}_test PRIVATE mono_${name} ${ARG_TEST_DEPENDS} mono_test_flags)
        if(precompile)
            target_precompile_headers(${name}_test REUSE_FROM mono_precompiled_test_flags)
        endif()
        gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60
            WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    endif()
endfunction()
