"What the exercises of the chapter on fine-tuning are held against"
import copy
import math

import torch
from torch import nn

from course_lib.exercises import exercise, expect, same, wrong


@exercise
def resnet_layers(answer):
    for blocks, bottleneck in [([2, 2, 2, 2], False), ([3, 4, 6, 3], True), ([3, 4, 23, 3], True), ([1, 1, 1, 1], False), ([3, 4, 6, 3], False), ([2, 5], True), ([4], False)]:
        each, n = 3 if bottleneck else 2, sum(blocks)
        off = len(blocks) - (not bottleneck)
        got = answer(blocks, bottleneck)
        if isinstance(got, list): got = tuple(got)
        if isinstance(got, torch.Tensor): wrong('give two whole numbers, not a tensor: the layers on the main path, and the shortcut convolutions')
        def plus(main=0, shortcuts=0): return (each*n + 2 + main, off + shortcuts)
        same(got, plus(), what=f'the layers of blocks {blocks} with bottleneck={bottleneck}', mistakes={
            'the main path is one short: besides the blocks there is the first convolution and the last, linear layer': plus(-1),
            'the main path is two short: the first convolution and the last, linear layer are on it too': plus(-2),
            'you counted every block with three layers; a plain block has two, only a bottleneck has three': lambda: (3*n + 2, off),
            'you counted every block with two layers; a bottleneck has three': lambda: (2*n + 2, off),
            'every block got a shortcut convolution; only the first block of a stage needs one, where the size changes': lambda: (each*n + 2, n),
            'every stage got a shortcut convolution; in the first stage of plain blocks the size stays and the shortcut is bare': plus(0, 1),
            'a stage of bottlenecks widens its features even when it is the first one, so it too needs a shortcut convolution': plus(0, -1),
            'the shortcut convolutions stand among those of the main path: they are beside it, so the longest way never goes through them': lambda: (each*n + 2 + off, off),
            'the two numbers have changed places': lambda: (off, each*n + 2),
        })


@exercise
def group_rates(answer):
    for lo, hi, n in [(1e-5, 1e-3, 3), (1e-4, 1e-2, 5), (None, 1e-3, 4), (2e-3, 2e-3, 2), (None, 0.3, 2), (1e-3, 1e-1, 4), (1e-4, 1e-2, 1), (None, 0.02, 1)]:
        got = answer(lo, hi, n)
        if isinstance(got, torch.Tensor): got = got.tolist()
        got = [float(g) for g in got] if isinstance(got, (list, tuple)) else got
        if isinstance(got, list) and len(got) != n: wrong(f'{n} groups want {n} rates, yours are {len(got)}: both ends count, so there is one step fewer than there are groups')
        if lo is None:
            want = [hi/10]*(n - 1) + [hi]
            mistakes = {'with lo left out every group got hi: only the last one does, the others get a tenth': [hi]*n,
                        'with lo left out all groups got a tenth: the last one keeps hi': [hi/10]*n,
                        'with lo left out the FIRST group got hi: the head is the last group': [hi] + [hi/10]*(n - 1),
                        'with lo left out you went from a tenth to hi in equal ratios: all groups but the last get exactly a tenth': lambda: [hi*10**(i/(n - 1) - 1) if n > 1 else hi for i in range(n)]}
        else:
            want = [lo*(hi/lo)**(i/(n - 1)) if n > 1 else hi for i in range(n)]
            mistakes = {'with a single group you give lo: the only group is also the last, and gets hi': [lo]*n if n == 1 else want,
                        'your rates are evenly spaced; they should grow by equal factors': lambda: [lo + (hi - lo)*i/max(n - 1, 1) for i in range(n)],
                        'your last rate is one factor below hi: n rates with both ends have n - 1 steps between them': lambda: [lo*(hi/lo)**(i/n) for i in range(n)],
                        'yours fall from hi to lo: the first group, nearest the picture, gets the lowest rate': lambda: [hi*(lo/hi)**(i/max(n - 1, 1)) for i in range(n)],
                        'all groups but the last got a tenth of hi: that is the rule for when lo is left out': [hi/10]*(n - 1) + [hi]}
        same(got, want, what=f'the rates for lo={lo}, hi={hi}, n={n}', atol=0, mistakes=mistakes)


@exercise
def cycle_rates(answer):
    def cos(a, b, p): return a + (b - a)*(1 - torch.cos(math.pi*p))/2
    def cycle(peak, steps, share, up=cos, down=cos, first=25., last=1e5, n=None):
        p = torch.arange(steps, dtype=torch.float64)/(n or steps)
        return torch.where(p < share, up(peak/first, peak, p/share), down(peak, peak/last, (p - share)/(1 - share)))
    def line(a, b, p): return a + (b - a)*p
    for peak, steps, share in [(1., 8, 0.25), (3e-3, 40, 0.3), (0.1, 10, 0.5), (2., 33, 0.7), (1., 2000, 0.25)]:
        got = answer(peak, steps, share)
        if isinstance(got, (list, tuple)): got = torch.tensor([float(g) for g in got], dtype=torch.float64)
        expect(isinstance(got, torch.Tensor), f'give the rates as a tensor or list of {steps} numbers, not {type(got).__name__}')
        got = got.double()
        expect(len(got) == steps, f'{steps} steps want {steps} rates, yours are {len(got)}')
        same(got, cycle(peak, steps, share), what='rates', rtol=1e-3, atol=1e-7, mistakes={
            'you go up and down in straight lines; the cycle follows half a cosine each way': lambda: cycle(peak, steps, share, line, line),
            'the way up is a straight line; it follows half a cosine too': lambda: cycle(peak, steps, share, line),
            'the way down is a straight line; it follows half a cosine too': lambda: cycle(peak, steps, share, down=line),
            f'yours begin at 0; the first rate is the highest one divided by 25, here {peak/25:.3g}': lambda: cycle(peak, steps, share, first=math.inf),
            'yours begin at the highest rate: the way up is missing': lambda: cos(peak, peak/1e5, torch.arange(steps, dtype=torch.float64)/steps),
            f'the last step already stands at the very end: step i stands at the share i/{steps}, so the last one is just before it': lambda: cycle(peak, steps, share, n=steps - 1),
            f'the way down ends at a twenty-fifth of the highest rate; it should fall towards a hundred-thousandth': lambda: cycle(peak, steps, share, last=25.),
            'your lowest rate belongs to a hundred-thousandth of where you begin: the end is a hundred-thousandth of the highest rate': lambda: cycle(peak, steps, share, last=25e5),
            'the two halves have changed their shares: `share` is the part of the steps spent RISING': lambda: cycle(peak, steps, 1 - share),
            'the cosines are upside down: half a cosine begins and ends flat, and yours jump at the ends': lambda: cycle(peak, steps, share, lambda a, b, p: cos(b, a, p), lambda a, b, p: cos(b, a, p)),
        })


@exercise
def freeze_groups(answer):
    for sizes, n in [((2, 3, 1), 1), ((4, 2), 0), ((3, 1), 2), ((2, 3, 1), -1), ((1, 2, 3, 4), -2)]:
        for start in (True, False):
            groups = [[nn.Parameter(torch.randn(s + 1, i + 2, generator=answer.generator), requires_grad=start) for i in range(s)] for s in sizes]
            counts = [sum(p.numel() for p in g) for g in groups]
            first = n if n >= 0 else len(groups) + n
            kept = [[p.detach().clone() for p in g] for g in groups]
            got = answer.call(groups, n, may_change=True)
            groups = answer.inputs[0]
            asked = f'with {len(sizes)} groups and n={n}'
            state = [[p.requires_grad for p in g] for g in groups]
            want = [[i >= first]*s for i, s in enumerate(sizes)]
            if state != want:
                if state == [[i < first]*s for i, s in enumerate(sizes)]: wrong(f'{asked} the wrong side is frozen: groups before n are frozen, those from n on are trained')
                if n < 0 and state == [[True]*s for s in sizes]: wrong(f'{asked} nothing is frozen: a negative n counts from the end, as in a list')
                if n < 0 and state == [[False]*s for s in sizes]: wrong(f'{asked} everything is frozen: a negative n counts from the end, as in a list')
                if not start and state == [[False]*s for s in sizes]: wrong(f'{asked} groups that were frozen before stay frozen: those from n on must be set free again')
                if state == [[start]*s for s in sizes]: wrong(f'{asked} nothing has changed: set `requires_grad` of the parameters themselves')
                if any(any(s) and not all(s) for s in state): wrong(f'{asked} only some parameters of a group are set: go through all of them')
                if state == [[i > first]*s for i, s in enumerate(sizes)]: wrong(f'{asked} one group too many is frozen: group n itself is trained')
                wrong(f'{asked} the groups should be trained: {[all(s) for s in want]}, yours are: {[all(s) for s in state]}')
            expect(all(p.equal(q) for g, k in zip(groups, kept) for p, q in zip(g, k)), 'the values of the parameters have changed: freezing only decides who gets a gradient')
            expect(got is not None, 'your function returned nothing (None): is `return` missing?')
            total = sum(counts[first:])
            same(got, total, what=f'the count {asked}', mistakes={
                'you counted the frozen parameters; count the trainable ones': sum(counts[:first]),
                'you counted all parameters; count the trainable ones': sum(counts),
                'you counted tensors; a tensor holds many parameters, `numel()` says how many': sum(sizes[first:]),
                'you counted groups; count the parameters in them': len(sizes) - first})


class _Counting(torch.optim.SGD):
    "SGD that counts its steps"
    def __init__(self, params, lr):
        super().__init__(params, lr, momentum=0.9)
        self.steps = 0
    def step(self, closure=None):
        self.steps += 1
        return super().step(closure)


@exercise
def accumulated_step(answer):
    for sizes in [(4, 4, 4), (5, 3), (6, 1, 2), (1,)]:
        gen = answer.generator
        x, y = torch.randn(sum(sizes), 3, generator=gen), torch.randint(0, 4, (sum(sizes),), generator=gen)
        parts = list(zip(x.split(sizes), y.split(sizes)))
        first = nn.Linear(3, 4)
        with torch.no_grad():
            for p in first.parameters(): p.copy_(torch.randn(p.shape, generator=gen))
        def run(step, dirty=False):
            model = copy.deepcopy(first)
            opt = _Counting(model.parameters(), 0.1)
            if dirty:
                for p in model.parameters(): p.grad = torch.ones_like(p)
            out = step(model, opt)
            return torch.cat([p.detach().flatten() for p in model.parameters()]), opt, out
        loss = nn.functional.cross_entropy
        def whole(model, opt):
            opt.zero_grad(); l = loss(model(x), y); l.backward(); opt.step()
            return l.item()
        def by_parts(weight, each=False):
            def step(model, opt):
                opt.zero_grad()
                for a, b in parts:
                    (loss(model(a), b)*weight(b)).backward()
                    if each: opt.step(); opt.zero_grad()
                if not each: opt.step()
            return lambda: run(step)[0]
        def last_only(model, opt):
            for a, b in parts: opt.zero_grad(); (loss(model(a), b)*len(b)/len(y)).backward()
            opt.step()
        want, _, mean = run(whole)
        got, opt, said = run(lambda m, o: answer.call(_Held(m), _Held(o), loss, parts, may_change=True))
        expect(opt.steps > 0, 'the optimizer made no step: after all parts, call `opt.step()` once')
        parts_said = f'{len(sizes)} parts of {", ".join(map(str, sizes))} rows'
        mistakes = {
            'your losses are added up: the gradient of the sum is as many times too large as there are parts. Weigh each part by its share of the rows': by_parts(lambda b: 1),
            f'every part weighs the same, but they differ in size ({parts_said}): the mean over all rows gives a part of two rows twice the weight of a part of one': by_parts(lambda b: 1/len(sizes)),
            'only the last part has left a gradient: `zero_grad` belongs before the loop, not into it': lambda: run(last_only)[0],
            'you make a step after every part: the later parts then see another model. Gather first, step once': by_parts(lambda b: len(b)/len(y), True),
            'you make a step after every part, each with its whole loss: gather first, step once': by_parts(lambda b: 1, True),
            'your gradient is the sum over all rows; the loss is their mean': by_parts(lambda b: len(b)),
        }
        if opt.steps > 1: mistakes = {k: v for k, v in mistakes.items() if 'step after every part' in k}
        if opt.steps > 1 and len(sizes) > 1: wrong(f'your optimizer made {opt.steps} steps for {len(sizes)} parts: the later parts then see another model. Gather the gradients first, step once after every part is in')
        same(got, want, what=f'the weights after the step ({parts_said})', mistakes=mistakes)
        dirty, _, _ = run(lambda m, o: answer.call(_Held(m), _Held(o), loss, parts, may_change=True), dirty=True)
        same(dirty, want, what='the weights when an old gradient was left behind', mistakes={
            'gradients left over from before are mixed in: call `zero_grad` before the first part': lambda: run(lambda m, o: ((loss(m(x), y)).backward(), o.step()), dirty=True)[0]})
        expect(said is not None, 'your function returned nothing (None): is `return` missing?')
        if isinstance(said, torch.Tensor): said = said.detach()
        same(float(said), mean, what='the loss', mistakes={
            'you return the loss of the last part; return the mean over all rows': lambda: loss(first(parts[-1][0]), parts[-1][1]).item(),
            'you return the sum of the losses; return the mean over all rows': lambda: sum(loss(first(a), b).item() for a, b in parts),
            'you return the mean of the losses, but the parts differ in size': lambda: sum(loss(first(a), b).item() for a, b in parts)/len(parts)})


class _Held:
    "Hands a model or an optimizer to an answer as it is, where an answer would otherwise get a copy"
    def __init__(self, thing): self.__dict__['thing'] = thing
    def __deepcopy__(self, memo): return self
    def __getattr__(self, name): return getattr(self.__dict__['thing'], name)
    def __call__(self, *args, **kwargs): return self.__dict__['thing'](*args, **kwargs)


@exercise
def scaled_step(answer):
    gen = answer.generator
    for n, scale, lr in [(5, 1024., 0.1), (3, 2.**14, 1e-3), (1, 8., 0.5)]:
        w = torch.randn(n, generator=gen)
        true = torch.randn(n, generator=gen)*1e-2
        g = (true*scale).half()
        got = answer(w, g, scale, lr)
        expect(isinstance(got, (tuple, list)) and len(got) == 2, 'give two things: the new weights and the factor for the next step')
        want = w - lr*g.float()/scale
        expect(got[0].dtype == torch.float32, f'your new weights are {str(got[0].dtype).removeprefix("torch.")}: the master weights stay float32')
        same(got[0], want, what='the new weights', rtol=1e-6, atol=1e-8, mistakes={
            'your step is as many times too large as the factor: divide the gradients by `scale` again': lambda: w - lr*g.float(),
            'your step is scaled twice: divide the gradients by `scale`, do not multiply': lambda: w - lr*g.float()*scale,
            'the step goes uphill: take it against the gradient': lambda: w + lr*g.float()/scale,
            'your new weights have lost their small digits: they were rounded to half on the way': lambda: (w.half() - lr*(g.float()/scale).half()).float(),
            'the new weights were rounded to half at the end': lambda: want.half().float(),
            'the weights have not moved, though every gradient is finite': w})
        same(float(got[1]), scale, what='the next factor', mistakes={
            'the factor was halved although every gradient is finite': scale/2, 'the factor was doubled: here it only ever falls': scale*2})
    w, scale = torch.randn(4, generator=gen), 2.**16
    tiny = torch.tensor([1, 2, 3, 5], dtype=torch.float32)*2.**-24
    got = answer(w*0, tiny.half(), scale, 1.)
    same(got[0], -tiny/scale, what='the weights after tiny gradients', rtol=1e-5, atol=0, mistakes={
        'very small gradients have become zero: they were divided while still in half precision; turn them into float32 first': lambda: -(tiny.half()/scale).float()})
    for bad in (math.inf, -math.inf, math.nan):
        g = torch.tensor([1., bad, 2., 3.]).half()
        got = answer(w, g, scale, 0.1)
        kind = 'nan' if bad != bad else 'infinite'
        if got[0].isfinite().all() and not got[0].equal(w): wrong(f'one gradient is {kind}, and the other weights have moved: the whole step is skipped, since nobody knows which gradients can be trusted')
        expect(got[0].equal(w), f'one gradient is {kind}, and it went into the weights: skip the whole step')
        same(float(got[1]), scale/2, what=f'the factor after an {kind} gradient', mistakes={
            f'the step is skipped but the factor stays: the next step would end {kind} again': scale, 'the factor was doubled after an overflow: it was too large already': scale*2, 'the factor fell to one: half of it is enough': 1.})
