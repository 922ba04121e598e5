# SPDX-License-Identifier: Apache-2.0
"""What `cmake --install` leaves: everything in its place, settings that load, units that systemd accepts."""
import pathlib
import re
import shutil
import subprocess

import pytest

from bench.footfall import BUILD

TOP = pathlib.Path(__file__).resolve().parents[2]
PARTS = ["collector", "aggregator"]
MAX_EXPOSURE = 25  # of 100, as `systemd-analyze security` counts: a service without any of our restrictions has 96


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def install(folder, *arguments):
    return run("cmake", "--install", BUILD, *arguments, env={"PATH": "/usr/bin:/bin", "DESTDIR": str(folder)})


@pytest.fixture(scope="module")
def staging(folder):
    path = folder / "staging"
    install(path, "--prefix", "/usr")
    return path


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def names(folder, pattern):
    return [path.relative_to(TOP / folder) for path in (TOP / folder).glob(pattern)]


def test_everything_is_in_its_place(staging):
    assert files_in(staging) == {
        "etc/footfall/aggregator.conf",
        "etc/footfall/collector.conf",
        "usr/bin/footfall-aggregator",
        "usr/bin/footfall-collector",
        "usr/lib/systemd/system/footfall-aggregator.service",
        "usr/lib/systemd/system/footfall-collector.service",
        "usr/lib/systemd/system/footfall-collector@.service",
        "usr/lib/sysusers.d/footfall.conf",
        "usr/share/doc/footfall/LICENSE",
        "usr/share/doc/footfall/README.md",
        *(f"usr/share/doc/footfall/docs/{name}" for name in names("docs", "*")),
        "usr/share/footfall/hit.schema.json",
        "usr/share/footfall/sql/roles.sql",
        *(f"usr/share/footfall/sql/{name}" for name in names("sql", "*/*.sql")),
        *(f"usr/share/footfall/nginx/{name}" for name in names("deploy/nginx", "*")),
    }


def test_another_prefix_keeps_to_itself(folder):
    install(folder / "elsewhere", "--prefix", "/opt/footfall")
    found = files_in(folder / "elsewhere")
    assert found and all(name.startswith("opt/footfall/") for name in found)
    unit = (folder / "elsewhere/opt/footfall/lib/systemd/system/footfall-collector.service").read_text()
    assert "ExecStart=/opt/footfall/bin/footfall-collector --config /opt/footfall/etc/footfall/collector.conf\n" in unit


@pytest.mark.parametrize("part", PARTS)
def test_settings_load_as_they_are_installed(staging, part):
    program, settings = staging / f"usr/bin/footfall-{part}", staging / f"etc/footfall/{part}.conf"
    assert run(program, "--print-config") == settings.read_text()
    needed = ["--set", "sites.hosts=example.com"] if part == "collector" else []
    run(program, "--config", settings, *needed, "--check-config")
    assert run(program, "--config", settings, *needed, "--print-config").count("\n") == settings.read_text().count("\n")


def test_settings_of_the_operator_are_kept(folder):
    path = folder / "again"
    settings = path / "etc/footfall/collector.conf"
    install(path, "--prefix", "/usr")
    fresh = settings.read_text()
    install(path, "--prefix", "/usr")
    assert sorted(each.name for each in settings.parent.iterdir()) == ["aggregator.conf", "collector.conf"]
    settings.write_text("[sites]\nhosts = example.com\n")
    install(path, "--prefix", "/usr")
    assert settings.read_text() == "[sites]\nhosts = example.com\n"
    assert (settings.parent / "collector.conf.new").read_text() == fresh


@pytest.fixture(scope="module")
def root(folder, staging):
    """A copy as a root for systemd, with its own units and stubs of what ours call beside our programs."""
    path = folder / "root"
    shutil.copytree(staging, path)
    for stub in ("kill", "chgrp"):
        shutil.copy("/usr/bin/true", path / "usr/bin" / stub)
    shutil.copytree("/usr/lib/systemd/system", path / "usr/lib/systemd/system", dirs_exist_ok=True, symlinks=True)
    return path


@pytest.mark.parametrize("part", [*PARTS, "collector@2"])
def test_systemd_accepts_the_unit(root, part):
    unit = f"footfall-{part}.service"
    said = run("systemd-analyze", f"--root={root}", "verify", "--man=no", f"/usr/lib/systemd/system/{unit}")
    assert unit not in said, said
    run("systemd-analyze", f"--root={root}", "security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", unit)


@pytest.mark.parametrize("part", PARTS)
def test_units_and_users_fit(staging, part):
    unit = (staging / f"usr/lib/systemd/system/footfall-{part}.service").read_text()
    assert "@" not in re.sub(r"@(system-service|privileged)", "", unit)
    assert f"ExecStart=/usr/bin/footfall-{part} --config /etc/footfall/{part}.conf\n" in unit
    user = re.search(r"^User=(.*)$", unit, re.M).group(1)
    assert re.search(rf"^u {user} ", (staging / "usr/lib/sysusers.d/footfall.conf").read_text(), re.M)


def test_a_further_collector_shares_the_port_and_nothing_else(staging):
    unit = (staging / "usr/lib/systemd/system/footfall-collector@.service").read_text()
    command = re.search(r"^ExecStart=/usr/bin/footfall-collector ((?:.*\\\n)*.*)$", unit, re.M).group(1).replace("\\\n", " ")
    printed = run(staging / "usr/bin/footfall-collector", *command.replace("/etc/footfall", f"{staging}/etc/footfall")
                  .replace("%i", "2").split(), "--print-config")
    for line in ("reuse_port = true", "directory = /var/lib/footfall/journal-2", "listen = 127.0.0.1:7132"):
        assert f"\n{line}\n" in printed
    assert "StateDirectory=footfall footfall/journal-%i\n" in unit and "/run/footfall" not in unit


def test_the_users_can_be_made(staging):
    said = run("systemd-sysusers", f"--root={staging}", "--dry-run", "footfall.conf")
    for part in PARTS:
        assert f"footfall-{part}" in said
