# SPDX-License-Identifier: Apache-2.0
"""The documents as they are followed: their fenced blocks, and a stand-in for the machine that they are typed into.

A block that stands under a line with "`/etc/…`" and a colon at its end is the text of that file. All others are commands of their
language, and run as they stand, but for the names in `Machine.names`, which a test cannot have."""
import collections
import os
import pathlib
import re
import subprocess
import textwrap

Block = collections.namedtuple("Block", "language text path line")

_FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.M | re.S)
_PATH = re.compile(r"`(/etc/[^`]+)`[^\n]*:\n\n$")
_JAVA = {"kafka-topics.sh": "org.apache.kafka.tools.TopicCommand", "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
         "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"}
_SYSTEMCTL = """
case "$*" in
daemon-reload) ;;
"enable --now "* | "restart "*) test -e "{root}/usr/lib/systemd/system/${{!#}}.service"; echo "$*" >>{said} ;;
*) echo "systemctl $*?" >&2; exit 1 ;;
esac
"""


def blocks(path):
    text = path.read_text()
    found = []
    for match in _FENCE.finditer(text):
        before = _PATH.search(text, 0, match.start())
        found.append(Block(match.group(2), textwrap.dedent(match.group(3)), before and before.group(1),
                           text.count("\n", 0, match.start()) + 1))
    assert len(found) == text.count("```") / 2, f"{path} has fences that are not understood"
    return [block for block in found if block.language]  # one without is a picture


class Machine:
    """Runs what the documents say, with `/etc/footfall` and `/usr` below `root`. Where a test has no systemd, no Kafka scripts and
    nothing in /usr/bin, small programs of these names do the same."""

    def __init__(self, folder, programs, kafka, postgres):
        self.root = folder / "root"
        self.tools = folder / "tools"
        self.said = folder / "systemctl.said"
        self.postgres = postgres
        self.names = {
            "/etc/footfall": f"{self.root}/etc/footfall", "/usr/share/footfall": f"{self.root}/usr/share/footfall",
            "kafka:9092": kafka.brokers, "host=db ": f"host={postgres.sockets} "}
        self.environment = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}", "DESTDIR": str(self.root),
                            "PGHOST": str(postgres.sockets), "PGUSER": "footfall"}
        self.tools.mkdir(parents=True)
        for name, main in _JAVA.items():
            self._add_tool(name, f'exec java -cp "{kafka.classpath}" {main} "$@"')
        for name in ("footfall-collector", "footfall-aggregator"):
            self._add_tool(name, f'exec "{programs}/{name}" "$@"')
        self._add_tool("systemd-sysusers", f'exec /usr/bin/systemd-sysusers --root="{self.root}" --dry-run footfall.conf')
        self._add_tool("systemctl", _SYSTEMCTL.format(root=self.root, said=self.said))

    def _add_tool(self, name, text):
        path = self.tools / name
        path.write_text(f"#!/bin/bash\nset -e\n{text}\n")
        path.chmod(0o755)

    def here(self, text):
        for name, ours in self.names.items():
            text = text.replace(name, str(ours))
        return text

    def sh(self, text, expected=0, **more):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", self.here(text)], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False,
                              env={**self.environment, **more}, cwd=pathlib.Path(__file__).resolve().parents[3])
        assert done.returncode == expected, f"{text}\nended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def sql(self, text, database="footfall", user="footfall"):
        done = subprocess.run(["psql", "-XAtq", "-d", database, "-v", "ON_ERROR_STOP=1", "--single-transaction"], input=self.here(text),
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**self.environment, "PGUSER": user})
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        return done.stdout.strip()

    def place(self, path, text):
        """Writes a file of /etc."""
        file = pathlib.Path(self.here(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(text))
        return file

    def follow(self, block):
        """Does what a block says. Languages that are no commands are the test's own affair."""
        if block.path:
            self.place(block.path, block.text)
        elif block.language == "sh":
            self.sh(block.text)
        elif block.language == "sql":
            self.sql(block.text)
        else:
            raise AssertionError(f"line {block.line}: what is to be done with {block.language}?")
