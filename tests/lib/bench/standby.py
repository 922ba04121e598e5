# SPDX-License-Identifier: Apache-2.0
"""Copies of a running Postgres: a base backup that is put in its place later, and a standby that follows it."""
import shutil
import signal
import subprocess

from servers import Postgres, wait_until

FAST = ["fsync=off", "full_page_writes=off", "max_connections=60"]


def back_up(server, data, *options):
    """A base backup of the server, into a folder that is missing or empty."""
    subprocess.run([server.bin / "pg_basebackup", "-h", server.sockets, "-U", "footfall", "-D", data, "-c", "fast", "--no-sync",
                    *options], check=True, user=server.user, group=server.user, extra_groups=[] if server.user else None,
                   cwd=server.sockets)


class Backup:
    """Of a server, as it was when this was made."""

    def __init__(self, server):
        self.server = server
        self.data = server.sockets / "backup"  # the server's user may make it there
        back_up(server, self.data)

    def put_in_place(self):
        """The server is destroyed, and started again with what was saved."""
        self.server.stop(signal.SIGQUIT)
        shutil.rmtree(self.server.data)
        self.data.rename(self.server.data)
        self.server.start()


class Standby(Postgres):
    """Follows the primary, later than it: nobody waits for it."""

    name = "standby"

    def __init__(self, primary, folder):
        super().__init__(folder, settings=FAST)
        self.primary = primary
        back_up(primary, self.data, "--write-recovery-conf")

    def conninfo_of_both(self, database="footfall"):
        """For who wants the one that is no standby, or not any more."""
        return (f"host={self.primary.sockets},{self.sockets} user=footfall dbname={database}"
                " target_session_attrs=read-write")

    def cut_off(self):
        """It hears nothing more of the primary, which does not mind."""
        self.ask("ALTER SYSTEM SET primary_conninfo = ''", "postgres")
        self.ask("SELECT pg_reload_conf()", "postgres")
        wait_until(lambda: self.ask("SELECT (SELECT count(*) FROM pg_stat_wal_receiver) = 0"
                                    " AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()", "postgres") == "t",
                   "the standby is cut off")

    def promote(self):
        assert self.ask("SELECT pg_promote()", "postgres") == "t"
