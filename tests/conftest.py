"""What all tests share: the real data, and the lines `counted: ...` that say how many cases a suite ran."""
import os
from pathlib import Path

import pytest
import torch

COUNTED = pytest.StashKey[list]()


@pytest.fixture(scope="session")
def real_data() -> Path:
    "The folder of real data sets"
    folder = os.environ.get("COURSE_LIB_DATA")
    if not folder: pytest.skip("COURSE_LIB_DATA is not set: no real data here")
    return Path(folder)


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("slow") and "slow" not in (config.option.markexpr or ""):
            item.add_marker(pytest.mark.skip(reason="takes minutes: runs with -m slow"))
        if item.get_closest_marker("real") and not os.environ.get("COURSE_LIB_DATA"):
            item.add_marker(pytest.mark.skip(reason="COURSE_LIB_DATA is not set: no real data here"))
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_configure(config): config.stash[COUNTED] = []


@pytest.fixture
def counted(request):
    "Call it with a line; it is printed after the tests as `counted: line`"
    return request.config.stash[COUNTED].append


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash[COUNTED]: terminalreporter.write_line(f"counted: {line}")
