"""The wheel and the sdist build, install into an empty environment and import; the README is the index page."""
import importlib.metadata
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.build.readme import readme
from tools.notebooks import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    "The folder with wheel and sdist, built from a copy of the tracked files"
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, files):
        if not (ROOT/name).is_file(): continue
        (source/name).parent.mkdir(parents=True, exist_ok=True)
        (source/name).write_bytes((ROOT/name).read_bytes())
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_wheel_holds_library_and_assets_only(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assets = {f"course_lib/_assets/{a}" for a in ("course.mplstyle", "exercises.json", "resnet10.safetensors", "resnet10.json")}
    assert assets | {"course_lib/py.typed", "course_lib/core.py", "course_lib/exercises/checks/losses.py"} <= set(names)
    assert {n.split("/")[0].split("-")[0] for n in names} == {"course_lib"}


def test_sdist_holds_what_a_build_needs(built):
    names = {n.split("/", 1)[1] for n in tarfile.open(next(built.glob("*.tar.gz"))).getnames() if "/" in n}
    assert {"settings.ini", "setup.py", "pyproject.toml", "README.md", "LICENSE", "course_lib/core.py"} <= names


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_installs_and_imports_in_an_empty_environment(built, kind, tmp_path):
    venv.EnvBuilder(with_pip=True).create(tmp_path)
    python = tmp_path/("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = subprocess.run([python, "-m", "pip", "install", "--no-deps", next(built.glob(kind))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code = "import course_lib, importlib.metadata as m; assert m.version('course_lib') == course_lib.__version__; print(course_lib.__file__)"
    done = subprocess.run([python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and str(tmp_path) in done.stdout, done.stderr


def brought(requirements):
    "{name: installed distribution} that pip would bring for `requirements`, with all that these require"
    found, done, todo = {}, set(), [(Requirement(r), ("",)) for r in requirements]
    while todo:
        r, extras = todo.pop()
        if r.marker and not any(r.marker.evaluate({"extra": e}) for e in extras): continue
        if (r.name, *sorted(r.extras)) in done: continue
        done.add((r.name, *sorted(r.extras)))
        dist = found[r.name.lower().replace("_", "-")] = importlib.metadata.distribution(r.name)
        todo += [(Requirement(x), ("", *r.extras)) for x in dist.requires or []]
    return found


USED = """
import numpy as np, torch
from course_lib import losses, distillation, lr_finder, collab
x = torch.randn(8, 3, requires_grad=True)
y = torch.randint(3, (8,))
losses.cross_entropy(x, y).backward()
distillation.cwtm_loss(x, y, torch.randn(8, 3)).backward()
batches = [(torch.randn(4, 3), torch.randint(3, (4,))) for _ in range(5)]
found = lr_finder.find_lr(torch.nn.Linear(3, 3), batches, losses.cross_entropy, num_it=20)
assert len(found.losses) and found.suggest
rng = np.random.default_rng(0)
user, item = np.nonzero(rng.random((30, 20)) < 0.4)
train, test = collab.Ratings.from_df({"user": user, "item": item, "rating": rng.integers(1, 6, len(user))}).split()
model = collab.ALS(2).fit(train)
assert collab.evaluate(model, test)["rmse"] > 0 and len(model.recommend(0, k=3)) == 3
try: train.to_df()
except ModuleNotFoundError as e: assert "pandas is missing: pip install 'course_lib[collab]'" in str(e), e
else: raise AssertionError("there is a pandas here")
try: import course_lib.presizing
except ModuleNotFoundError as e: assert "course_lib[vision]" in str(e), e
else: raise AssertionError("there is a fastai here")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights that Windows does not give")
def test_losses_finder_distillation_and_recommenders_need_the_base_alone(built, metadata, tmp_path):
    base = brought(r for r in metadata.get_all("Requires-Dist") if "extra ==" not in r)
    assert not {"fastai", "torchvision", "timm", "pandas", "scipy", "scikit-learn", "matplotlib", "pillow"} & set(base)
    venv.EnvBuilder(with_pip=False).create(tmp_path)
    site = next(tmp_path.glob("lib/python*/site-packages"))
    for dist in base.values():
        for top in {f.parts[0] for f in dist.files if f.parts[0] != ".."} - {"__pycache__"}:
            if not (site/top).exists(): (site/top).symlink_to(dist.locate_file(top))
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(site)
    done = subprocess.run([tmp_path/"bin"/"python", "-I", "-c", USED], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def metadata(built):
    "What the wheel says of itself"
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))
    return Parser().parsestr(wheel.read(next(n for n in wheel.namelist() if n.endswith("/METADATA"))).decode())


def test_the_base_install_is_small(metadata):
    needs = [r for r in metadata.get_all("Requires-Dist") if "extra ==" not in r]
    assert sorted(re.match(r"[\w-]+", r)[0] for r in needs) == ["numpy", "safetensors", "torch"]
    assert {"vision", "collab", "course", "dev"} <= set(metadata.get_all("Provides-Extra"))


def test_the_wheel_brings_no_command_of_another_package(built):
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))
    text = "".join(wheel.read(n).decode() for n in wheel.namelist() if n.endswith("entry_points.txt"))
    assert "console_scripts" not in text


def test_links_of_the_page_on_an_index_lead_somewhere(metadata):
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    assert len(links) > 20 and all(link.startswith(("https://", "#")) for link in links)
    assert any(link.endswith(".png") and "/raw/" in link for link in links)


def test_underscore_name_of_nbdev_test_works():
    command = Path(sys.executable).parent/"nbdev_test"
    assert "--flags" in subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout


def test_readme_is_the_index_page():
    text, pictures = readme(ROOT)
    assert (ROOT/"README.md").read_text(encoding="utf-8") == text
    for name, data in pictures.items(): assert (ROOT/"nbs"/"images"/name).read_bytes() == data
    assert "python course.py learn" in text and "python course.py test" in text
