# Functions that declare Varve's targets. Includes are relative to the root of
# the source tree ("dialects/Varve/Varve.h"), for generated files too.

# Names a library's own include directories and flags.
function(varve_target_settings target)
  target_include_directories(${target} PUBLIC
    "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/include"
    "${CMAKE_BINARY_DIR}")
endfunction()

# A library that only precompiles MlirHeaders.h, for targets with the same flags.
function(varve_add_precompiled name)
  add_library(${name} OBJECT "${CMAKE_SOURCE_DIR}/cmake/MlirHeaders.cpp")
  target_include_directories(${name} SYSTEM PRIVATE
    ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  target_compile_options(${name} PRIVATE ${ARGN})
  # Between angle brackets CMake keeps the name as it is, and the header is the
  # same in every clone, which compiler caches notice.
  target_precompile_headers(${name} PRIVATE <cmake/MlirHeaders.h>)
endfunction()
varve_add_precompiled(varve-mlir-headers -fno-exceptions)
varve_add_precompiled(varve-mlir-headers-for-tests)

# varve_uses_mlir(RESULT libs...): whether one of the libraries links MLIR.
function(varve_uses_mlir result)
  set(${result} FALSE PARENT_SCOPE)
  foreach(library IN LISTS ARGN)
    set(uses FALSE)
    if(library STREQUAL "MLIR")
      set(uses TRUE)
    elseif(TARGET ${library})
      get_target_property(links ${library} INTERFACE_LINK_LIBRARIES)
      if(links)
        varve_uses_mlir(uses ${links})
      endif()
    endif()
    if(uses)
      set(${result} TRUE PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# varve_add_library(NAME [NO_MLIR] SOURCES... [LINK libs...] [DEPENDS targets...])
#
# A part of the compiler: a static library on the shared MLIR and LLVM. LINK
# names the Varve libraries that this one may use; nothing else is visible to
# it, so the list is the dependency diagram. NO_MLIR: the sources include no
# MLIR header, and none is precompiled for them.
function(varve_add_library name)
  cmake_parse_arguments(ARG "NO_MLIR" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  varve_target_settings(${name})
  target_include_directories(${name} SYSTEM PUBLIC
    ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  # LLVM is built without exceptions: none may pass through its frames.
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  if(NOT ARG_NO_MLIR)
    target_precompile_headers(${name} REUSE_FROM varve-mlir-headers)
  endif()
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# varve_add_plain_library(NAME SOURCES... [LINK libs...])
#
# A static library without LLVM: what the runtime consists of, and what the
# compiler shares with it. Exceptions are on.
function(varve_add_plain_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  varve_target_settings(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# varve_add_tool(NAME SOURCES... LINK libs...)
function(varve_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  set_property(GLOBAL APPEND PROPERTY VARVE_TOOLS ${name})
endfunction()

# varve_add_unit_test(NAME SOURCES... LINK libs...)
#
# A GoogleTest program in build/test/Unit; the check targets run all of them.
# lit finds them by the end of their names.
function(varve_add_unit_test name)
  if(NOT name MATCHES "-tests$")
    message(FATAL_ERROR "${name}: expected a name that ends in '-tests', or "
                        "the check targets would not run it")
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/test/Unit")
  target_compile_definitions(${name} PRIVATE
    VARVE_TEST_DATA="${CMAKE_SOURCE_DIR}/test/data")
  target_link_libraries(${name} PRIVATE ${ARG_LINK}
    GTest::gmock GTest::gtest GTest::gtest_main)
  varve_uses_mlir(uses_mlir ${ARG_LINK})
  if(uses_mlir)
    target_precompile_headers(${name} REUSE_FROM varve-mlir-headers-for-tests)
  endif()
  add_dependencies(varve-unit-tests ${name})
  set_property(GLOBAL APPEND PROPERTY VARVE_UNIT_TESTS ${name})
endfunction()

# varve_add_fuzzer(NAME SOURCES... LINK libs...)
#
# A libFuzzer program in build/fuzz, built only with VARVE_BUILD_FUZZERS.
function(varve_add_fuzzer name)
  if(NOT VARVE_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  add_dependencies(varve-fuzzers ${name})
endfunction()

# varve_add_dialect(FOLDER dialect-namespace)
#
# Generates everything that <FOLDER>Ops.td and <FOLDER>Attrs.td of the current
# directory declare, and <FOLDER>Types.td, <FOLDER>Interfaces.td and
# <FOLDER>AttrInterfaces.td where there are such.
function(varve_add_dialect folder name)
  set(LLVM_TARGET_DEFINITIONS ${folder}Ops.td)
  mlir_tablegen(${folder}Ops.h.inc -gen-op-decls)
  mlir_tablegen(${folder}Ops.cpp.inc -gen-op-defs)
  mlir_tablegen(${folder}Dialect.h.inc -gen-dialect-decls -dialect=${name})
  mlir_tablegen(${folder}Dialect.cpp.inc -gen-dialect-defs -dialect=${name})
  set(LLVM_TARGET_DEFINITIONS ${folder}Attrs.td)
  mlir_tablegen(${folder}Enums.h.inc -gen-enum-decls)
  mlir_tablegen(${folder}Enums.cpp.inc -gen-enum-defs)
  mlir_tablegen(${folder}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${name})
  mlir_tablegen(${folder}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${name})
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}Interfaces.td")
    set(LLVM_TARGET_DEFINITIONS ${folder}Interfaces.td)
    mlir_tablegen(${folder}Interfaces.h.inc -gen-op-interface-decls)
    mlir_tablegen(${folder}Interfaces.cpp.inc -gen-op-interface-defs)
  endif()
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}Types.td")
    set(LLVM_TARGET_DEFINITIONS ${folder}Types.td)
    mlir_tablegen(${folder}Types.h.inc -gen-typedef-decls -typedefs-dialect=${name})
    mlir_tablegen(${folder}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${name})
  endif()
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}AttrInterfaces.td")
    set(LLVM_TARGET_DEFINITIONS ${folder}AttrInterfaces.td)
    mlir_tablegen(${folder}AttrInterfaces.h.inc -gen-attr-interface-decls)
    mlir_tablegen(${folder}AttrInterfaces.cpp.inc -gen-attr-interface-defs)
  endif()
  add_public_tablegen_target(${folder}IncGen)
endfunction()

# varve_add_passes(FOLDER): declarations of the passes in Passes.td.
function(varve_add_passes folder)
  set(LLVM_TARGET_DEFINITIONS Passes.td)
  mlir_tablegen(Passes.h.inc -gen-pass-decls -name ${folder})
  add_public_tablegen_target(Varve${folder}PassesIncGen)
endfunction()

# varve_embed_json(OUTPUT.inc FILES...)
#
# Writes every file as a string constant named after it ("bf16.json" is
# bf16Json) to OUTPUT.inc in the current build directory. Name the output among
# the sources of the library that includes it.
function(varve_embed_json output)
  set(script "${CMAKE_SOURCE_DIR}/cmake/EmbedJson.cmake")
  set(result "${CMAKE_CURRENT_BINARY_DIR}/${output}")
  add_custom_command(
    OUTPUT "${result}"
    COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${result}" "-DFILES=${ARGN}" -P "${script}"
    DEPENDS "${script}" ${ARGN}
    VERBATIM)
endfunction()

# varve_embed_text(OUTPUT.inc FILES...)
#
# Writes every file as a string constant named after it ("report.html" is
# reportHtml) to OUTPUT.inc in the current build directory, as above.
function(varve_embed_text output)
  set(script "${CMAKE_SOURCE_DIR}/cmake/EmbedText.cmake")
  set(result "${CMAKE_CURRENT_BINARY_DIR}/${output}")
  add_custom_command(
    OUTPUT "${result}"
    COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${result}" "-DFILES=${ARGN}" -P "${script}"
    DEPENDS "${script}" ${ARGN}
    VERBATIM)
endfunction()
