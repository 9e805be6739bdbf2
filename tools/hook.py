"""What pre-commit calls, on every system: `export`, or `gates NAME`, with the Python of the course's environment.

Needs the standard library alone: it runs in whatever Python git finds, which need not be the environment's.
"""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT/".venv"/("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main() -> int:
    "0 if what was asked for went well and left no file changed"
    if not PYTHON.exists():
        print("There is no .venv yet: 'python course.py test gates' makes it", file=sys.stderr)
        return 1
    if sys.argv[1] == "export": return subprocess.call([str(PYTHON), "course.py", "export"], cwd=str(ROOT))
    return subprocess.call([str(PYTHON), "-m", "tools.gates", *sys.argv[2:]], cwd=str(ROOT))


if __name__ == "__main__": sys.exit(main())
