# SPDX-License-Identifier: Apache-2.0
# Takes comments, indentation and empty lines out of SCRIPT (footfall.js) and writes SERVED, the bytes that a browser
# gets, and OUTPUT, the same for C. Fails when they are too many.
# Run by CMake at build time: cmake -DSCRIPT=… -DSERVED=… -DOUTPUT=… -P embed_script.cmake

set(max_bytes 1999)

file(READ ${SCRIPT} text)
string(REGEX REPLACE "\n[ ]*//[^\n]*" "" text "\n${text}") # comments on lines of their own
string(REGEX REPLACE "; //[^\n]*" ";" text "${text}")      # and behind a statement
string(REGEX REPLACE "\n[ \n]+" "\n" text "${text}")
string(STRIP "${text}" text)
string(APPEND text "\n")
string(LENGTH "${text}" length)
if(length GREATER max_bytes)
    message(FATAL_ERROR "footfall.js has ${length} bytes as it is served; at most ${max_bytes} are allowed")
endif()
file(WRITE ${SERVED} "${text}")

string(SHA256 hash "${text}")
string(SUBSTRING ${hash} 0 32 hash)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
file(WRITE ${OUTPUT}
"/* Made from collector/footfall.js by collector/embed_script.cmake. */
#include \"collector/script.h\"

const slice script_text = SLICE(
    \"${text}\");
const slice script_etag = SLICE(\"\\\"${hash}\\\"\");
")
