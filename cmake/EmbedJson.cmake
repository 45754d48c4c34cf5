# cmake -DOUTPUT=file.inc -DFILES="a.json;b.json" -P EmbedJson.cmake
#
# Writes each file as the raw string literal <name in camelBack>Json.
set(text "// Generated from JSON files by cmake/EmbedJson.cmake.\n")
foreach(config IN LISTS FILES)
  get_filename_component(name "${config}" NAME_WE)
  string(REPLACE "-" ";" words "${name}")
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
  file(READ "${config}" content)
  string(APPEND text
    "static constexpr char ${identifier}Json[] = R\"json(${content})json\";\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}")
