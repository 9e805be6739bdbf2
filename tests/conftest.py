"""What all tests share: seeds, a random order if asked for, the real data, and lines that say how many cases ran."""
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

COUNTED = pytest.StashKey[list]()


@pytest.fixture(scope="session")
def real_data() -> Path:
    "The folder of real data sets"
    folder = os.environ.get("COURSE_LIB_DATA")
    if not folder: pytest.skip("COURSE_LIB_DATA is not set: no real data here")
    return Path(folder)


def pytest_addoption(parser):
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests of each file in this random order")


@pytest.hookimpl(tryfirst=True)  # before the fixtures
def pytest_runtest_setup(item):
    "Every test, and what its fixtures draw, begins with the same random numbers, whatever ran before it"
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_collection_modifyitems(config, items):
    if config.option.shuffle is not None: random.Random(config.option.shuffle).shuffle(items)
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
