"""Gates over what is said: claims have cells, numbers a source, words a definition before their use."""
import ast
import re

from tools.build.run_notebook import inline_values
from tools.gates import prose
from tools.notebooks import chapters, code_cells, fact, facts, notebooks


def ledger(root):
    "The rows of nbs/field_notes.csv"
    return prose.rows(root/"nbs"/"field_notes.csv")


def note_cells(root):
    "{note id: [(notebook name, cell)]} of all cells whose metadata lists `notes`"
    found = {}
    for path, nb in notebooks(root):
        for c in code_cells(nb):
            for note in fact(c, "notes") or []: found.setdefault(note, []).append((path.stem, c))
    return found


def can_fail(cell):
    "Does the cell hold an assertion on something computed?"
    for n in ast.walk(prose.python_of(cell.source)):
        if isinstance(n, ast.Assert) and any(isinstance(m, ast.Name) for m in ast.walk(n.test)): return True
        if isinstance(n, ast.With) and any("expect_fail" in ast.unparse(i.context_expr) for i in n.items): return True
        if isinstance(n, ast.Call) and re.search(r"(^test_(eq|close|ne|fail|is|shuffled)|\bassert_\w+)$",
                                                 ast.unparse(n.func)): return True
    return False


def field_notes(root):
    "Every claim of a chapter that is written stands in it, as a cell with an assertion"
    rows, cells, problems = ledger(root), note_cells(root), []
    written = {p.stem for p in chapters(root)}
    ids = [r["id"] for r in rows]
    problems += [f"ledger: {i} stands twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    problems += [f"{where[0][0]}: note {i} is not in the ledger" for i, where in cells.items() if i not in ids]
    for r in rows:
        is_written = r["chapter"] in written
        if r["verdict"] not in ({"confirmed", "refined", "corrected", "link"} if is_written else {"open"}):
            problems.append(f"ledger: {r['id']} has the verdict {r['verdict']!r}")
        if not is_written: continue
        here = [c for name, c in cells.get(r["id"], []) if name == r["chapter"]]
        if not here: problems.append(f"{r['chapter']}: claim {r['id']} has no cell")
        elif not any(map(can_fail, here)):
            problems.append(f"{r['chapter']}: the cell of {r['id']} holds no assertion that can fail")
    return problems


def listed(root, name):
    "The rows of one of the lists beside the notebooks, by chapter"
    by_chapter = {}
    for r in prose.rows(root/"nbs"/name): by_chapter.setdefault(r["chapter"], []).append(r)
    return by_chapter


def typed_numbers(root):
    "A number in prose is computed, or stands in nbs/numbers.csv with where it comes from"
    allowed, problems = listed(root, "numbers.csv"), []
    problems += [f"numbers.csv: {r['text']!r} has no source or kind" for rs in allowed.values() for r in rs
                 if not r["source"] or r["kind"] not in {"definition", "given", "paper", "name"}]
    for path, nb in notebooks(root):
        mine, seen = [r["text"] for r in allowed.pop(path.stem, [])], []
        problems += [f"{path.name}: cell {c.id} shows the tags of an inline value: write <code>…</code>, not backticks"
                     for c in nb.cells if c.cell_type == "markdown" and prose.INLINE_IN_TICKS.search(c.source)]
        for c, text in prose.texts(nb):
            seen.append(text)
            problems += [f"{path.name}: cell {c.id} has a typed number: '... {n} ...'" for n in prose.typed(text, mine)]
            if "?" in re.findall(r'<span data-value="[^"]+">([^<]*)</span>', text) and inline_values(c):
                problems.append(f"{path.name}: cell {c.id} has an inline value that was never computed")
        problems += [f"numbers.csv: {path.stem} does not say {t!r}" for t in mine
                     if not any(t in text for text in seen)]
    return problems + [f"numbers.csv: there is no notebook {name}" for name in allowed]


def claims_are_shown(root):
    "What is said to be better, faster or to help stands in nbs/claims.csv with the cell that shows it"
    allowed, problems = listed(root, "claims.csv"), []
    for path, nb in notebooks(root):
        mine, cells = allowed.pop(path.stem, []), {c.id: c for c in nb.cells}
        everything = [(c, text) for c, text in prose.texts(nb)]
        for c, text in everything:
            problems += [f"{path.name}: cell {c.id} claims: '... {p} ...'"
                         for p in prose.claims(text, [r["phrase"] for r in mine])]
        for r in mine:
            where, cell = f"claims.csv: {path.stem}, {r['phrase']!r}", cells.get(r["cell"])
            if not any(r["phrase"] in text for _, text in everything): problems.append(f"{where} is not said there")
            if r["kind"] == "measured" and not (cell and prose.EVIDENCE.search(cell.source)):
                problems.append(f"{where}: cell {r['cell']!r} shows no interval over seeds or repeats")
            if r["kind"] == "proved" and not (cell and cell.cell_type == "code" and can_fail(cell)):
                problems.append(f"{where}: cell {r['cell']!r} holds no assertion that can fail")
            if r["kind"] not in {"measured", "proved",
                                 "not a claim"} or not r["why"]: problems.append(f"{where} has no kind or no reason")
    return problems + [f"claims.csv: there is no notebook {name}" for name in allowed]


def defined_before_use(root):
    "No chapter uses a term that only a later one defines"
    order = {p: i for i, p in enumerate(chapters(root))}
    numbered = sorted(((p, nb) for p, nb in notebooks(root) if p in order), key=lambda x: order[x[0]])
    first = {}
    for path, nb in numbered:
        for term in prose.definitions(nb): first.setdefault(term, path)
    if not first: return ["no term is defined anywhere"]
    problems = []
    for path, nb in numbered:
        said = [(c, " ".join(prose.CODE.sub(" ", text).split())) for c, text in prose.texts(nb)]
        for term, chapter in first.items():
            if order[chapter] <= order[path] or facts(nb).get("uses_all"): continue
            here = next((c for c, text in said if prose.uses(term, text)), None)
            if here is not None:
                problems.append(f"{path.name}: cell {here.id} uses {term!r}, which {chapter.stem} defines")
    return problems
