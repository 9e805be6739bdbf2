"""Package metadata: everything is read from settings.ini, the version from course_lib/__init__.py."""
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]


def lines(key): return cfg[key].split("\n")[1:]


def readme():
    "The README with links that also lead somewhere on the page of a package index"
    repository = re.search(r'^Repository = "(.+)"', (here / "pyproject.toml").read_text(encoding="utf-8"), re.M)[1]
    text = (here / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{repository}/raw/main/", text)
    return re.sub(r"(?<!!)(\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{repository}/blob/main/", text)


version = re.search(r'^__version__ = "(.+)"', (here / cfg["name"] / "__init__.py").read_text(encoding="utf-8"), re.M)[1]

setup(
    name=cfg["name"],
    version=version,
    description=cfg["description"],
    long_description=readme(),
    long_description_content_type="text/markdown",
    keywords=cfg["keywords"].split(),
    author=cfg["author"],
    license=cfg["license"],
    python_requires=f">={cfg['min_python']}",
    install_requires=lines("requirements"),
    extras_require={key.partition("_")[0]: lines(key) for key in cfg if key.endswith("_requirements")},
    packages=find_packages(include=[cfg["name"], f"{cfg['name']}.*"]),
    package_data={cfg["name"]: ["py.typed", "_assets/*", "_assets/**/*"]},
    entry_points={
        "nbdev": [f"{cfg['name']}={cfg['name']}._modidx:d"],
    },
    classifiers=[
        "Intended Audience :: Education",
        "Natural Language :: English",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
