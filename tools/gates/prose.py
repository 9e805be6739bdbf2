"""What the chapters say in words: their prose, the numbers in it, what it claims, and which words it defines.

Prose is the markdown of a notebook and the constant text in `Markdown(...)` calls. Three lists beside the notebooks
hold the exceptions: `numbers.csv` (numbers that were typed, with their source), `claims.csv` (what is said to be
better, faster, ahead or to gain, and the cell that shows it). The glossary is made of the `<dfn>` tags.
"""
import ast
import csv
import re
from html import unescape

from tools.notebooks import python_of

CODE = re.compile(r"^```.*?^```[^\n]*$|^    [^\n]*$|`[^`\n]+`|<code>[^<]*</code>"
                  r"|^[^\n]*\(index\.ipynb\)[^\n]* minutes to read$", re.S | re.M)  # the last: written by tools/build
INLINE_VALUE = re.compile(r'<span data-value="[^"]+">[^<]*</span>')
INLINE_IN_TICKS = re.compile(r'(?<!`)`<span data-value="[^"]+">[^<`]*</span>`(?!`)')  # Markdown shows code as it is
NOT_PROSE = [re.compile(p, re.S | re.M) for p in (
    r"\$\$.*?\$\$|\$[^$\n]+\$",                           # formulas
    r"!?\[[^\]]*\]\(https?://[^)]*\)|https?://\S+",       # links to a source, with their text
    r"(?<=\])\([^)]*\)",                                  # where other links lead
    r"^#{3} [^\n]*\n\*(?:easy|medium|hard), \d+ minutes?\*",  # what an exercise is marked with
    r"^- ✗ [^\n]*"                                        # wrong choices: the verdict, and the choice itself
    r"|^- ([a-f])\) [^\n]*(?=(?:\n- [^\n]*)*\n\n<details><summary>Answer(?:(?!</details>).)*\n- ✗ \1\) )",
    r"<[^>]+>",                                           # tags
    r"^ *\d+\. ",                                         # list items
)]
NUMBER = re.compile(r"(?<![\w.])(?<![A-Za-z][-–])[−-]?\d(?:[\d.,]*\d)?(?!\w)%?|[½¼¾⅓⅔]")
CLAIM = re.compile(r"\b(?:" + "|".join((
    r"better|faster|fastest|slower|quicker|cheaper|sharper|ahead|advantage|benefits?|(?:is|are|was|were|ends?|ended) "
    r"(?:\w+ )?worse",
    r"helps?|helped|hurts?|improve[sd]?|improvement|gain(?:s|ed)?|wins?|repeats itself|restrains?",
    r"beats?|beaten|outperform(?:s|ed)?|outdo(?:es|ne)?|surpass(?:es|ed)?|loses to|f[ae]ll(?:s|en)? behind",
    r"(?:more|less) (?:accurate|closely)|less (?:work|time)|more often than|costs? (?:more|less)|needs? (?:far )?fewer",
    r"nearer (?:to )?the (?:ideal|truth)|(?:got|get|gets) further|further from the|(?:comes?|came|coming) near",
    r"ends? (?:higher|lower|below|above|with (?:a|the) (?:lower|smaller))|ended (?:higher|lower|below|above)",
    r"times as (?:fast|long)|times (?:the time|longer|smaller|larger)")) + r")\b", re.I)
EVIDENCE = re.compile(r"mean_ci|time_ratio|timeit|Estimate|benchmarks/results|chance_at_k|compare_archs")
DEFINITION = re.compile(r'<dfn(?: title="([^"]+)")?>([^<]+)</dfn>')


def blank(m): return re.sub(r"[^\n]", " ", m[0])


def texts(nb):
    "(cell, prose) for each cell of a notebook that says something; everything keeps its place in the text"
    for c in nb.cells:
        if c.cell_type == "markdown": yield c, CODE.sub(blank, c.source)
        elif "Markdown(" in c.source:
            calls = [n for n in ast.walk(python_of(c.source)) if isinstance(n, ast.Call)
                     and ast.unparse(n.func).endswith("Markdown")]
            parts = [n.value for call in calls for n in _strings(call) if isinstance(n.value, str)]
            if parts: yield c, CODE.sub(blank, " ".join(parts))


def _strings(node):
    "The constant strings that stand in a call as text: not the formats, keys and arguments inside an f-string's braces"
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant): yield child
        elif isinstance(child, (ast.JoinedStr, ast.BinOp, ast.IfExp)): yield from _strings(child)


def _spans(text, phrases):
    "Where the phrases stand in the text"
    return [(m.start(), m.end()) for p in phrases for m in re.finditer(re.escape(p), text)]


def _inside(m, spans): return any(a <= m.start() and m.end() <= b for a, b in spans)


def _around(text, m): return " ".join(text[max(0, m.start() - 30):m.end() + 30].split())


def typed(text, allowed=()):
    "The numbers of a piece of prose that nobody computed and that are in none of the `allowed` phrases"
    spans = _spans(text, allowed)
    bare = INLINE_VALUE.sub(blank, text)
    for p in NOT_PROSE: bare = p.sub(blank, bare)
    return [_around(text, m) for m in NUMBER.finditer(bare) if not _inside(m, spans)]


def claims(text, allowed=()):
    "The claims of a piece of prose that are in none of the `allowed` phrases"
    spans, bare = _spans(text, allowed), text
    for p in NOT_PROSE[1:3] + NOT_PROSE[4:6]: bare = p.sub(blank, bare)
    return [_around(text, m) for m in CLAIM.finditer(bare) if not _inside(m, spans)]


def definitions(nb):
    "{term: the cell that defines it} of a notebook, in order"
    found = {}
    for c in nb.cells:
        if c.cell_type != "markdown": continue
        for m in DEFINITION.finditer(c.source): found.setdefault(unescape(m[1] or m[2]), c)
    return found


def uses(term, text):
    "Does the prose use the term, in the singular or the plural?"
    forms = rf"\b{re.escape(term)}(?:s|es)?\b" if term[-1].isalnum() else re.escape(term)
    return re.search(forms, text, re.I if term.lower() == term else 0) is not None


def sentence(text, term_at):
    "The sentence around a place of a text, without tags; with its neighbour if it says little alone"
    start = max([0, *(m.end() for m in re.finditer(r"\n\n|\n[-*] |\n#+ [^\n]*\n", text[:term_at]))])
    end = re.search(r"\n\n|\n[-*] ", text[term_at:])
    paragraph = text[start:term_at + end.start() if end else None]
    breaks = [m.end() for m in re.finditer(r"(?<=[.?!])(?:\*\*|\)|</summary>)?\s+(?=\W*[A-Z])", paragraph)]
    breaks = [0, *breaks, len(paragraph)]
    n = max(i for i, b in enumerate(breaks[:-1]) if b <= term_at - start)
    piece = paragraph[breaks[n]:breaks[n + 1]]
    if len(re.sub(r"<[^>]+>", "", piece).split()) < 4:
        piece = paragraph[breaks[n]:breaks[min(n + 2, len(breaks) - 1)]]  # a heading of one word
    elif n and (len(piece.split()) < 9
                or re.match(r"\W*(?:That|This|These|Such|It|They|Its|The number|Then|And|But)\b", piece)):
        piece = paragraph[breaks[n - 1]:breaks[n + 1]]
    return " ".join(re.sub(r"<[^>]+>|^[#>\-* ]+ ", "", piece).split())


def rows(path):
    "The rows of a csv file"
    with open(path, encoding="utf-8", newline="") as f: return list(csv.DictReader(f))
