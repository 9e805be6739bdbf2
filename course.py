#!/usr/bin/env python3
"""The one command of the course. Needs Python alone; everything else goes into `.venv` beside this file.

    python course.py learn              set up, then open JupyterLab on the first page
    python course.py test [NAMES]       set up, then run every notebook and every test
    python course.py run NOTEBOOK...    execute notebooks in place, outputs kept and cleaned
    python course.py export             write the library, the workbooks and the README from the notebooks
    python course.py bench [NAMES]      run the benchmarks
    python course.py gpu                run the cells and tests that need a GPU
"""
# The syntax of this file is kept old, so that a Python that is too old can say so.
import argparse
import csv
import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "course.json"  # written last: its presence says that the environment is whole
RESULTS = ROOT / ".course"
OFFLINE = ROOT / "tools" / "offline"
NEEDED_GB = 8


class CourseError(Exception):
    "Something the person at the keyboard can mend; the message says how"


def settings():
    config = ConfigParser(delimiters=["="])
    config.read(str(ROOT / "settings.ini"), encoding="utf-8")
    return config["DEFAULT"]


def check_python(minimum):
    if sys.version_info < tuple(int(p) for p in minimum.split(".")):
        raise CourseError("Python {} or newer is needed, this is {} ({}). Install one from python.org and call "
                          "course.py with it.".format(minimum, sys.version.split()[0], sys.executable))


def wanted():
    "What a whole environment was made from: the settings and the Python"
    digest = hashlib.sha256((ROOT / "settings.ini").read_bytes()).hexdigest()
    return {"settings": digest, "python": "{}.{}".format(*sys.version_info), "place": str(ROOT)}


def made():
    "What the environment was made from; nothing if it was never finished, or does not run"
    try: return json.loads(STAMP.read_text()) if call([PYTHON, "-c", ""], check=False, quiet=True) == 0 else {}
    except (OSError, ValueError): return {}


def call(command, check=True, quiet=False, **kwargs):
    out = subprocess.DEVNULL if quiet else None
    code = subprocess.call([str(c) for c in command], stdout=out, stderr=out, cwd=str(ROOT), **kwargs)
    if check and code: raise CourseError("'{}' ended with code {}.".format(" ".join(map(str, command)), code))
    return code


def make_environment():
    "Make `.venv` if it is missing, broken or older than settings.ini"
    old, new = made(), wanted()
    if old == new: return
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < NEEDED_GB:
        print("Only {:.1f} GB are free here; the first installation takes about {} GB.".format(free, NEEDED_GB))
    if STAMP.exists(): STAMP.unlink()  # from here until the end, an interruption leaves an environment without a stamp
    if any(old.get(key) != new[key] for key in ("python", "place")):  # half-made, of another Python, or moved: begin anew
        print("Making the environment in {} ...".format(VENV), flush=True)
        if VENV.exists(): shutil.rmtree(str(VENV))
        make_venv()
    install()
    call([PYTHON, "-m", "ipykernel", "install", "--sys-prefix", "--name", "python3", "--display-name", "Python 3 (course)"], quiet=True)
    overrides = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    overrides.parent.mkdir(parents=True, exist_ok=True)
    news_off = {"fetchNews": "false", "checkForUpdates": False}
    overrides.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": news_off}))
    STAMP.write_text(json.dumps(new))


def make_venv():
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        raise CourseError("This Python comes without pip (ensurepip). On Debian and Ubuntu: 'sudo apt install python3-venv'; "
                          "elsewhere install Python from python.org.")
    venv.EnvBuilder(with_pip=True).create(str(VENV))


def install():
    "Install the course and what it needs, with uv where it can be had, with pip otherwise"
    target = str(ROOT) + "[dev]"
    print("Installing what settings.ini asks for (about 6 GB the first time) ...", flush=True)
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install"]
    if call(pip + ["--quiet", "uv"], check=False, quiet=True) == 0:
        uv = BIN / ("uv.exe" if os.name == "nt" else "uv")
        if call([uv, "pip", "install", "--python", PYTHON, "-e", target], check=False) == 0: return
        print("uv did not succeed; trying pip ...", flush=True)
    if call(pip + ["--progress-bar", "on", "-e", target], check=False):
        raise CourseError("The installation did not finish. Look at the lines above, check the network and the free disk "
                          "space, and run the same command again: it goes on from here.")


def learn(args):
    port = args.port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        if os.name != "nt": s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try: s.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as e:
            raise CourseError("Port {} cannot be had ({}). Choose another, for example --port {}.".format(port, e, free_port()))
    make_environment()
    command = [PYTHON, "-m", "jupyterlab", "--port", port, "--ServerApp.port_retries=0", "--ServerApp.root_dir={}".format(ROOT)]
    command += ["--no-browser"] if args.no_browser else []
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return call(command + ["--LabApp.default_url=/lab/tree/nbs/index.ipynb"], check=False)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def seconds_last_time(nb):
    return json.loads(nb.read_text(encoding="utf-8"))["metadata"].get("course_lib", {}).get("seconds", 0)


def jobs(names):
    "The notebooks, longest first, and the test files whose path holds one of `names` (all without names)"
    notebooks = sorted((ROOT / "nbs").glob("**/[!_.]*.ipynb"), key=seconds_last_time, reverse=True)
    tests = sorted((ROOT / "tests").glob("**/test_*.py"))
    everything = [p.relative_to(ROOT) for p in notebooks + tests]
    names = [Path(n).as_posix() for n in names]
    unknown = [n for n in names if not any(n in p.as_posix() for p in everything)]
    if unknown: raise CourseError("Nothing is called {!r}; there are: {}".format(unknown[0], ", ".join(p.stem for p in everything)))
    return [p for p in everything if not names or any(n in p.as_posix() for n in names)]


def run_job(path, flags):
    "Run one notebook or test file: (path, passed, failed, skipped, seconds, output)"
    env = dict(os.environ, OMP_NUM_THREADS="1", MPLBACKEND="agg", HF_HUB_OFFLINE="1")
    report = RESULTS / (path.stem + ".xml")
    if path.suffix == ".ipynb":  # offline, on the course's own data
        env.pop("COURSE_LIB_DATA", None)
        env["PYTHONPATH"] = os.pathsep.join([str(OFFLINE)] + env.get("PYTHONPATH", "").split(os.pathsep)).rstrip(os.pathsep)
        command = [BIN / "nbdev-test", path, "--flags", flags]
    else:
        command = [PYTHON, "-m", "pytest", path, "-q", "-rs", "--junitxml", report] + (["-m", flags] if flags else [])
    start = time.time()
    done = subprocess.run([str(c) for c in command], cwd=str(ROOT), env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds, output = time.time() - start, done.stdout.decode("utf-8", "replace")
    if path.suffix == ".ipynb": return path, int(done.returncode == 0), int(done.returncode != 0), 0, seconds, output
    try: suite = ElementTree.parse(str(report)).getroot()[0].attrib
    except (OSError, ElementTree.ParseError, IndexError): return path, 0, 1, 0, seconds, output
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    if done.returncode not in (0, 1, 5): failed = max(failed, 1)  # 5: no test selected
    return path, int(suite["tests"]) - failed - skipped, failed, skipped, seconds, output


def run_tests(names, flags="", only=None):
    RESULTS.mkdir(exist_ok=True)
    todo = [p for p in jobs(names) if only is None or only(p)]
    workers = 1 if flags else os.cpu_count() or 1  # one GPU: one at a time
    print("{} notebooks and test files, {} at a time".format(len(todo), workers), flush=True)
    rows = []
    with ThreadPoolExecutor(workers) as pool:
        for row in pool.map(lambda p: run_job(p, flags), todo):
            path, passed, failed, skipped, seconds, output = row
            print("{} {:>6.1f} s  {} ({} passed, {} failed, {} skipped)".format(
                "FAIL" if failed else "ok  ", seconds, path.as_posix(), passed, failed, skipped), flush=True)
            notes = [line for line in output.splitlines() if line.startswith(("SKIPPED", "counted:"))]
            print(output if failed else "\n".join("     " + line for line in notes), end="\n" if failed or notes else "", flush=True)
            rows.append(row)
    with open(str(RESULTS / "times.csv"), "w", newline="", encoding="utf-8") as f:
        table = csv.writer(f)
        table.writerow(["path", "passed", "failed", "skipped", "seconds"])
        table.writerows([p.as_posix(), *counts, round(s, 1)] for p, *counts, s, _ in rows)
    print("\n{:<40} {:>8}".format("notebook", "seconds"))
    for path, _, _, _, seconds, _ in sorted(rows, key=lambda r: -r[4]):
        if path.suffix == ".ipynb": print("{:<40} {:>8.1f}".format(path.stem, seconds))
    passed, failed, skipped = (sum(r[i] for r in rows) for i in (1, 2, 3))
    if skipped: print("\n{} skipped, for the reasons above".format(skipped))
    print("\n{} passed, {} failed".format(passed, failed))
    return 1 if failed or not passed else 0


def test(args):
    make_environment()
    return run_tests(args.names)


def gpu(args):
    make_environment()
    if call([PYTHON, "-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"], check=False):
        raise CourseError("PyTorch sees no CUDA device on this machine. Without one, 'python course.py test' runs all the rest.")
    return run_tests(args.names, flags="cuda", only=lambda p: "cuda" in (ROOT / p).read_text(encoding="utf-8"))


def run(args):
    make_environment()
    notebooks = [p for n in args.notebooks for p in jobs([n]) if p.suffix == ".ipynb"]
    return call([PYTHON, "-m", "tools.build.run_notebook"] + notebooks, check=False)


def export(args):
    make_environment()
    call([BIN / "nbdev-export"])
    call([BIN / "nbdev-clean"])
    for part in ("faces", "workbooks"): call([PYTHON, "-m", "tools.build." + part])
    return call([PYTHON, "-m", "tools.build.readme"])


def bench(args):
    make_environment()
    scripts = [p for p in sorted((ROOT / "benchmarks").glob("[!_]*.py")) if not args.names or any(n in p.stem for n in args.names)]
    if not scripts: raise CourseError("No benchmark is called {!r}.".format(" ".join(args.names)))
    return max(call([PYTHON, p], check=False) for p in scripts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="command", metavar="COMMAND")
    sub.required = True
    p = sub.add_parser("learn", help="set up, then open JupyterLab on the first page")
    p.add_argument("--no-browser", action="store_true", help="start the server alone and print its address")
    p.add_argument("--port", type=int, default=8888)
    for name, text in [("test", "run every notebook and every test"), ("gpu", "run what needs a GPU"), ("bench", "run the benchmarks")]:
        sub.add_parser(name, help=text).add_argument("names", nargs="*", metavar="NAME", help="a part of a path, such as 05 or losses")
    sub.add_parser("run", help="execute notebooks in place").add_argument("notebooks", nargs="+", metavar="NOTEBOOK")
    sub.add_parser("export", help="write the library and the README from the notebooks")
    args = parser.parse_args()
    try:
        check_python(settings()["min_python"])
        return {"learn": learn, "test": test, "run": run, "export": export, "bench": bench, "gpu": gpu}[args.command](args)
    except CourseError as e: print("\n" + str(e), file=sys.stderr)
    except KeyboardInterrupt: print("\nStopped. The same command goes on from here.", file=sys.stderr); return 130
    except OSError as e:
        if e.errno != errno.ENOSPC: raise
        print("\nThe disk is full: about {} GB are needed. Make room and run the same command again.".format(NEEDED_GB), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
