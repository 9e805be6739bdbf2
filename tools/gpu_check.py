"""What a GPU must show: the checks and the benchmarks that need one, in one call, with one file of results.

`python -m tools.gpu_check` needs torch and numpy alone and takes under six minutes; it writes gpu_check.json.
`python -m tools.gpu_check --page gpu_check.json` writes benchmarks/results/gpu.md from it. `--device cpu --quick` runs
everything at small sizes on a machine without a GPU, which shows that the script works and says nothing about a GPU.
"""
import argparse
import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from benchmarks.harness import interleaved, median, peak_memory, place, seconds  # noqa: E402
from course_lib.collab import DotProductBias, Ratings, top_k  # noqa: E402
from course_lib.core import default_device, seed_everything  # noqa: E402
from course_lib.distillation import ban_loss, cwtm_loss, dkpp_loss, kd_loss  # noqa: E402
from course_lib.losses import binary_cross_entropy_with_logits, cross_entropy, kl_div, log_softmax, softmax  # noqa: E402
from course_lib.lr_finder import find_lr  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SHAPES, QUICK_SHAPES = ((16, 151_936), (64, 32_000)), ((4, 300), (8, 100))
LIMIT = 330  # seconds after which nothing new is begun
CHECKS: list[Callable[[str], None]] = []


def check(function: Callable[[str], None]) -> Callable[[str], None]:
    "Register a check: a function of the device that raises if something is wrong"
    CHECKS.append(function)
    return function


def batch(n: int, classes: int, device: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    "Student's logits with a gradient, labels and teacher's logits"
    gen = torch.Generator().manual_seed(0)
    x, t = (3*torch.randn(2, n, classes, generator=gen)).to(device, dtype)
    return x.requires_grad_(), torch.randint(classes, (n,), generator=gen).to(device), t


def grad(loss: Tensor, x: Tensor) -> Tensor: return torch.autograd.grad(loss.sum(), x)[0]


def eq_10(x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    "Value and gradient of CWTM written out in float64 (arXiv 1805.04770, eq. 10)"
    x, y, t = x.detach().cpu().double(), y.cpu(), t.cpu().double()
    w = t.softmax(1).amax(1)
    w = w/w.sum()
    each = F.cross_entropy(x, y, reduction="none")
    return (w*each).sum(), w[:, None]*(x.softmax(1) - F.one_hot(y, x.shape[1]))


# Checks

@check
def losses_are_torchs(device: str) -> None:
    "Values and gradients of the losses equal PyTorch's on the device, in three dtypes"
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x, y, t = batch(64, 50, device, dtype)
        y[3] = -100
        p, w = t.softmax(1), torch.rand(50, device=device).to(dtype)
        for target, options in ((y, {}), (y, {"weight": w, "label_smoothing": 0.1}), (p, {"label_smoothing": 0.1})):
            ours, theirs = cross_entropy(x, target, **options), F.cross_entropy(x, target, **options)
            torch.testing.assert_close(ours, theirs)
            torch.testing.assert_close(grad(ours, x), grad(theirs, x), atol=1e-3, rtol=3e-2)
        loose = {"atol": 5e-3, "rtol": 2e-2} if dtype != torch.float32 else {}
        for ours, theirs in ((softmax, F.softmax), (log_softmax, F.log_softmax)):
            torch.testing.assert_close(ours(x, 1), theirs(x, 1), **loose)
        q = F.log_softmax(x, 1)
        for ours in (binary_cross_entropy_with_logits, kl_div):
            theirs = getattr(F, ours.__name__)
            torch.testing.assert_close(ours(q, p, reduction="sum"), theirs(q, p, reduction="sum"), atol=1, rtol=2e-2)


@check
def an_impossible_label_is_refused(device: str) -> None:
    "A label past the last class raises: at once on the CPU, by the device's own assertion on CUDA"
    code = ("import torch; from course_lib.losses import cross_entropy as f; "
            f"torch.set_default_device('{device}'); print(f(torch.zeros(2, 3), torch.tensor([0, 3])).item())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    words = "device-side assert" if device == "cuda" else "IndexError: target must hold class indices from 0 to 2"
    assert done.returncode and words in done.stderr, done.stdout + done.stderr[-500:]


@check
def cwtm_is_eq_10(device: str) -> None:
    "Value and gradient of CWTM equal the formula in float64, for few and for many classes"
    for n, classes in ((64, 10), (16, 40_000)):
        for dtype, tol in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
            x, y, t = batch(n, classes, device, dtype)
            value, slope = eq_10(x, y, t)
            loss = cwtm_loss(x, y, t)
            torch.testing.assert_close(loss.cpu().double(), value, atol=tol, rtol=tol)
            torch.testing.assert_close(grad(loss, x).cpu().double(), slope, atol=tol/n, rtol=10*tol)


@check
def teachers_losses_are_those_of_the_cpu(device: str) -> None:
    "KD and born-again give the values that they give on the CPU; DKPP's generator may live on either side"
    x, y, t = batch(64, 50, device)
    for loss in (kd_loss, ban_loss):
        want = loss(*(v.detach().cpu() for v in (x, y, t)))
        torch.testing.assert_close(loss(x, y, t).cpu(), want, atol=1e-4, rtol=1e-4)
    for place_of in ("cpu", device):
        loss = dkpp_loss(x, y, t, generator=torch.Generator(place_of).manual_seed(0))
        assert loss.isfinite() and grad(loss, x).isfinite().all()


@check
def cwtm_can_be_captured(device: str) -> None:
    "A step of CWTM waits for nothing and can be captured in a CUDA graph"
    if device != "cuda": return
    x, y, t = batch(64, 4096, device)
    cwtm_loss(x, y, t).backward()
    torch.cuda.set_sync_debug_mode("error")
    try: cwtm_loss(x, y, t).backward()
    finally: torch.cuda.set_sync_debug_mode("default")
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(3): cwtm_loss(x, y, t).backward()
    torch.cuda.synchronize()
    graph, x.grad = torch.cuda.CUDAGraph(), None
    with torch.cuda.graph(graph): cwtm_loss(x, y, t).backward()
    graph.replay()
    torch.testing.assert_close(x.grad.cpu().double(), eq_10(x, y, t)[1], atol=1e-6, rtol=1e-4)


@check
def the_finder_puts_everything_back(device: str) -> None:
    "A search leaves weights, optimizer and random state as they were, also in half precision"
    for amp in (None, torch.bfloat16) + ((torch.float16,) if device == "cuda" else ()):
        seed_everything(0)
        x = torch.randn(256, 8)
        data = torch.utils.data.TensorDataset(x, x @ torch.randn(8, 1))
        net = nn.Linear(8, 1).to(device)
        opt = torch.optim.Adam(net.parameters())
        rng = torch.cuda.get_rng_state if device == "cuda" else torch.get_rng_state
        before, state = [p.detach().clone() for p in net.parameters()], rng()
        curve = find_lr(net, torch.utils.data.DataLoader(data, 16), nn.MSELoss(), opt, amp=amp)
        assert len(curve.losses) and not opt.state and rng().equal(state)
        assert all(p.equal(q) for p, q in zip(net.parameters(), before))


@check
def the_best_items_are_those_of_the_cpu(device: str) -> None:
    "`top_k` finds the same items in the same order, ties too"
    gen = torch.Generator().manual_seed(0)
    q, v = (torch.randint(-2, 3, shape, generator=gen).float() for shape in ((5, 3), (70_000, 3)))
    assert top_k(q.to(device), v.to(device), 10)[1].cpu().equal(top_k(q, v, 10)[1])


@check
def a_recommender_predicts_on_the_device(device: str) -> None:
    "A network fitted there, or moved there, predicts what it predicts on the CPU"
    ratings = made_up(300, 50, 40)
    model = DotProductBias(4, y_range=(0, 5.5)).fit(ratings, epochs=1, device=device)
    model.to("cpu")
    want = model.predict(ratings)
    torch.testing.assert_close(model.to(device).predict(ratings), want, atol=1e-4, rtol=1e-4)


@check
def seeds_repeat(device: str) -> None:
    "The same seed gives the same numbers, and the device is the fastest there is"
    drawn = [torch.rand(3, device=device) for _ in range(2) if seed_everything(5)]
    assert drawn[0].equal(drawn[1]) and (device == "cpu" or default_device().type == device)


def run_check(function: Callable[[str], None], device: str) -> dict:
    "Its name, whether it held, how long it took and what went wrong"
    start, error = time.perf_counter(), ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(device)
    except Exception: error = traceback.format_exc(limit=-2)[-600:]
    took = round(time.perf_counter() - start, 2)
    return {"name": function.__name__, "ok": not error, "seconds": took, "error": error}


# Benchmarks

def losses_at(n: int, classes: int, dtype: torch.dtype, device: str, quick: bool) -> list[dict]:
    "Time and peak memory of a step of each loss, beside eager and compiled `F.cross_entropy`"
    x, y, t = batch(n, classes, device, dtype)
    backend = "aot_eager" if quick else "inductor"
    compiled, compiled_cwtm = (torch.compile(f, dynamic=False, backend=backend)
                               for f in (lambda a, b: F.cross_entropy(a, b), lambda a, b, c: cwtm_loss(a, b, c)))
    losses = {"F.cross_entropy": lambda: F.cross_entropy(x, y), "F.cross_entropy, compiled": lambda: compiled(x, y),
              "cross_entropy": lambda: cross_entropy(x, y), "kd_loss": lambda: kd_loss(x, y, t),
              "cwtm_loss": lambda: cwtm_loss(x, y, t), "cwtm_loss, compiled": lambda: compiled_cwtm(x, y, t)}
    steps = {name: lambda f=f: grad(f(), x) for name, f in losses.items()}
    rounds, calls = (3, 1) if quick else (15, 5)
    times = interleaved(steps, rounds=rounds, calls=calls)
    alone = interleaved({name: replay(step) for name, step in steps.items()}, rounds, calls) if device == "cuda" else {}
    size, rows = x.numel()*x.element_size(), []
    for name, step in steps.items():
        row = {"logits": f"{n} × {classes:,}", "dtype": str(dtype)[6:], "loss": name, "ms": median(times[name])*1e3}
        for key, peer in (("× eager", "F.cross_entropy"), ("× compiled", "F.cross_entropy, compiled")):
            row[key] = median([a/b for a, b in zip(times[name], times[peer])])
        if alone:
            row["device ms"] = median(alone[name])*1e3
            row["× eager, device"] = median([a/b for a, b in zip(alone[name], alone["F.cross_entropy"])])
        rows.append(row | {"peak memory (logits)": peak_memory(step, device)/size, "host waits": waits(step, device)})
    return rows


def replay(step: Callable[[], object]) -> Callable[[], object]:
    "The step captured in a CUDA graph: what is left is the device's time, without the host's for each call"
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(3): step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph): step()
    return graph.replay


def waits(step: Callable[[], object], device: str) -> int | None:
    "How often the host waits for the device in a step; None where that cannot be counted"
    if device != "cuda": return None
    step()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            step()
    finally: torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(w.message) for w in seen)


def made_up(n: int, users: int, items: int) -> Ratings:
    "`n` ratings of pairs that are all different, with a mean for each item"
    gen = torch.Generator().manual_seed(0)
    pair = torch.randperm(users*items, generator=gen)[:n] if users*items < 2**24 else torch.arange(n)*(users*items//n)
    user, item = pair//items, pair % items
    rating = (3 + torch.randn(items, generator=gen)[item] + 0.5*torch.randn(n, generator=gen)).clamp(1, 5)
    return Ratings.from_df({"user": user.numpy(), "item": item.numpy(), "rating": rating.numpy()})


def an_epoch(device: str, quick: bool) -> dict:
    "Seconds for a pass over the ratings"
    ratings = made_up(3000, 100, 80) if quick else made_up(1_000_000, 20_000, 5000)
    model, bs = DotProductBias(50, y_range=(0, 5.5)), 64 if quick else 8192
    model.fit(ratings, epochs=1, bs=bs, device=device)
    took = seconds(lambda: model.fit(ratings, epochs=1, bs=bs, device=device))
    return {"what": f"an epoch over {len(ratings):,} ratings, batches of {bs:,}", "seconds": took, "× peer": None}


def the_best_of_many(device: str, quick: bool) -> dict:
    "Seconds for the best ten of a million items for 64 users, beside `torch.topk` of all scores"
    gen, n = torch.Generator().manual_seed(0), 20_000 if quick else 1_000_000
    q, v = (torch.randn(rows, 64, generator=gen).to(device) for rows in (64, n))
    fns = {"ours": lambda: top_k(q, v, 10), "peer": lambda: (q @ v.T).topk(10)}
    times = interleaved(fns, rounds=3 if quick else 11)
    ratio = median([a/b for a, b in zip(times["ours"], times["peer"])])
    return {"what": f"the best ten of {n:,} items for 64 users", "seconds": median(times["ours"]), "× peer": ratio}


def run(device: str, quick: bool) -> dict:
    "All checks and benchmarks; what the time did not suffice for is named"
    start = time.perf_counter()
    out = {"device": place(device), "kind": device, "quick": quick, "torch": torch.__version__,
           "date": time.strftime("%Y-%m-%d"), "checks": [run_check(c, device) for c in CHECKS],
           "losses": [], "collab": [], "not run": []}
    dtypes = torch.bfloat16, torch.float32
    sizes = [(*shape, dtype) for shape in (QUICK_SHAPES if quick else SHAPES) for dtype in dtypes]
    jobs = [(f"losses at {size}", "losses", lambda size=size: losses_at(*size, device, quick)) for size in sizes]
    jobs += [("an epoch", "collab", lambda: [an_epoch(device, quick)]),
             ("top-k", "collab", lambda: [the_best_of_many(device, quick)])]
    for name, kind, job in jobs:
        if time.perf_counter() - start > LIMIT: out["not run"].append(f"{name}: out of time"); continue
        try: out[kind] += job()
        except Exception as e: out["not run"].append(f"{name}: {type(e).__name__}: {str(e)[:200]}")
    return out | {"seconds": round(time.perf_counter() - start, 1)}


# The page

GOAL = ("Goal: CWTM in bfloat16 takes at most 0.8 of eager cross-entropy's time at half its memory, and no step waits. "
        "A call counts with the host's work, as in a loop that waits for it; the device alone, as in a CUDA graph.")


def page(result: dict) -> str:
    "The results in words and tables"
    from benchmarks.harness import table
    held = sum(c["ok"] for c in result["checks"])
    lines = ["# On a GPU", f"{result['date']}, {result['device']}, torch {result['torch']}, {result['seconds']} s. "
             "Command: `python -m tools.gpu_check`", f"{held} of {len(result['checks'])} checks hold."]
    if result["kind"] != "cuda" or result["quick"]: lines.insert(1, "**Not a measurement: a CPU, or small sizes.**")
    lines += [f"- {c['name']} fails: `{c['error'].strip().splitlines()[-1]}`" for c in result["checks"] if not c["ok"]]
    lines += [f"- not run: {n}" for n in result["not run"]]
    lines.append("Forward and backward; ratios are medians over rounds in which all are called in turn. Peak memory is "
                 "beyond the arguments, the gradient included, in units of the logits. Device: the same steps "
                 "replayed as CUDA graphs, without the host's work.")
    if result["kind"] == "cuda": lines += [GOAL, verdict(result)]
    for kind in ("losses", "collab"):
        if result[kind]: lines.append(table([{k: "" if v is None else v for k, v in r.items()} for r in result[kind]]))
    return "\n\n".join(lines) + "\n"


def verdict(result: dict) -> str:
    "Whether the goal is met, at each size, as it runs and compiled"
    said = []
    for row in result["losses"]:
        if not row["loss"].startswith("cwtm_loss") or row["dtype"] != "bfloat16": continue
        size = row["logits"], row["dtype"], "F.cross_entropy"
        peer = next(r for r in result["losses"] if (r["logits"], r["dtype"], r["loss"]) == size)
        memory = row["peak memory (logits)"]/peer["peak memory (logits)"]
        met = [row[time] <= 0.8 and memory <= 0.5 and not row["host waits"] for time in ("× eager", "× eager, device")]
        said.append(f"- {row['loss']}, {row['logits']}: {row['× eager']:.2f} of a call's time "
                    f"({'met' if met[0] else 'missed'}), {row['× eager, device']:.2f} of the device's "
                    f"({'met' if met[1] else 'missed'}), {memory:.2f} of the memory, {row['host waits']} waits")
    return "\n".join(said)


def main() -> int:
    "1 if a check fails or something was not run"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that the script works")
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"), help="the file of results")
    parser.add_argument("--page", type=Path, help="write benchmarks/results/gpu.md from this file and end")
    args = parser.parse_args()
    if args.page:
        text = page(json.loads(args.page.read_text(encoding="utf-8")))
        (ROOT/"benchmarks"/"results"/"gpu.md").write_text(text, encoding="utf-8")
        return 0
    if args.device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device. `--device cpu --quick` shows that the script works.")
        return 2
    result = run(args.device, args.quick)
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(page(result))
    return int(bool(result["not run"]) or not all(c["ok"] for c in result["checks"]))


if __name__ == "__main__": sys.exit(main())
