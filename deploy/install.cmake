# SPDX-License-Identifier: Apache-2.0
# Run by `cmake --install`: the settings, and the units with the paths of this very installation in them, whatever
# --prefix it was given. Settings go to /etc/footfall for the prefix /usr, else below the prefix. Settings that are there
# and differ are the operator's: they stay, and the new ones are put beside them as *.conf.new.

if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(settings /etc/footfall)
else()
    set(settings ${CMAKE_INSTALL_PREFIX}/etc/footfall)
endif()

foreach(file IN LISTS settings_files)
    get_filename_component(name ${file} NAME)
    set(there "$ENV{DESTDIR}${settings}/${name}")
    set(target ${name})
    if(EXISTS ${there})
        file(SHA256 ${there} old)
        file(SHA256 ${file} new)
        if(NOT old STREQUAL new)
            set(target ${name}.new)
            message(STATUS "Keeping: ${there}")
        endif()
    endif()
    file(INSTALL ${file} DESTINATION ${settings} RENAME ${target})
endforeach()

set(bin ${CMAKE_INSTALL_PREFIX}/${bin_folder})
set(doc ${CMAKE_INSTALL_PREFIX}/${doc_folder})
foreach(name footfall-collector.service footfall-aggregator.service)
    configure_file(${unit_folder}/${name} ${made_folder}/${name} @ONLY)
    file(INSTALL ${made_folder}/${name} DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
endforeach()

# footfall-collector@2, @3 …: further collectors on the port of the first one, each with a journal of its own. The mirror's
# socket, and the folder that it is in, belong to the first.
file(READ ${made_folder}/footfall-collector.service unit)
string(REPLACE "/collector.conf\n" "/collector.conf --set http.reuse_port=true --set mirror.listen= \\
    --set journal.directory=/var/lib/footfall/journal-%i --set admin.listen=127.0.0.1:713%i\n" unit "${unit}")
string(REPLACE "footfall/journal\n" "footfall/journal-%i\n" unit "${unit}")
string(REGEX REPLACE "# The web server's socket.*chgrp www-data /run/footfall\n" "" unit "${unit}")
file(WRITE ${made_folder}/footfall-collector@.service "${unit}")
file(INSTALL ${made_folder}/footfall-collector@.service DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
file(INSTALL ${unit_folder}/footfall.sysusers DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/sysusers.d RENAME footfall.conf)
