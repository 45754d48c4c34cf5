# The toolchain and the flags that every target shares.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_package(MLIR 22.1 REQUIRED CONFIG
             HINTS /usr/lib/llvm-22/lib/cmake/mlir)
message(STATUS "LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR}")

list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# TableGen takes its search path from the directory's include path.
include_directories("${CMAKE_SOURCE_DIR}")
include_directories(SYSTEM ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})

# The packaged libraries were built with NDEBUG, and classes such as
# mlir::Pass::Statistic change size with it, so every translation unit that
# includes an MLIR header must agree. Our own checks use VARVE_ASSERT.
add_compile_definitions(NDEBUG)

add_compile_options(
  -Wall -Wextra -Wno-unused-parameter -Werror=return-type
  # Results must not depend on whether the host contracts a*b+c.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Without a time in precompiled headers, equal ones are equal files.
  add_compile_options(-fcolor-diagnostics "SHELL:-Xclang -fno-pch-timestamp")
else()
  # gcc 12 warns of code in its own headers, of moves that older compilers need,
  # and of variables that a loop always sets.
  add_compile_options(-fdiagnostics-color=always -Wno-dangling-reference
                      -Wno-redundant-move -Wno-maybe-uninitialized
                      -Wno-restrict)
endif()

if(VARVE_SANITIZE)
  add_compile_options(-fsanitize=${VARVE_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${VARVE_SANITIZE})
  # The packaged LLVM libraries carry no instrumentation: vptr checks would
  # need type information that they do not export.
  if(VARVE_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize=vptr,function)
  endif()
endif()

if(VARVE_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "VARVE_BUILD_FUZZERS needs clang, whose libFuzzer the "
                        "fuzzers are linked with")
  endif()
  # A fuzzer sees only code that reports which of its branches were taken.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

find_program(VARVE_CCACHE ccache)
if(VARVE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # With precompiled headers ccache wants to be told that no source looks at
  # the time or at macros that were defined for the header alone.
  set(launcher "${CMAKE_COMMAND}" -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros "${VARVE_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
