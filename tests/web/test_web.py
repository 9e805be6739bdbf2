"""The page in web/: its types, its parts in Node, and the built page in Chromium. What is missing is told."""
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.notebooks import ROOT
from tools.site_check import BROWSERS

WEB = ROOT/"web"
MINUTES = 8  # no step takes one; a step that hangs is ended, on a busy machine too


def call(*command: str, **environment: str) -> str:
    "What a command in web/ printed; if it fails, or hangs, that is the failure"
    process = subprocess.Popen(command, cwd=WEB, env=os.environ | {"CI": "1", "NO_COLOR": "1"} | environment, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               encoding="utf-8", start_new_session=True)
    try: said, _ = process.communicate(timeout=60*MINUTES)
    except BaseException:
        if hasattr(os, "killpg"): os.killpg(process.pid, signal.SIGKILL)  # with the browser that it started
        process.kill()
        raise
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def npm() -> str:
    "The command, with what the lock file names installed"
    node, command = shutil.which("node"), shutil.which("npm")
    missing = [n for n, found in (("Node", node), ("npm", command)) if not found]
    if missing: pytest.skip(f"the page is not tried: {' and '.join(missing)} missing")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if tuple(map(int, version.lstrip("v").split(".")[:2])) < (20, 19):
        pytest.skip(f"the page is not tried: it needs Node 20.19, here is {version}")
    stamp, lock = WEB/"node_modules"/".course", hashlib.sha256((WEB/"package-lock.json").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != lock:
        done = subprocess.run([command, "ci"], cwd=WEB, capture_output=True, text=True, timeout=60*MINUTES)
        if done.returncode: pytest.skip("the page is not tried: npm could not install what web/package-lock.json names")
        stamp.write_text(lock)
    return command


@pytest.fixture(scope="module")
def chromium() -> str:
    "Its path"
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or pytest.skip("the page is not tried in a browser: no Chromium")


@pytest.fixture(scope="module")
def network(chromium, tmp_path_factory) -> str:
    "A folder with the network of the first page; no folder where none can be exported: a tiny one is written instead"
    if missing := [m for m in ("onnx", "onnxscript", "onnxruntime") if not importlib.util.find_spec(m)]:
        print(f"the page is tried with a tiny network: {missing[0]} is missing")
        return ""
    folder = tmp_path_factory.mktemp("network")
    command = [sys.executable, "-m", "tools.build.web_model", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60*MINUTES)
    return str(folder)


@pytest.fixture
def space():
    "The address of a small Space on this machine"
    if not importlib.util.find_spec("gradio"): pytest.skip("the client of a Space is not tried: Gradio is missing")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    app = [sys.executable, str(Path(__file__).with_name("space_app.py")), str(port)]
    process = subprocess.Popen(app, env=os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"}, stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60*MINUTES
        while process.poll() is None and time.monotonic() < end:
            with socket.socket() as s:
                if not s.connect_ex(("127.0.0.1", port)): break
            time.sleep(0.2)
        assert process.poll() is None, "Gradio did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_types(npm): call(npm, "run", "check")


def test_parts(npm): call(npm, "test")


def test_page(npm, chromium, network, counted):
    said = call(npm, "run", "browser", CHROMIUM=chromium, **({"MODEL": network} if network else {}))
    lines = [line for line in said.splitlines() if line.startswith(("the whole page:", "parity:"))]
    assert len(lines) == 1 + bool(network), said
    for line in lines: counted(line)


def test_every_kind_of_file_looks_as_it_does_to_pillow(npm, chromium, network, tmp_path, counted):
    if not network: pytest.skip("the pictures are not compared with Pillow's: no network could be exported")
    from benchmarks import web
    pets = [f.read_bytes() for f in web.drawn(tmp_path/"pets", 2, seed=11)]
    said = web.compare(web.of_each_kind(pets), Path(network), tmp_path, npm, chromium)["said"]
    assert len(said) == 2*len(web.KINDS) and all(s["same"] for s in said)
    for s in said:
        assert s["farthest"] <= 2, s  # a JPEG may be unpacked by another release of its library
        assert s["equal"] < 1 or s["probability"] <= 1e-5, s
    counted(f"{sum(s['equal'] == 1 for s in said)} of {len(said)} files with Pillow's pixels")


def test_client_of_a_space(npm, chromium, space): call(npm, "run", "space", CHROMIUM=chromium, SPACE=space)


def test_what_pillow_does_is_what_the_page_is_held_to():
    spec = importlib.util.spec_from_file_location("pillow", WEB/"scripts"/"pillow.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert json.loads((WEB/"tests"/"pillow.json").read_text()) == script.cases()


@pytest.mark.skipif(not (ROOT/".git").exists(), reason="no repository of git")
def test_nothing_built_is_committed():
    tracked = subprocess.run(["git", "ls-files", "web"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    built = ("web/node_modules/", "web/dist/", "web/model/")
    assert not [f for f in tracked if f.startswith(built) or f.endswith((".onnx", ".wasm"))]
    assert all(Path(ROOT/f).stat().st_size < 400_000 for f in tracked)
