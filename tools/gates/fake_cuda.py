"""Every public function that takes tensors is run on CUDA tensors, without a GPU.

`tools/gates/fake_device.py` makes tensors that say they are on a CUDA device and hold no numbers: what mixes devices
raises, and where the host would have to wait for the device or copy to it is noted. `tools/gates/calls.py` holds one
call for each function, and the reasons where a wait is meant. What is left to mend stands in left.csv and shrinks.
"""
import ast
import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.build import faces
from tools.gates import left
from tools.gates.library import dotted, rooms

FAULT = "faults on CUDA"
FEW = 8  # waits that one reason covers: an answer in Python numbers, a copy of what the host holds


def takers(root: Path) -> dict[str, set[str]]:
    "{package: functions and methods, such as 'Learner.predict', one of whose parameters is a tensor or a model}"
    found: dict[str, set[str]] = {}
    for path in rooms(root):
        public, package = faces.public(path), dotted(root, path).split(".")[0]
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if getattr(node, "name", "") not in public: continue
            named = [(node.name, node)] if isinstance(node, ast.FunctionDef) else [
                (f"{node.name}.{n.name}", n) for n in getattr(node, "body", [])
                if isinstance(n, ast.FunctionDef) and (n.name in ("__init__", "__call__") or n.name[0] != "_")]
            found.setdefault(package, set()).update(name for name, n in named if takes_tensors(n))
    return found


def takes_tensors(function: ast.FunctionDef) -> bool:
    "Whether a parameter is said to be a tensor or a model"
    a = function.args
    every = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs]
    return any(re.search(r"Tensor\b|\bModule\b", ast.unparse(p.annotation)) for p in every if p.annotation)


@functools.lru_cache(maxsize=1)
def wrong() -> dict[str, str]:
    "{function: what goes wrong in its call, '' if nothing}, by the tables of `tools/gates/calls.py`"
    from tools.gates import calls
    return {name: verdict(call, allowed(calls.WAITS, name)) for name, call in calls.CALLS.items()}


def verdict(call: Callable, may_wait: bool) -> str:
    "What is wrong with a call, '' if nothing; a reason to wait is one for a few waits, and must be needed"
    from tools.gates.fake_device import run
    waits, failed = run(call)
    if failed: return failed
    if may_wait and not waits: return "has a reason to wait and does not"
    if may_wait: return f"waits {len(waits)} times" if len(waits) > FEW else ""
    return "; ".join(sorted(set(waits)))


def faults(root: Path) -> dict[tuple[str, str], int]:
    "{(function, kind): 1} where a call goes wrong"
    packages = set(takers(root))
    return {(name, FAULT): 1 for name, why in wrong().items() if why and name.split(".")[0] in packages}


def fake_cuda(root: Path) -> list[str]:
    "Every public function that takes tensors runs on CUDA tensors, and waits only where a reason is given"
    from tools.gates import calls
    found = takers(root)
    names = {f"{package}.{name}" for package, of in found.items() for name in of}
    said = [f"{name} takes tensors: give it a call in tools/gates/calls.py, or a reason why not"
            for name in sorted(names) if name not in calls.CALLS and not allowed(calls.NOT_RUN, name)]
    for place in [*calls.WAITS, *calls.NOT_RUN]:
        if place.split(".")[0] in found and not any(allowed([place], n) for n in {*names, *calls.CALLS}):
            said.append(f"tools/gates/calls.py gives a reason for {place}, and nothing has that name")
    too_many = left.problems(root, faults(root), [FAULT])
    return said + [f"{p} ({why})" if (why := wrong().get(p.split(":")[0])) else p for p in too_many]


def allowed(table: Iterable[str], name: str) -> bool:
    "Whether `name` stands in `table`, or falls under one of its patterns, such as 'collab.ALS.*'"
    return any(re.fullmatch(pattern.replace(".", r"\.").replace("*", ".*"), name) for pattern in table)
