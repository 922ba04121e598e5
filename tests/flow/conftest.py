# SPDX-License-Identifier: Apache-2.0
"""One broker and one Postgres for all tests of a worker; a topic, a database and programs of its own for each test."""
import contextlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from bench.cluster import Cluster
from bench.database import Database
from bench.footfall import BUILD, Programs
from bench.load import Load
from bench.ip2location import Stub
from bench.topics import Topic
from bench.web import Chromium, Web
from servers import Kafka, Postgres

TOP = pathlib.Path(__file__).resolve().parents[2]
SEED = int(os.environ.setdefault("FOOTFALL_TEST_SEED", str(random.randrange(1 << 32))))  # the workers' too
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["FOOTFALL_PORTS"] = "{}/{}".format(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"),
                                                  os.environ["PYTEST_XDIST_WORKER_COUNT"])
_numbers = itertools.count(1)


def _interrupt(_number, _frame):
    """Ends everything in order, once; a second signal does not disturb that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def pytest_configure():
    if threading.current_thread() is not threading.main_thread():
        return  # a worker that was slow to start; the main thread ends it all, and its servers end with it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


@pytest.fixture(scope="session")
def folder():
    """For all that this run writes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="flow."))
    path.chmod(0o755)  # root's Postgres runs as another user
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def own_folder(folder):
    """Of this test; its path is short enough for a socket in it."""
    path = folder / f"test{next(_numbers)}"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def long():
    """1, or 10 when ./tests/run --long wants larger numbers."""
    return 10 if os.environ.get("FOOTFALL_TEST_LONG") else 1


@pytest.fixture(scope="session")
def seed():
    """Of all that a test does at random; the same again with FOOTFALL_TEST_SEED."""
    return SEED


@pytest.fixture(scope="session")
def kafka_libs():
    return os.environ.get("FOOTFALL_TEST_KAFKA") or subprocess.run(
        [TOP / "deploy/lib/fetch", "kafka"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


@pytest.fixture(scope="session")
def kafka(folder, kafka_libs):
    broker = Kafka(folder / "kafka", kafka_libs)
    broker.settings["group.min.session.timeout.ms"] = 1000  # so that a test need not wait long for a dead member's partitions
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def cluster(folder, kafka_libs):
    """Three brokers; only tests that need them start them."""
    brokers = Cluster(folder / "cluster", kafka_libs).start()
    yield brokers
    brokers.kill()


@pytest.fixture(scope="session")
def postgres(folder):
    server = Postgres(folder / "postgres", settings=["fsync=off", "full_page_writes=off", "max_connections=120"]).start()
    yield server
    server.stop(signal.SIGQUIT)  # nobody will want its data


@pytest.fixture
def topic(kafka):
    return Topic(kafka, f"hits-{next(_numbers)}").create()


@pytest.fixture
def database(postgres):
    database = Database(postgres, f"footfall_{next(_numbers)}").create()
    yield database
    database.close()


@pytest.fixture
def migrated(database):
    """With all tables, and no program on it."""
    subprocess.run([BUILD / "bin/footfall-aggregator", "--set", f"postgres.conninfo={database.conninfo}", "migrate"], check=True,
                   stdout=subprocess.DEVNULL)
    return database


@pytest.fixture
def stub():
    """Of the service that says where an address is."""
    stub = Stub()
    yield stub
    stub.stop()


@pytest.fixture
def programs(request, own_folder, kafka):
    """Collectors and aggregators of this test. After it they must stop well and have nothing to hide."""
    programs = Programs(own_folder, kafka)
    request.node.footfall_logs = programs.logs
    yield programs
    try:
        programs.end()
    finally:
        programs.kill()


@pytest.fixture
def load(seed):
    """load(collector, …): visitors, as bench.load says. They have left when the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda collector, **options: stack.enter_context(Load(collector.port, seed, **options).running())


@pytest.fixture
def web(own_folder):
    web = Web(own_folder / "nginx")
    yield web
    web.stop()


@pytest.fixture
def chromium(own_folder):
    browser = Chromium(own_folder / "chromium")
    yield browser
    browser.kill()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """The end of every program's log beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, text in getattr(item, "footfall_logs", list)():
            report.sections.append((name, text))


def pytest_report_header():
    return f"programs under test: {BUILD}, FOOTFALL_TEST_SEED={SEED}"
