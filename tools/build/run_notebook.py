"""Execute notebooks top to bottom in a fresh kernel, keep their outputs, clean them and stamp what was run.

`python -m tools.build.run_notebook nbs/04_losses.ipynb` (in the course's environment; `python course.py run` calls
this). The stamp, `metadata.course_lib`, holds a hash of the code that was executed, so that a test can tell a notebook
whose outputs are older than its code, and the CPU seconds it took, as of a machine of one speed (`pace`): a slow or
busy machine writes about the same stamp.

A number in prose is written `<span data-value="accuracy:.1%">?</span>`. The run puts f"{accuracy:.1%}", evaluated at
that place of the notebook, between the tags. The page shows the value alone; an attribute `title` would show the code
as a tooltip.
"""
import argparse, hashlib, json, os, re, sys, time
from html import unescape
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbdev.clean import clean_nb
from nbdev.config import get_config
from nbdev.test import nb_test_cells

from tools.build.pace import Pace
from tools.notebooks import ROOT, code_cells, fact, facts, paths

LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "nbconvert_exporter": "python",
            "pygments_lexer": "ipython3", "codemirror_mode": {"name": "ipython", "version": 3}}

INLINE = re.compile(r'(<span data-value="([^"]+)">)([^<]*)(</span>)')  # before, expression, text, after
WIDGET = "application/vnd.jupyter.widget-view+json"  # an output that the state in the metadata belongs to


def inline_values(cell) -> list:
    "The expressions of the inline values of a markdown cell, in order"
    return [unescape(m[2]) for m in INLINE.finditer(cell.source)] if cell.cell_type == "markdown" else []


def source_hash(nb) -> str:
    "A hash of the code cells and the inline values of `nb`, in order"
    code = "\0".join(s for c in nb.cells for s in ([c.source] if c.cell_type == "code" else inline_values(c)))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


class Client(NotebookClient):
    "A client that leaves out the cells `nbdev-test` would leave out, and fills in the inline values of prose"
    def __init__(self, nb, run_ids, **kwargs):
        super().__init__(nb, **kwargs)
        self.run_ids = run_ids

    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if cell.cell_type == "code" and cell.id not in self.run_ids: return cell
        if expressions := inline_values(cell):
            asked = ", ".join("f" + repr("{" + e + "}") for e in expressions)
            probe = nbformat.v4.new_code_cell(f"import json as _json; print(_json.dumps([{asked}]))")
            await super().async_execute_cell(probe, cell_index, **kwargs)
            self.nb.cells[cell_index] = cell
            values = iter(json.loads("".join(o.text for o in probe.outputs
                                             if o.output_type == "stream").splitlines()[-1]))
            cell.source = INLINE.sub(lambda m: m[1] + next(values) + m[4], cell.source)
            return cell
        return await super().async_execute_cell(cell, cell_index, **kwargs)


def run(path: Path, flags: str = "") -> float:
    "Execute the notebook at `path` in place and return the CPU seconds it stamped; on a failure the file is untouched"
    cfg = get_config(path.parent)
    nb = nbformat.read(path, 4)
    run_ids = {c.id for c in nb_test_cells(path, cfg.tst_flags.split(), flags.split())}
    for c in nb.cells:
        if c.cell_type == "code" and c.id in run_ids: c.outputs = []
    env = {k: v for k, v in os.environ.items() if k not in ("COURSE_LIB_DATA", "MPLBACKEND")}
    # committed outputs show the offline data, and pictures
    env |= {"OMP_NUM_THREADS": env.get("OMP_NUM_THREADS", "1"), "PYTHONPATH": str(cfg.config_path.resolve())}
    pace, start, before = Pace(), time.perf_counter(), os.times()
    Client(nb, run_ids, timeout=600, kernel_name="python3",
           resources={"metadata": {"path": str(path.parent)}}).execute(env=env)
    after = os.times()  # the kernel's CPU seconds, however busy the machine is; without such a count, the clock's
    seconds = (sum(after[2:4]) - sum(before[2:4]) or time.perf_counter() - start)/pace.factor()
    for c in code_cells(nb): dress(c)
    clean_nb(nb, allowed_metadata_keys=cfg.allowed_metadata_keys,
             allowed_cell_metadata_keys=cfg.allowed_cell_metadata_keys,
             allowed_out_metadata_keys=cfg.allowed_out_metadata_keys)
    nb.metadata["course_lib"] = {**facts(nb), "executed": source_hash(nb), "seconds": round(seconds)}
    nb.metadata["language_info"] = LANGUAGE
    if not any(WIDGET in o.get("data", {}) for c in code_cells(nb) for o in c.outputs): nb.metadata.pop("widgets", None)
    tmp = path.with_suffix(".tmp")
    nbformat.write(nb, tmp)
    tmp.replace(path)
    return seconds


def dress(cell) -> None:
    """Fold the solution of an exercise, and give the pictures of a figure its alt text, where the site and nbconvert's
    classic template read it (JupyterLab 4.6 and nbconvert's default template read the alt text of no output)"""
    if fact(cell, "exercise"): cell.metadata["jupyter"] = {"source_hidden": True}
    for o in cell.outputs:
        for kind in o.get("data", {}):
            if kind.startswith("image/") and fact(cell, "alt"): o.metadata[kind] = {"alt": fact(cell, "alt")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NOTEBOOK", help="a part of a path, such as 05 or lib/09")
    parser.add_argument("--flags", default="", help="flags of cells to run that are normally left out, such as 'cuda'")
    args = parser.parse_args()
    todo = [p for n in args.names for p in paths(ROOT) if Path(n).as_posix() in p.relative_to(ROOT).as_posix()]
    if not todo: sys.exit(f"no notebook is called {' or '.join(map(repr, args.names))}")
    for nb in dict.fromkeys(todo): print(f"{nb.name}: {run(nb, args.flags):.1f} s", file=sys.stderr)
