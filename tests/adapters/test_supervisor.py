"""Parts under a supervisor: left alone, restarted, and never orphaned, however the supervisor ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from mlops.adapters.processes.supervisor import Part, Supervisor
from mlops.errors import UnavailableError
from tests import patience

IDLE = "import time; time.sleep(600)"
WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {IDLE!r}])"
WITH_ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IDLE!r}]); {IDLE}"
SENDS_AWAY = f"import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True); {IDLE}"
SLOW = f"import signal, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(2), exit())); {IDLE}"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {IDLE}"

until = partial(patience.until, "state that is waited for here", patience=10)


def part(name: str, program: str, **environment: str) -> Part:
    return Part(name, [sys.executable, "-c", program], environment)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "project" / ".mlops"


@pytest.fixture
def supervisor(home: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(home, "tools")
    yield supervisor
    supervisor.stop()
    assert descendants(home) == []


def descendants(home: Path) -> list[psutil.Process]:
    """Processes that work in the project's folder, as every part does."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(home.parent) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill(supervisor: Supervisor) -> None:
    pid = supervisor.pid()
    assert pid is not None
    psutil.Process(pid).kill()
    until(lambda: supervisor.pid() is None)


def test_started_again_it_leaves_alone_what_runs_unchanged(supervisor: Supervisor) -> None:
    supervisor.start([part("one", IDLE), part("two", IDLE)])
    before = supervisor.pids()
    supervisor.start([part("one", IDLE), part("two", IDLE, COLOUR="red")])
    after = supervisor.pids()
    assert before["one"] == after["one"]
    assert before["two"] != after["two"]


def test_any_folder_will_do_and_any_value(tmp_path: Path) -> None:
    root = tmp_path / "a # b ;c %(d)s 100% 'e'"
    (root / "log;s #").mkdir(parents=True)
    supervisor = Supervisor(root / ".mlops", "tools")
    said, value = root / "log;s #" / "said", """ "a', b" = 50% # &;\\ """
    tells = f"import os, sys; open(sys.argv[1], 'w').write(os.environ['VALUE']); print('told'); {IDLE}"
    one = Part("one", [sys.executable, "-u", "-c", tells, str(said)], {"VALUE": value})
    try:
        supervisor.start([one])
        until(lambda: said.is_file() and said.read_text() == value)
        until(lambda: (root / ".mlops" / "logs" / "one.log").read_text() == "told\n")
        before = supervisor.pids()["one"]
        supervisor.start([one, part("two", IDLE)])
        assert supervisor.pids()["one"] == before
    finally:
        supervisor.stop()
    assert descendants(root / ".mlops") == []


def test_with_a_supervisor_that_was_killed_its_parts_and_their_children_end(
    supervisor: Supervisor, home: Path
) -> None:
    supervisor.start([part("one", IDLE), part("two", WITH_CHILD)])
    until(lambda: len(descendants(home)) == 6)  # itself, two watchdogs, two parts, a child
    kill(supervisor)
    until(lambda: descendants(home) == [])
    supervisor.start([part("one", IDLE)])
    until(lambda: supervisor.states() == {"one": "RUNNING"})


def test_a_part_that_is_killed_is_started_again(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", IDLE)])
    until(lambda: supervisor.states() == {"one": "RUNNING"})
    before = supervisor.pids()["one"]
    [child] = psutil.Process(before).children()
    child.kill()
    until(lambda: supervisor.pids().get("one") not in {before, None})


def test_a_part_is_restarted_whether_it_runs_or_not(supervisor: Supervisor) -> None:
    supervisor.start([part("one", IDLE)])
    supervisor._call("stopProcess", "one")
    supervisor.restart("one")
    before = supervisor.pids()["one"]
    supervisor.restart("one")
    assert supervisor.pids()["one"] != before


def test_what_a_supervisor_refuses_is_an_error_of_ours(supervisor: Supervisor) -> None:
    with pytest.raises(UnavailableError, match=r"supervisor of tools.*tools\.log"):
        supervisor._call("reloadConfig")
    supervisor.start([part("one", IDLE)])
    with pytest.raises(UnavailableError, match=r"two.*BAD_NAME.*two\.log"):
        supervisor.restart("two")


def test_what_a_part_started_ends_with_it_where_it_alone_is_killed(
    supervisor: Supervisor, home: Path
) -> None:
    supervisor.start([part("one", WITH_ORPHAN)])
    until(lambda: len(descendants(home)) == 4)  # the supervisor, a watchdog, the part, its child
    before = set(descendants(home))
    [alone] = psutil.Process(supervisor.pids()["one"]).children()
    [orphan] = alone.children()
    alone.kill()
    until(lambda: not orphan.is_running())
    until(lambda: len(descendants(home)) == 4)
    assert len(before & set(descendants(home))) == 1


def test_what_a_part_sent_away_outlives_it(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", SENDS_AWAY)])
    until(lambda: len(descendants(home)) == 4)
    [alone] = psutil.Process(supervisor.pids()["one"]).children()
    [away] = alone.children()
    alone.kill()
    until(lambda: not alone.is_running() and supervisor.states() == {"one": "RUNNING"})
    supervisor.stop()
    assert away.is_running()
    for process in descendants(home):
        process.kill()
    until(lambda: descendants(home) == [])


def test_what_a_reboot_leaves_behind_is_no_supervisor(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", IDLE)])
    supervisor.stop()
    # The files of one that never said good-bye: a socket nobody listens on, a pid given out again.
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(supervisor._socket))
    (home / "run" / "tools.pid").write_text(str(os.getpid()))
    assert supervisor.pid() is None
    assert supervisor.stop() is False
    supervisor.start([part("one", IDLE)])
    until(lambda: supervisor.states() == {"one": "RUNNING"})


def test_one_whose_socket_was_removed_is_found_and_stopped(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", WITH_CHILD)])
    supervisor._socket.unlink()
    assert supervisor.pid() is None
    assert supervisor.stop() is True
    assert descendants(home) == []


def test_one_on_its_way_out_counts_as_gone_and_is_waited_for(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", SLOW)])
    until(lambda: supervisor.states() == {"one": "RUNNING"})
    supervisor._call("shutdown")  # as by a `mlops down` that was killed then
    until(lambda: supervisor.pid() is None)
    assert supervisor.states() == {}
    assert descendants(home) != []
    assert supervisor.stop() is True
    assert descendants(home) == []
    supervisor.start([part("one", IDLE)])
    until(lambda: supervisor.states() == {"one": "RUNNING"})


@pytest.mark.story  # it takes a quarter of a minute
def test_a_part_that_does_not_listen_is_killed(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", DEAF)])
    until(lambda: supervisor.states() == {"one": "RUNNING"})
    kill(supervisor)
    assert supervisor.clear() is True
    assert descendants(home) == []


_FEW = """
import resource, sys
from pathlib import Path
from mlops.adapters.processes.supervisor import Part, Supervisor
from mlops.errors import MlopsError

for limit, most in (("RLIMIT_NOFILE", int(sys.argv[2])), ("RLIMIT_NPROC", int(sys.argv[3]))):
    resource.setrlimit(getattr(resource, limit), (most, most))
supervisor = Supervisor(Path(sys.argv[1]), "tools")
try:
    supervisor.start([Part("sleeper", ["sleep", "60"])])
    print(supervisor.states(), "started")
except MlopsError as exc:
    print(exc)
finally:
    supervisor.stop()
"""


@pytest.mark.parametrize(
    ("files", "processes", "said"),
    [(512, 150, "started"), (256, 4096, "started"), (64, 4096, "only 64 files open here. Raise the limit")],
)
def test_it_starts_with_few_open_files_and_processes_or_says_so_in_our_words(
    tmp_path: Path, files: int, processes: int, said: str
) -> None:
    command = [sys.executable, "-c", _FEW, str(tmp_path / ".mlops"), str(files), str(processes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said in done.stdout, done.stdout + done.stderr
    assert "README.rst" not in done.stdout
