#!/usr/bin/env python3
"""The one command of the course. Needs Python alone; everything else goes into `.venv` beside this file.

    python course.py learn              set up, then open JupyterLab on the first page
    python course.py test [NAMES]       set up, then run every notebook and every test
    python course.py run NOTEBOOK...    execute notebooks in place, outputs kept and cleaned
    python course.py export             write the library, the workbooks and the README from the notebooks
    python course.py site [--serve]     make the web site from the notebooks' stored outputs
    python course.py bench [NAMES]      run the benchmarks
    python course.py gpu                run the cells and tests that need a GPU
"""
# The syntax of this file is kept old, so that a Python that is too old can say so.
import argparse
import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "course.json"  # what the environment was made from; names the settings once its installation ended
RESULTS = ROOT / ".course"
FIRST_PAGE = "nbs/00_start.ipynb"  # what `learn` opens
NEEDED_GB = 8
FULL = "The disk is full: about {} GB are needed. Make room and run the same command again."
NOT_WRITABLE = "{} cannot be written to ({}). Copy the course into a folder of your own, or change its permissions."


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
    "What a whole environment was made from: the settings, the Python and the place"
    digest = hashlib.sha256((ROOT / "settings.ini").read_bytes()).hexdigest()
    return {"settings": digest, "python": "{}.{}".format(*sys.version_info), "place": str(ROOT)}


def made():
    """What the environment was made from, `settings` only when its installation ended; nothing if there is none that
    runs"""
    try: return json.loads(STAMP.read_text()) if call([PYTHON, "-c", ""], check=False, quiet=True) == 0 else {}
    except (OSError, ValueError): return {}


@contextmanager
def alone():
    "Wait until no other call is setting up the environment; the lock goes with the process, however it ends"
    RESULTS.mkdir(exist_ok=True)
    with open(str(RESULTS / "setup.lock"), "a+") as f:
        waiting = False
        while not locked(f):
            if not waiting: print("Another call is setting up the environment; waiting for it ...", flush=True)
            waiting = True
            time.sleep(0.5)
        yield


def locked(f):
    "Take the lock of an open file, if it is free"
    try:
        if os.name == "nt":
            import msvcrt
            f.seek(0)
            msvcrt.locking(f.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl
            fcntl.flock(f.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        if e.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK): raise
        return False
    return True


def call(command, check=True, quiet=False, **kwargs):
    out = subprocess.DEVNULL if quiet else None
    code = subprocess.call([str(c) for c in command], stdout=out, stderr=out, cwd=str(ROOT), **kwargs)
    if check and code: raise CourseError("'{}' ended with code {}.".format(" ".join(map(str, command)), code))
    return code


def make_environment():
    "Make `.venv` if it is missing, broken or older than settings.ini; go on with one that was interrupted"
    if made() == wanted(): return
    with alone():
        old, new = made(), wanted()
        if old == new: return  # another call made it while this one waited
        free = shutil.disk_usage(str(ROOT)).free / 1e9
        if free < NEEDED_GB:
            print("Only {:.1f} GB are free here; the first installation takes about {} GB.".format(free, NEEDED_GB))
        begun = {key: new[key] for key in ("python", "place")}
        if any(old.get(key) != begun[key] for key in begun):  # of another Python, moved, or broken: begin anew
            print("Making the environment in {} ...".format(VENV), flush=True)
            if VENV.exists(): shutil.rmtree(str(VENV))
            make_venv()
        STAMP.write_text(json.dumps(begun))
        install()
        finish()
        STAMP.write_text(json.dumps(new))


def finish():
    """What no package brings: the kernel, JupyterLab without its news and with wrapped lines, and the old name of
    nbdev's test command"""
    call([PYTHON, "-m", "ipykernel", "install", "--sys-prefix", "--name", "python3", "--display-name", "python3"],
         quiet=True)
    overrides = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    overrides.parent.mkdir(parents=True, exist_ok=True)
    shown = {"apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
             "notebook-extension:tracker": {"codeCellConfig": {"lineWrap": True}}}  # no line is cut in a small window
    overrides.write_text(json.dumps({"@jupyterlab/" + name: value for name, value in shown.items()}))
    end = ".exe" if os.name == "nt" else ""
    if (BIN / ("nbdev-test" + end)).exists():
        shutil.copy2(str(BIN / ("nbdev-test" + end)), str(BIN / ("nbdev_test" + end)))


def make_venv():
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        raise CourseError("This Python comes without pip (ensurepip). On Debian and Ubuntu: 'sudo apt install "
                          "python3-venv'; elsewhere install Python from python.org.")
    venv.EnvBuilder(with_pip=True).create(str(VENV))


def install():
    "Install the course and what it needs, with uv where it can be had, with pip otherwise"
    target = str(ROOT) + "[course,dev]"
    print("Installing what settings.ini asks for (about 6 GB the first time) ...", flush=True)
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install"]
    if call(pip + ["--quiet", "uv"], check=False, quiet=True) == 0:
        uv = BIN / ("uv.exe" if os.name == "nt" else "uv")
        if call([uv, "pip", "install", "--python", PYTHON, "-e", target], check=False) == 0: return
        print("uv did not succeed; trying pip ...", flush=True)
    if call(pip + ["--progress-bar", "on", "-e", target], check=False):
        raise CourseError("The installation did not finish. Look at the lines above, check the network and the free "
                          "disk space, and run the same command again: it goes on from here.")


def check_writable():
    "Raise the system's error, with the folder's name, if nothing can be written here"
    RESULTS.mkdir(exist_ok=True)
    with open(str(RESULTS / "setup.lock"), "a"): pass


def learn(args):
    port = args.port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        if os.name != "nt": s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try: s.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as e:
            raise CourseError("Port {} cannot be had ({}). Choose another, for example --port {}."
                              .format(port, e, free_port()))
    make_environment()
    command = [PYTHON, "-m", "jupyterlab", "--port", port, "--ServerApp.port_retries=0",
               "--ServerApp.root_dir={}".format(ROOT)]
    command += ["--FileContentsManager.pre_save_hook=tools.saving.steady"]  # reading a page leaves it as git knows it
    command += ["--no-browser"] if args.no_browser else []
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return call(command + ["--LabApp.default_url=/lab/tree/" + FIRST_PAGE], check=False)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test(args):
    make_environment()
    check_writable()
    return call([PYTHON, "-m", "tools.suite"] + args.names, check=False)


def gpu(args):
    make_environment()
    if call([PYTHON, "-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"], check=False):
        raise CourseError("PyTorch sees no CUDA device on this machine. Without one, 'python course.py test' runs all "
                          "the rest.")
    return call([PYTHON, "-m", "tools.suite", "--flags", "cuda"] + args.names, check=False)


def run(args):
    make_environment()
    return call([PYTHON, "-m", "tools.build.run_notebook"] + args.notebooks, check=False)


def export(args):
    make_environment()
    call([BIN / "nbdev-export"])
    call([BIN / "nbdev-clean"])
    for part in ("docments", "faces", "navigation", "workbooks"): call([PYTHON, "-m", "tools.build." + part])
    return call([PYTHON, "-m", "tools.build.readme"])


def site(args):
    make_environment()
    return call([PYTHON, "-m", "tools.build.site"] + (["--serve"] if args.serve else []), check=False)


def bench(args):
    make_environment()
    scripts = [p for p in sorted((ROOT / "benchmarks").glob("[!_]*.py")) if p.stem != "harness"
               and (not args.names or any(n in p.stem for n in args.names))]
    if not scripts: raise CourseError("No benchmark is called {!r}.".format(" ".join(args.names)))
    return max(call([PYTHON, "-m", "benchmarks." + p.stem], check=False) for p in scripts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="command", metavar="COMMAND")
    sub.required = True
    p = sub.add_parser("learn", help="set up, then open JupyterLab on the first page")
    p.add_argument("--no-browser", action="store_true", help="start the server alone and print its address")
    p.add_argument("--port", type=int, default=8888)
    for name, text in [("test", "run every notebook and every test"), ("gpu", "run what needs a GPU"),
                       ("bench", "run the benchmarks")]:
        sub.add_parser(name, help=text).add_argument("names", nargs="*", metavar="NAME",
                                                     help="a part of a path, such as 05 or losses")
    sub.add_parser("run", help="execute notebooks in place").add_argument("notebooks", nargs="+", metavar="NOTEBOOK")
    sub.add_parser("export", help="write the library and the README from the notebooks")
    p = sub.add_parser("site", help="make the web site from the notebooks' stored outputs")
    p.add_argument("--serve", action="store_true", help="then show it on this machine until Ctrl-C")
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of hundreds of processes compiles PyTorch anew
    try:
        check_python(settings()["min_python"])
        return {"learn": learn, "test": test, "run": run, "export": export, "site": site,
                "bench": bench, "gpu": gpu}[args.command](args)
    except CourseError as e: print("\n" + str(e), file=sys.stderr)
    except KeyboardInterrupt: print("\nStopped. The same command goes on from here.", file=sys.stderr); return 130
    except OSError as e:
        if e.errno == errno.ENOSPC: said = FULL.format(NEEDED_GB)
        elif e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            said = NOT_WRITABLE.format(e.filename, e.strerror)
        else: raise
        print("\n" + said, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
