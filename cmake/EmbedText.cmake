# cmake -DOUTPUT=file.inc -DFILES="a.html;b.js" -P EmbedText.cmake
#
# Writes each file as the raw string literal <name and extension in camelBack>.
set(text "// Generated from text files by cmake/EmbedText.cmake.\n")
foreach(source IN LISTS FILES)
  get_filename_component(name "${source}" NAME)
  string(REGEX REPLACE "[^A-Za-z0-9]" ";" words "${name}")
  set(identifier "")
  foreach(word IN LISTS words)
    if(identifier)
      string(SUBSTRING "${word}" 0 1 initial)
      string(SUBSTRING "${word}" 1 -1 rest)
      string(TOUPPER "${initial}" initial)
      set(word "${initial}${rest}")
    endif()
    string(APPEND identifier "${word}")
  endforeach()
  file(READ "${source}" content)
  string(APPEND text
    "static constexpr char ${identifier}[] = R\"embedded(${content})embedded\";\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}")
