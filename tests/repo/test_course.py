"""course.py: what it says when something is wrong, and that an interrupted set-up is repaired."""
import ast
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

import course
from tools import suite
from tools.notebooks import ROOT


@pytest.fixture
def place(tmp_path, monkeypatch):
    "course.py in an empty folder, whose installation only leaves a trace"
    (tmp_path/"settings.ini").write_text("[DEFAULT]\nname = x\nmin_python = 3.10\n")
    venv = tmp_path/".venv"
    for name, value in {"ROOT": tmp_path, "VENV": venv, "STAMP": venv/"course.json", "RESULTS": tmp_path/".course",
                        "BIN": venv/"bin", "PYTHON": Path(sys.executable)}.items(): monkeypatch.setattr(course, name, value)
    log = SimpleNamespace(root=tmp_path, made=[], installed=[])
    def make():
        venv.mkdir()
        log.made.append(1)
    monkeypatch.setattr(course, "make_venv", make)
    monkeypatch.setattr(course, "install", lambda: log.installed.append(1))
    call = course.call
    monkeypatch.setattr(course, "call", lambda c, **kw: 0 if "ipykernel" in map(str, c) else call(c, **kw))
    return log


def run(*args): return subprocess.run([sys.executable, ROOT/"course.py", *args], capture_output=True, text=True)


def test_any_python_3_can_read_it():
    ast.parse((ROOT/"course.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_it_needs_the_standard_library_alone():
    tree = ast.parse((ROOT/"course.py").read_text(encoding="utf-8"))
    names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


def test_an_old_python_is_told_which_one_is_needed():
    with pytest.raises(course.CourseError, match=r"Python 99\.0 or newer is needed"): course.check_python("99.0")
    course.check_python("3.10")


def test_a_second_run_installs_nothing(place):
    course.make_environment()
    course.make_environment()
    assert (len(place.made), len(place.installed)) == (1, 1)


def test_changed_settings_install_again_in_the_same_environment(place):
    course.make_environment()
    (place.root/"settings.ini").write_text("[DEFAULT]\nname = y\nmin_python = 3.10\n")
    course.make_environment()
    assert (len(place.made), len(place.installed)) == (1, 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), course.CourseError("network")])
def test_an_interrupted_set_up_goes_on(place, monkeypatch, error):
    def broken():
        (place.root/".venv"/"half").write_text("")
        raise error
    with monkeypatch.context() as m:
        m.setattr(course, "install", broken)
        with pytest.raises(BaseException): course.make_environment()
    assert course.made() != course.wanted()
    course.make_environment()
    assert course.made() == course.wanted() and (place.root/".venv"/"half").exists() and (len(place.made), len(place.installed)) == (1, 1)


def test_an_environment_of_another_place_begins_anew(place):
    course.make_environment()
    course.STAMP.write_text(json.dumps({**course.wanted(), "place": "elsewhere"}))
    course.make_environment()
    assert len(place.made) == 2


def test_a_second_call_waits_for_the_first(place):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import course, pathlib, time; course.RESULTS = pathlib.Path({str(course.RESULTS)!r})\n"
    code += "with course.alone(): print('mine', flush=True); time.sleep(1)"
    first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "mine\n"
    course.make_environment()
    assert first.poll() is not None and len(place.made) == 1  # it had ended when this one began


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows have other permissions")
def test_a_folder_that_cannot_be_written_to_is_named(monkeypatch, capsys):
    def fail(args): raise PermissionError(13, "Permission denied", "/a/folder")
    monkeypatch.setattr(course, "test", fail)
    monkeypatch.setattr(sys, "argv", ["course.py", "test"])
    assert course.main() == 2 and "/a/folder cannot be written to" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{", json.dumps({"settings": "old"})])
def test_a_damaged_stamp_is_not_believed(place, content):
    course.make_environment()
    course.STAMP.write_text(content)
    assert course.made() != course.wanted()
    course.make_environment()
    assert course.made() == course.wanted()


def test_a_python_without_pip_is_told_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(course.CourseError, match="python3-venv"): course.make_venv()


def test_pip_steps_in_when_uv_cannot_be_had(monkeypatch):
    said = []
    def call(command, **kwargs):
        said.append([str(c) for c in command])
        return int("uv" in said[-1][-1] or said[-1][0].endswith("uv"))
    monkeypatch.setattr(course, "call", call)
    course.install()
    assert said[-1][1:4] == ["-m", "pip", "--disable-pip-version-check"] and said[-1][-1].endswith("[course,dev]")


def test_a_broken_download_says_what_to_do(monkeypatch):
    monkeypatch.setattr(course, "call", lambda *a, **kw: 1)
    with pytest.raises(course.CourseError, match="run the same command again"): course.install()


@pytest.mark.parametrize("signal, code, said", [(KeyboardInterrupt(), 130, "goes on from here"), (OSError(28, "full"), 2, "disk is full")])
def test_ends_without_a_traceback(monkeypatch, capsys, signal, code, said):
    def fail(args): raise signal
    monkeypatch.setattr(course, "test", fail)
    monkeypatch.setattr(sys, "argv", ["course.py", "test"])
    assert course.main() == code and said in capsys.readouterr().err


def test_a_taken_port_is_named_with_a_free_one():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = run("learn", "--no-browser", "--port", str(port))
    assert done.returncode == 2 and f"Port {port} cannot be had" in done.stderr and "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def lab(monkeypatch):
    "The words with which `course.py learn` starts JupyterLab"
    calls = []
    monkeypatch.setattr(course, "make_environment", lambda: None)
    monkeypatch.setattr(course, "call", lambda command, **kwargs: calls.append(list(map(str, command))) or 0)
    course.learn(SimpleNamespace(port=course.free_port(), no_browser=True))
    return calls[0]


def test_learn_opens_the_start(lab):
    assert f"--LabApp.default_url=/lab/tree/{course.FIRST_PAGE}" in lab and (ROOT/course.FIRST_PAGE).exists()


def test_compiled_code_is_kept(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "argv", ["course.py", "export"])
    monkeypatch.setattr(course, "export", lambda args: int("PYTHONDONTWRITEBYTECODE" in os.environ))
    assert course.main() == 0


@pytest.mark.parametrize("name", ["nbs/02_convolutions.ipynb", "exercises/02_convolutions.ipynb"])
def test_a_page_that_is_opened_and_saved_stays_as_it_is(lab, tmp_path, name):
    "JupyterLab takes over what the kernel says of its language, with the version of its Python, and saves every two minutes"
    hook = next(part.partition("=")[2] for part in lab if part.startswith("--FileContentsManager.pre_save_hook="))
    from jupyter_server.services.contents.filemanager import FileContentsManager
    shutil.copy(ROOT/name, tmp_path/"page.ipynb")
    manager = FileContentsManager(root_dir=str(tmp_path), pre_save_hook=hook)
    page = manager.get("page.ipynb")
    page["content"]["metadata"]["language_info"] = {
        "codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py", "mimetype": "text/x-python", "name": "python",
        "nbconvert_exporter": "python", "pygments_lexer": "ipython3", "version": "3.12.1"}
    manager.save({"type": "notebook", "format": "json", "content": page["content"]}, "page.ipynb")
    assert json.loads((tmp_path/"page.ipynb").read_text(encoding="utf-8")) == json.loads((ROOT/name).read_text(encoding="utf-8"))


def test_an_impossible_port_is_an_error():
    done = run("learn", "--port", "99999999")
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="'nothing_like_it'.*measuring"): suite.jobs(["nothing_like_it"])
    assert [p.as_posix() for p in suite.jobs(["nbs/measuring"])] == ["nbs/measuring.ipynb"]
    assert any(p.as_posix().startswith("nbs/lib/") for p in suite.jobs([]))


def test_the_suite_imports_once_what_each_of_its_processes_imports():
    code = (f"import sys; [__import__(m) for m in {suite.PRELOAD[:1]}]; before = set(sys.modules); import tools.suite; "
            "print(*{m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"tools", "__mp_main__"}


@pytest.fixture
def miniature(tmp_path):
    "Run the suite of a folder with notebooks and tests of which some fail, in this environment"
    (tmp_path/"nbs").mkdir()
    (tmp_path/"tests").mkdir()
    shutil.copytree(ROOT/"tools"/"offline", tmp_path/"tools"/"offline")
    for name in ("__init__.py", "notebooks.py", "suite.py"): shutil.copy(ROOT/"tools"/name, tmp_path/"tools")
    (tmp_path/"pyproject.toml").write_text('[project]\nname = "mini"\n[tool.nbdev]\ntst_flags = "cuda"\n')
    for name, source in {"good": "assert 1 + 1 == 2", "bad": "assert 1 + 1 == 3",
                         "online": "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)",
                         "leaves": "import os\nos._exit(0)"}.items(): write_notebook(tmp_path, name, source)
    (tmp_path/"tests"/"test_some.py").write_text("import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n"
                                                 "@pytest.mark.skip(reason='why not')\ndef test_c(): pass\n")
    (tmp_path/"tests"/"test_broken.py").write_text("import no_such_module\n")
    def run(*names):
        env = dict(os.environ, COURSE_LIB_DATA="somewhere")
        return subprocess.run([sys.executable, "-m", "tools.suite", *names], cwd=tmp_path, env=env, capture_output=True, text=True)
    return SimpleNamespace(root=tmp_path, run=run)


def write_notebook(root, name, source):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), root/"nbs"/f"{name}.ipynb")


def test_counts_are_true_and_stand_last(miniature):
    done = miniature.run()
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "2 passed, 5 failed"  # good, a; bad, online, leaves, b, broken
    assert "why not" in done.stdout and "refused" in done.stdout and "1 skipped" in done.stdout and "before it was done" in done.stdout
    assert "bad" in (miniature.root/".course"/"times.csv").read_text()


def test_green_only_when_something_ran(miniature):
    done = miniature.run("good")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "1 passed, 0 failed"
    (miniature.root/"tests"/"test_some.py").write_text("")
    assert miniature.run("test_some").returncode == 1


def test_notebooks_do_not_see_the_real_data(miniature):
    write_notebook(miniature.root, "good", "import os\nassert 'COURSE_LIB_DATA' not in os.environ and os.environ['OMP_NUM_THREADS'] == '1'")
    assert miniature.run("good").returncode == 0


def test_loopback_is_allowed_offline():
    code = ("import socket\ns = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(s.getsockname()).close()\n"
            "socket.create_connection(('localhost', s.getsockname()[1])).close()\n"
            "try: socket.getaddrinfo('example.org', 80)\nexcept OSError as e: assert 'offline' in str(e)\nelse: raise AssertionError")
    env = dict(os.environ, PYTHONPATH=str(ROOT/"tools"/"offline"))
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
