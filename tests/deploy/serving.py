"Servers in processes of their own, for the tests and the benchmark; `python -m tests.deploy.serving MODEL` is one"
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from course_lib.deploy import running, serve
from tools.notebooks import ROOT

QUIET = {"HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_SERVER_NAME": "127.0.0.1",
         "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def started(*command: str, folder: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run Python with `command` until the block ends, on a server: (its address, its process). What it writes goes into
    `folder`, which is made"""
    folder.mkdir()
    env = {**os.environ, **QUIET, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT), **environment}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has Ctrl-C ignored
    try:
        process = subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, env=env)
    finally: signal.signal(signal.SIGINT, before)
    assert process.stdin and process.stdout
    try:
        seen = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)", seen)):
            line = process.stdout.readline()
            if not line: raise AssertionError(f"it ended with {process.wait()}: {seen}")
            seen += line
        yield found[1], process
    finally:
        process.stdin.close()
        try: process.wait(10)
        except subprocess.TimeoutExpired: process.terminate(); process.wait(30)
        process.stdout.close()


def peak(process: subprocess.Popen) -> int | None:
    "The most memory that a process has held so far, bytes; None where the system does not say"
    status = Path(f"/proc/{process.pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1])*1024 if found else None


if __name__ == "__main__":
    with running(serve(Path(sys.argv[1]))) as address:
        print(address, flush=True)
        sys.stdin.read()  # until whoever started it closes its end
        time.sleep(0.1)
