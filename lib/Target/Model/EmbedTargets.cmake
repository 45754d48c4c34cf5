# cmake -DOUTPUT=file.cpp -DINPUTS=a.json,b.json -P EmbedTargets.cmake
#
# Writes the target files as raw string literals into one source file.
string(REPLACE "," ";" INPUTS "${INPUTS}")
set(text "// Generated from the files in lib/Target/Model/targets.
#include \"llvm/ADT/ArrayRef.h\"
#include \"llvm/ADT/StringRef.h\"
#include <utility>

namespace varve {
llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>>
getEmbeddedTargetFiles();
llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>>
getEmbeddedTargetFiles() {
  static const std::pair<llvm::StringRef, llvm::StringRef> files[] = {
")
foreach(input IN LISTS INPUTS)
  get_filename_component(name "${input}" NAME)
  file(READ "${input}" content)
  string(APPEND text "    {\"${name}\", R\"varve(${content})varve\"},\n")
endforeach()
string(APPEND text "  };\n  return files;\n}\n} // namespace varve\n")
file(WRITE "${OUTPUT}" "${text}")
