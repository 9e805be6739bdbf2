"""Does the learning rate that a rule suggests train well? Regret by retraining, over seeds, on six small problems.

`python -m benchmarks.lr_finder` writes results/lr_finder.md, .png, lr_finder_grid.csv and lr_finder_rules.csv. All
seeds and rates of a problem train side by side, as one stack of networks. `--only NAME` runs one problem and keeps the
rest of the csv files; `--seeds 2 --searches 2 --dry` is a small try. COURSE_LIB_DATA names the folder with
mnist_sample.tgz for the held-out `mnist` problem.
"""
import argparse
import io
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from benchmarks.harness import RESULTS, machine
from course_lib.lr_finder import LRCurve, NoSuggestion, find_lr, lr_sweep, one_cycle, pick_trial, trial_rates
from course_lib.lr_finder.search import _Stop

METHODS = ['robust', 'trials', 'robust4', 'robust200', 'minimum', 'steep', 'slide', 'valley']
GRID = torch.logspace(-4, 1, 31, dtype=torch.float64)


class Problem:
    """A stack of R networks of one shape, each with its own seed: `init(generator)` makes one, `forward(params, x)`
    runs them all"""
    opt, bs, steps, wd = 'adam', 64, 160, 0.  # wd: weight decay, within the gradient or, for adamw, beside it

    def stack(self, seeds):
        nets = [self.init(torch.Generator().manual_seed(s)) for s in seeds]
        return {k: torch.stack([n[k] for n in nets]) for k in nets[0]}

    def order(self, seed, steps, stream):
        "Indices [steps, bs]: shuffled passes over the data, other ones for each seed and stream"
        g, n = torch.Generator().manual_seed(1000*(stream + 1) + seed), len(self.y)
        per = n//self.bs
        passes = [torch.randperm(n, generator=g)[:per*self.bs].view(per, self.bs) for _ in range(steps//per + 1)]
        return torch.cat(passes)[:steps]

    def batch(self, idx): return tuple(x[idx] for x in self.x), self.y[idx]


def linear(g, i, o): return (torch.rand(i, o, generator=g)*2 - 1)/i**0.5, torch.zeros(1, o)

def cross_entropy(out, y): return F.cross_entropy(out.transpose(1, 2), y, reduction='none').mean(1)

class MLP(Problem):
    def init(self, g):
        p = {}
        for k, (i, o) in enumerate(zip(self.sizes, self.sizes[1:])): p[f'w{k}'], p[f'b{k}'] = linear(g, i, o)
        return p
    def mlp(self, p, h):
        last = len(self.sizes) - 2
        for k in range(last + 1):
            h = torch.baddbmm(p[f'b{k}'], h, p[f'w{k}'])
            if k < last: h = h.relu()
        return h
    def forward(self, p, x): return self.mlp(p, x[0])
    def loss(self, out, y): return cross_entropy(out, y)

class Digits(MLP):
    "scikit-learn's 8x8 digits, 64-64-10"
    sizes, bs, steps = (64, 64, 10), 32, 160
    def __init__(self):
        from sklearn.datasets import load_digits
        d = load_digits()
        x, y = torch.tensor(d.data, dtype=torch.float32)/8 - 1, torch.tensor(d.target)
        i = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
        self.x, self.y, self.vx, self.vy = (x[i[:1300]],), y[i[:1300]], (x[i[1300:]],), y[i[1300:]]

class Tabular(MLP):
    "drawn table: two categories and six numbers, a non-linear target with noise; embeddings and 32-32-1"
    sizes, bs, steps = (14, 32, 32, 1), 128, 200
    def __init__(self):
        g = torch.Generator().manual_seed(1)
        n = 6000
        c = torch.stack([torch.randint(0, 12, (n,), generator=g), torch.randint(0, 20, (n,), generator=g)], 1)
        x = torch.randn(n, 6, generator=g)
        a, b = torch.randn(12, generator=g), torch.randn(20, generator=g)
        y = a[c[:, 0]] + b[c[:, 1]]*x[:, 0] + (2*x[:, 1]).sin() + x[:, 2]*x[:, 3] + 0.6*torch.randn(n, generator=g)
        y = (y - y.mean())/y.std()
        self.x, self.y, self.vx, self.vy = (c[:5000], x[:5000]), y[:5000], (c[5000:], x[5000:]), y[5000:]
    def init(self, g):
        return super().init(g) | {k: 0.1*torch.randn(n, 4, generator=g) for k, n in (('e0', 12), ('e1', 20))}
    def forward(self, p, x):
        r = torch.arange(len(p['e0']))[:, None]
        return self.mlp(p, torch.cat([p['e0'][r, x[0][..., 0]], p['e1'][r, x[0][..., 1]], x[1]], -1))[..., 0]
    def loss(self, out, y): return (out - y).square().mean(1)

class Collab(Problem):
    "drawn ratings: 200 users, 150 items, 5 planted factors; dot product with biases and a sigmoid range"
    steps = 280
    def __init__(self):
        g = torch.Generator().manual_seed(2)
        n = 8000
        u, i = torch.randint(0, 200, (n,), generator=g), (150*torch.rand(n, generator=g)**1.5).long()
        U, V, bu, bi = (torch.randn(*shape, generator=g) for shape in ((200, 5), (150, 5), (200,), (150,)))
        y = (3.5 + 0.35*(U[u]*V[i]).sum(1) + 0.4*bu[u] + 0.5*bi[i] + 0.4*torch.randn(n, generator=g)).clamp(0.5, 5)
        x = torch.stack([u, i], 1)
        self.x, self.y, self.vx, self.vy = (x[:6400],), y[:6400], (x[6400:],), y[6400:]
    def init(self, g):
        vectors = {k: 0.1*torch.randn(n, 8, generator=g) for k, n in (('u', 200), ('i', 150))}
        return vectors | dict(bu=torch.zeros(200), bi=torch.zeros(150))
    def forward(self, p, x):
        r, u, i = torch.arange(len(p['u']))[:, None], x[0][..., 0], x[0][..., 1]
        return 5.5*torch.sigmoid((p['u'][r, u]*p['i'][r, i]).sum(-1) + p['bu'][r, u] + p['bi'][r, i])
    def loss(self, out, y): return (out - y).square().mean(1)

class Characters(MLP):
    """held out: the next character of this project's licence text from the six before it, SGD with momentum;
    embeddings and 48-64-n"""
    opt, steps = 'sgd', 300
    def __init__(self):
        text = (Path(__file__).parents[1]/'LICENSE').read_text()
        vocab = sorted(set(text))
        t = torch.tensor([vocab.index(c) for c in text])
        w = t.unfold(0, 7, 1)
        w = w[torch.randperm(len(w), generator=torch.Generator().manual_seed(3))]
        self.v, self.sizes = len(vocab), (48, 64, len(vocab))
        cut = int(0.8*len(w))
        self.x, self.y, self.vx, self.vy = (w[:cut, :6],), w[:cut, 6], (w[cut:, :6],), w[cut:, 6]
    def init(self, g): return super().init(g) | dict(e=torch.randn(self.v, 8, generator=g))
    def forward(self, p, x): return self.mlp(p, p['e'][torch.arange(len(p['e']))[:, None, None], x[0]].flatten(2))

class Mnist(MLP):
    "held out: threes against sevens of MNIST (12,396 for training), averaged to 14x14; 196-32-2"
    sizes, steps = (196, 32, 2), 190
    def __init__(self):
        from PIL import Image
        root, parts = os.environ.get('COURSE_LIB_DATA'), {}
        if not root: raise SystemExit('set COURSE_LIB_DATA for the mnist problem, or use --only')
        with tarfile.open(Path(root)/'mnist_sample.tgz') as t:
            for m in t:
                if not m.name.endswith('.png'): continue
                *_, part, digit, _ = Path(m.name).parts
                picture = Image.open(io.BytesIO(t.extractfile(m).read())).convert('L')
                parts.setdefault(part, []).append((np.asarray(picture), int(digit == '7')))
        def pack(rows):
            x = torch.tensor(np.stack([r[0] for r in rows])).float()[:, None]/255
            return (((F.avg_pool2d(x, 2).flatten(1)) - 0.13)/0.3,), torch.tensor([r[1] for r in rows])
        (self.x, self.y), (self.vx, self.vy) = pack(parts['train']), pack(parts['valid'])

class Photo(MLP):
    """held out, measured once after the constants were fixed: the brightness of a scikit-learn photograph at a place
    given by 32 waves; 32-64-64-1"""
    sizes, bs, steps = (32, 64, 64, 1), 128, 240
    def __init__(self):
        from sklearn.datasets import load_sample_image
        g = torch.Generator().manual_seed(4)
        im = F.avg_pool2d(torch.tensor(load_sample_image('china.jpg')).float().mean(-1)[None], 5)[0]
        h, w = im.shape
        place = torch.cartesian_prod(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w))
        waves = place@(6*torch.randn(2, 16, generator=g))
        x, y = torch.cat([waves.sin(), waves.cos()], 1), (im.flatten() - im.mean())/im.std()
        i, cut = torch.randperm(len(y), generator=g), int(0.8*len(y))
        self.x, self.y, self.vx, self.vy = (x[i[:cut]],), y[i[:cut]], (x[i[cut:]],), y[i[cut:]]
    def forward(self, p, x): return super().forward(p, x)[..., 0]
    def loss(self, out, y): return (out - y).square().mean(1)

PROBLEMS = dict(digits=Digits, tabular=Tabular, collab=Collab, characters=Characters, mnist=Mnist, photo=Photo)
SEEN, HELD_OUT = ('characters', 'mnist'), ('photo',)  # SEEN: held out at first, looked at before the rule was changed


def step(problem, p, state, grads, lr, t):
    "One optimizer step with a rate for each network, as torch.optim.Adam, AdamW or SGD(momentum=0.9) do it"
    for (k, w), g in zip(p.items(), grads):
        r = lr.view(-1, *[1]*(w.dim() - 1)).to(w.dtype)
        if problem.opt == 'adamw': w.mul_(1 - r*problem.wd)
        elif problem.wd: g = g.add(w, alpha=problem.wd)
        if problem.opt == 'sgd':
            m = state.setdefault(k, torch.zeros_like(w)).mul_(0.9).add_(g)
            w.sub_(r*m)
            continue
        m, v = state.setdefault(k, (torch.zeros_like(w), torch.zeros_like(w)))
        m.lerp_(g, 0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        w.sub_(r/(1 - 0.9**t)*m/((v/(1 - 0.999**t)).sqrt_() + 1e-8))

def train(problem, seeds, rates, stream):
    "Train a network for each seed with the rates [steps, R]; return losses [steps, R] and the trained stack"
    p, state, losses = problem.stack(seeds), {}, []
    order = torch.stack([problem.order(s, len(rates), stream) for s in seeds], 1)
    for t, lr in enumerate(rates, 1):
        x, y = problem.batch(order[t-1])
        for w in p.values(): w.requires_grad_(True)
        loss = problem.loss(problem.forward(p, x), y)
        grads = torch.autograd.grad(loss.sum(), list(p.values()))
        for w in p.values(): w.requires_grad_(False)
        step(problem, p, state, grads, lr, t)
        losses.append(loss.detach().double())
    return torch.stack(losses), p

@torch.no_grad()
def validate(problem, p):
    "Validation loss [R] of a stack of trained networks"
    R = len(next(iter(p.values())))
    out = []
    for part in torch.arange(R).split(32):
        *x, y = (v.expand(len(part), *v.shape) for v in (*problem.vx, problem.vy))
        out.append(problem.loss(problem.forward({k: v[part] for k, v in p.items()}, tuple(x)), y))
    return torch.cat(out).double()

def final(problem, seeds, lrs, steps=None, stream=0):
    "Final validation losses of one-cycle runs, a rate for each seed; at most the untrained loss"
    losses, p = train(problem, seeds, torch.stack([one_cycle(lr, steps or problem.steps) for lr in lrs], 1), stream)
    loss, worst = validate(problem, p), validate(problem, problem.stack(seeds))
    return torch.where(loss.isfinite(), loss, worst).minimum(worst), losses

def search(problem, seeds, num_it=100, streams=(1,)):
    "An LRCurve for each seed, stopped as find_lr stops, with a repeat for each stream of batches"
    rates, runs = lr_sweep(num_it=num_it), [[] for _ in seeds]
    for stream in streams:
        losses, _ = train(problem, seeds, rates[:, None].expand(-1, len(seeds)), stream)
        for run, l in zip(runs, losses.T):
            stop, n = _Stop(), 0
            for x in l.tolist():
                n += 1
                if stop(x): break
            run.append(l[:n])
    return [LRCurve(rates[:max(map(len, run))], tuple(run), num_it) for run in runs]

def trials(problem, seeds, starts):
    "What five short runs around each start choose"
    each = [trial_rates(s) for s in starts]
    steps = problem.steps//4
    _, losses = final(problem, [s for s in seeds for _ in range(5)], [r for e in each for r in e], steps, stream=2)
    ends = losses[-max(int(0.3*steps), 1):].mean(0).view(-1, 5)
    return [pick_trial(e, l.tolist()) for e, l in zip(each, ends)]

def check(problem):
    "The stacked search is find_lr: the same curve from a torch module, a torch optimizer and a list of batches"
    start = problem.stack([0])
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.p = torch.nn.ParameterList([torch.nn.Parameter(v) for v in start.values()])
        def forward(self, *x): return problem.forward(dict(zip(start, self.p)), x)
    net, order = Net(), problem.order(0, 100, 1)
    batches = [(*(v[None] for v in x), y[None]) for x, y in map(problem.batch, order)]
    def sgd(params, **kwargs): return torch.optim.SGD(params, 0.1, momentum=0.9, **kwargs)
    kinds = {'sgd': sgd, 'adam': torch.optim.Adam, 'adamw': torch.optim.AdamW}
    opt = kinds[problem.opt](net.parameters(), weight_decay=problem.wd)
    ours, peer = find_lr(net, batches, lambda o, y: problem.loss(o, y).sum(), opt), search(problem, [0])[0]
    calm = peer.lrs < 1e-2
    torch.testing.assert_close(ours.losses[:len(calm)][calm], peer.losses[calm], rtol=2e-3, atol=1e-4)

def suggestions(problem, n_seeds, n_searches, methods):
    "{method: what it suggests for each seed}"
    some, every = list(range(n_seeds)), list(range(n_searches))
    curves = search(problem, every)
    found = dict(trials=lambda: trials(problem, some, [c.suggest() or 1e-3 for c in curves[:n_seeds]]),
                 robust4=lambda: [c.suggest() for c in search(problem, every, streams=(1, 3, 4, 5))],
                 robust200=lambda: [c.suggest() for c in search(problem, every, 200)])
    return {m: found[m]() if m in found else [c.suggest(m) for c in curves] for m in methods}

def measure(name, problem, n_seeds, n_searches, methods=METHODS):
    "The final losses over the grid, and for each method and seed the rate it suggests with what training reaches"
    seeds = list(range(n_seeds))
    check(problem)
    grid, _ = final(problem, [s for s in seeds for _ in GRID], [lr for _ in seeds for lr in GRID.tolist()])
    grid = grid.view(n_seeds, -1)
    best, untrained, rows = grid.mean(0).argmin(), validate(problem, problem.stack(seeds)), []
    grid_rows = pd.DataFrame([dict(problem=name, seed=s, lr=lr, loss=loss) for s in seeds
                              for lr, loss in zip(GRID.tolist(), grid[s].tolist())])
    for m, found in suggestions(problem, n_seeds, n_searches, methods).items():
        none = [isinstance(f, NoSuggestion) for f in found]
        used = [1e-3 if n else f for f, n in zip(found, none)]
        loss, _ = final(problem, seeds, used[:n_seeds])
        loss = torch.where(torch.tensor(none[:n_seeds]), untrained, loss)
        for s, (f, n) in enumerate(zip(found, none)):
            tried = s < n_seeds
            rows.append(dict(problem=name, method=m, seed=s, lr=None if n else f,
                             loss=loss[s].item() if tried else None, oracle_lr=GRID[best].item(),
                             oracle_loss=grid[s, best].item() if tried else None))
    return grid_rows, pd.DataFrame(rows)

def table(rules):
    "Spread in decades and regret with its 95% interval, by problem and rule"
    from course_lib.core import mean_ci
    out = []
    for (p, m), f in rules.groupby(['problem', 'method'], sort=False):
        r = f.dropna(subset=['loss'])
        e = mean_ci((r.loss/r.oracle_loss.mean()).tolist(), (r.oracle_loss/r.oracle_loss.mean()).tolist())
        out.append(dict(problem=p, method=m, spread=np.log10(f.lr.dropna().astype(float)).std(),
                        median_lr=f.lr.median(), oracle_lr=f.oracle_lr.iloc[0], regret=e.value, low=e.low, high=e.high,
                        seeds=e.n, none=int(f.lr.isna().sum())))
    return pd.DataFrame(out)

def mark(p): return ' (held out)' if p in HELD_OUT else ' (held out at first, since seen)' if p in SEEN else ''

def bottoms(grid):
    "How wide each problem's bottom is, and how well its seeds can tell two rates apart"
    from course_lib.core import mean_ci
    out = []
    for p, f in grid.groupby('problem', sort=False):
        g = f.pivot(index='seed', columns='lr', values='loss')
        mean = g.mean()
        best = mean.idxmin()
        near = mean.index[mean <= 1.12*mean[best]]
        ties = [lr for lr in mean.index if lr == best or mean_ci(g[lr].tolist(), g[best].tolist()).low <= 0]
        i = mean.index.get_loc(best)
        side = max((mean.iloc[j]/mean[best] - 1 for j in (i - 1, i + 1) if 0 <= j < len(mean)))
        out.append(f'| {p} | {best:.2g} | {mean[best]:.3g} | {near.min():.2g} to {near.max():.2g} | '
                   f'{min(ties):.2g} to {max(ties):.2g} | {100*side:.0f}% |')
    return '\n'.join(out)

PAGE = """# Does the suggested rate train well?

{machine}

Each rule suggests a rate from one search of 100 iterations; the network is then trained anew from the same start with a
one-cycle schedule that peaks there. Regret: the mean final validation loss over {seeds} seeds, as excess over the best
rate of a grid (31 rates, 1e-4 to 10, six to the decade) trained with the same seeds. Spread: standard deviation of
log10 of the suggestion over {searches} seeds. The interval is that of Student's t over paired seeds. A diverged run
counts as the untrained loss. `trials` are five runs of a quarter of the length, from half to eight times `robust`.
`robust4` is `robust` over four repeats of the search, `robust200` over one search of 200 iterations.

The constants of `robust` and `trials` were set on digits, tabular and collab only. `characters` and `mnist` were held
out of a first version of the rules; their results were read before the rules were changed, so they are no longer a
clean test: `trials` came to reach further up than down, and `robust` was kept from going beyond the lowest point after
`characters` had shown that without this it ends 34% above the oracle. `photo` was added afterwards and measured once,
when everything was fixed.

{texts}

| problem | rule | median rate | best on the grid | spread (decades) | regret | 95% interval | no suggestion |
|---|---|---|---|---|---|---|---|
{rows}

| rule, over the six problems | mean spread | largest spread | mean regret | worst regret |
|---|---|---|---|---|
{means}

Goals: `robust` spread at most 0.03 on average and 0.07 on any, worst regret at most 12%; `trials` mean regret at most
4.5%, worst at most 6%.
{verdict}

How much can such a table tell? The best rate of the grid is chosen with the same seeds that judge it, so it is partly
luck. Per problem: the best rate and its mean loss, the rates within 12% of it, the rates that the paired seeds cannot
tell from it (95%), and the loss of its worse neighbour on the grid, a factor of 1.47 away.

| problem | best rate | mean loss | within 12% | not told apart | worse neighbour |
|---|---|---|---|---|---|
{bottoms}

Why the spread: two searches from the same first weights on other batches differ as much as two searches from other
weights (correlation of `robust` over {n} seeds between two such searches: {correlation}). What scatters is the noise of
100 small batches, and only more batches shrink it: compare `robust4`.
"""

def lines(t):
    "The rows of a problem and a rule, and those of a rule over all problems"
    each = [f'| {r.problem}{mark(r.problem)} | {r.method} | {r.median_lr:.2g} | {r.oracle_lr:.2g} | {r.spread:.3f} | '
            f'{100*r.regret:.1f}% | {100*r.low:.1f} to {100*r.high:.1f}% | {r.none} |' for r in t.itertuples()]
    mean = [f'| {m} | {f.spread.mean():.3f} | {f.spread.max():.3f} | {100*f.regret.mean():.1f}% | '
            f'{100*f.regret.max():.1f}% |' for m, f in t.groupby('method', sort=False)]
    return '\n'.join(each), '\n'.join(mean)

def report(t, rules, grid):
    "Write results/lr_finder.md"
    between, n = correlation()
    rows, means = lines(t)
    texts = '\n'.join(f"- `{k}`: {' '.join(c.__doc__.split())}; batches of {c.bs}, {c.steps} steps, {c.opt}."
                      for k, c in PROBLEMS.items())
    page = PAGE.format(machine=machine(), seeds=int(t.seeds.min()), texts=texts, rows=rows, means=means,
                       searches=int(rules.groupby(['problem', 'method']).seed.count().max()), verdict=verdict(t),
                       bottoms=bottoms(grid), n=n, correlation=between)
    (RESULTS/'lr_finder.md').write_text(page)

def correlation(n=20):
    "Correlation over seeds of robust's suggestion from two searches on other batches, for the first three problems"
    out = []
    for name in ('digits', 'tabular', 'collab'):
        a, b = ([np.log10(c.suggest()) for c in search(PROBLEMS[name](), list(range(n)), streams=(s,))]
                for s in (1, 3))
        out.append(f'{name} {np.corrcoef(a, b)[0, 1]:.2f}')
    return ', '.join(out), n

def verdict(t):
    "Which goals are met"
    r, q = t[t.method == 'robust'], t[t.method == 'trials']
    goals = (('robust, mean spread', r.spread.mean(), 0.03, ' decades'),
             ('robust, largest spread', r.spread.max(), 0.07, ' decades'),
             ('robust, worst regret', r.regret.max(), 0.12, ''),
             ('trials, mean regret', q.regret.mean(), 0.045, ''), ('trials, worst regret', q.regret.max(), 0.06, ''))
    return '\n'.join(f'- {name}: {x:.3f} against {goal}{unit}, {"met" if x <= goal else "MISSED"}.'
                     for name, x, goal, unit in goals)

def figure(grid, rules):
    "Final loss against rate with every rule's suggestions, written to results/lr_finder.png"
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    from course_lib.core import use_style
    use_style()
    names = [n for n in PROBLEMS if n in set(grid.problem)]
    fig, axs = plt.subplots(1, len(names), figsize=(3*len(names), 3.2), layout='constrained')
    for ax, n in zip(axs, names):
        g = grid[grid.problem == n].groupby('lr').loss.agg(['mean', 'min', 'max'])
        ax.plot(g.index, g['mean'])
        ax.fill_between(g.index, g['min'], g['max'], alpha=0.2)
        suggested = rules[rules.problem == n].dropna(subset=['loss', 'lr']).groupby('method', sort=False)
        for i, (m, f) in enumerate(suggested):
            ax.plot(f.lr, f.loss, 'oPXdsD^v'[i], ms=4, color=f'C{i + 1}', label=m, alpha=0.7)
        seen = ' (held out)' if n in HELD_OUT else ' (seen later)' if n in SEEN else ''
        ax.set(xscale='log', yscale='log', title=n + seen, xlabel='peak learning rate', xlim=(1e-4, 10))
    axs[0].set_ylabel('final validation loss')
    axs[0].legend(fontsize=7)
    fig.savefig(RESULTS/'lr_finder.png', dpi=80)

def merged(new, file, only):
    "The rows of the problems `only`, new, beside those of the others that the file holds"
    new = pd.concat(new)
    if (RESULTS/file).exists():
        old = pd.read_csv(RESULTS/file)
        new = pd.concat([old[~old.problem.isin(only)], new])
    new = new.sort_values('problem', key=lambda c: c.map(list(PROBLEMS).index), kind='stable')
    new.to_csv(RESULTS/file, index=False, float_format='%.6g')
    return pd.read_csv(RESULTS/file)

def main():
    "Measure the problems that are asked for and write what there is of all"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='*', default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument('--seeds', type=int, default=48)
    parser.add_argument('--searches', type=int, default=48)
    parser.add_argument('--dry', action='store_true', help='print, write nothing')
    args = parser.parse_args()
    start, grids, rules = time.perf_counter(), [], []
    for name in args.only:
        g, r = measure(name, PROBLEMS[name](), args.seeds, args.searches)
        grids.append(g)
        rules.append(r)
        print(name, f'{time.perf_counter() - start:.0f} s')
        print(table(r).round(3).to_string(), flush=True)
    if args.dry: return
    grid = merged(grids, 'lr_finder_grid.csv', args.only)
    rules = merged(rules, 'lr_finder_rules.csv', args.only)
    report(table(rules), rules, grid)
    figure(grid, rules)

if __name__ == '__main__': main()
