"""What runs in each process of the tests of this folder, and, as rank 0 of 1 without a process group, beside them.

A check is a function of rank and world that returns what must be the same on one process and on each of several.
"""
import traceback
from contextlib import nullcontext
from functools import partial

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from course_lib import distillation, losses, scaling, segmentation, tricks
from course_lib.collab import DotProductBias, Ratings, fit
from course_lib.foundations import Batches, Dataset, Learner
from course_lib.groups import check_group, check_same, group_mean, group_sum
from course_lib.lr_finder import find_lr

N, C = 12, 4
DOUBLE = torch.float64


def bounds(world, first): return [0, *range(first, first + world - 1), N]


def taken(split, rank, world):
    "The rows of a process: every world-th, a few for the first, or none for the first"
    if world == 1: return slice(None)
    if split == "even": return slice(rank, None, world)
    edges = bounds(world, 3 if split == "uneven" else 0)
    return slice(edges[rank], edges[rank + 1])


def group(world): return "batch" if world == 1 else dist.group.WORLD


def data(places=()):
    "Inputs, labels (the first five rows have none that counts), soft targets, a teacher's logits, numbers"
    g = torch.Generator().manual_seed(0)
    x, t = torch.randn(N, *places, 6, generator=g, dtype=DOUBLE), torch.randn(N, C, *places, generator=g, dtype=DOUBLE)
    t[:5] *= 20
    y = torch.randint(C, (N, *places), generator=g)
    y[:5] = -100
    soft = torch.randn(N, C, *places, generator=g, dtype=DOUBLE).softmax(1)
    return x, y, soft, t


def model(seed=1):
    torch.manual_seed(seed)
    return nn.Linear(6, C).double()


WEIGHT = torch.tensor([1., 3., 9., 0.5], dtype=DOUBLE)
ce, kd, cwtm = losses.cross_entropy, distillation.kd_loss, distillation.cwtm_loss
LOSSES = {
    "cross_entropy": lambda z, y, s, t, n: ce(z, y, normalizer=n),
    "cross_entropy, weights, smoothing": lambda z, y, s, t, n: ce(z, y, WEIGHT, label_smoothing=0.1, normalizer=n),
    "cross_entropy, soft": lambda z, y, s, t, n: ce(z, s, WEIGHT, normalizer=n),
    "CrossEntropyLoss": lambda z, y, s, t, n: losses.CrossEntropyLoss(WEIGHT, normalizer=n)(z, y),
    "nll_loss": lambda z, y, s, t, n: losses.nll_loss(losses.log_softmax(z, 1), y, WEIGHT, normalizer=n),
    "kl_div": lambda z, y, s, t, n: losses.kl_div(losses.log_softmax(z, 1), s, normalizer=n),
    "kl_div, batchmean": lambda z, y, s, t, n: losses.kl_div(losses.log_softmax(z, 1), s, "batchmean", normalizer=n),
    "bce": lambda z, y, s, t, n: losses.BCEWithLogitsLoss(normalizer=n)(z, s),
    "cwtm": lambda z, y, s, t, n: cwtm(z, y, t, normalizer=n),
    "cwtm, label, weights, plain": lambda z, y, s, t, n: cwtm(z, y, t, weigh="label", weight=WEIGHT, value="plain",
                                                              normalizer=n),
    "cwtm, soft": lambda z, y, s, t, n: cwtm(z, s, t, label_smoothing=0.1, normalizer=n),
    "kd": lambda z, y, s, t, n: kd(z, y, t, alpha=0.5, normalizer=n),
    "kd, no labels": lambda z, y, s, t, n: kd(z, None, t, alpha=1, normalizer=n),
    "ban": lambda z, y, s, t, n: distillation.ban_loss(z, y, t, label_weight=1, normalizer=n),
}
PLACES = {
    "dice": lambda z, y, n: segmentation.dice_loss(z, y, normalizer=n),
    "jaccard, image": lambda z, y, n: segmentation.jaccard_loss(z, y, average="image", normalizer=n),
    "dice, count": lambda z, y, n: segmentation.dice_loss(z, y, absent="count", normalizer=n),
    "lovasz, image": lambda z, y, n: segmentation.lovasz_loss(z, y, average="image", normalizer=n),
    "cross_entropy, pixels": lambda z, y, n: ce(z, y, WEIGHT, normalizer=n),
}


def trained(loss, layer, world):
    "The loss and the gradient as the average over the processes"
    grads = torch.autograd.grad(loss, list(layer.parameters()))
    held = [loss.detach(), *grads]
    return held if world == 1 else group_mean(held, dist.group.WORLD)


def all_losses(rank, world):
    out = {}
    for split in ("even", "uneven", "no rows"):
        rows, layer = taken(split, rank, world), model()
        x, y, s, t = (part[rows] for part in data())
        for name, loss in LOSSES.items():
            out[split, name] = trained(loss(layer(x), y, s, t, group(world)), layer, world)
        mean = scaling.global_mean(F.cross_entropy(layer(x), y, WEIGHT, reduction="sum"), tricks.label_count(y, WEIGHT))
        out[split, "global_mean"] = trained(mean, layer, world)
        x, y, *_ = (part[rows] for part in data((2, 2)))
        for name, loss in PLACES.items():
            out[split, name] = trained(loss(layer(x).movedim(-1, 1), y, group(world)), layer, world)
    return out


def dkpp(rank, world):
    "Each process permutes with a generator of its own: beside it the same permutations on one process"
    out = []
    for split in ("even", "uneven", "no rows"):
        layer, (x, y, _, t) = model(), data()
        def loss(rows, k, **options):
            return distillation.dkpp_loss(layer(x[rows]), y[rows], t[rows],
                                          generator=torch.Generator().manual_seed(k), **options)
        parts = [loss(taken(split, k, max(world, 2)), k, reduction="sum") for k in range(max(world, 2))]
        want = sum(parts)/(y >= 0).sum()
        got = want if world == 1 else loss(taken(split, rank, world), rank, normalizer=dist.group.WORLD)
        got, want = trained(got, layer, world), [want.detach(), *torch.autograd.grad(want, list(layer.parameters()))]
        out.append(max(float((a - b).abs().max()) for a, b in zip(got, want)))
    return max(out) < 1e-12


def norm(rank, world):
    "Outputs, gradients and running statistics of batch norm, with as many rows as there are, or none"
    out = []
    for split in ("even", "uneven", "no rows"):
        for momentum in (0.1, None):
            torch.manual_seed(0)
            net = nn.Sequential(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4, momentum=momentum), nn.Tanh(), nn.Flatten(),
                                nn.Linear(16, 5), nn.BatchNorm1d(5, affine=False)).double()
            net = scaling.SyncBatchNorm.convert_sync_batchnorm(net)
            x = torch.randn(N, 3, 3, 3, dtype=DOUBLE)
            target = torch.randn(N, 5, dtype=DOUBLE)
            rows = taken(split, rank, world)
            for _ in range(2):
                y = net(x[rows])
                loss = scaling.global_mean((y - target[rows]).square().sum(), 5*len(y))
                values = trained(loss, net, world)
            out += [values, {k: v.double() for k, v in net.state_dict().items()}]
            whole = torch.zeros(N, 5, dtype=DOUBLE)
            whole[rows] = y.detach()
            out += [whole if world == 1 else group_sum(whole), net.eval()(x).detach()]
    return out


def collab(rank, world):
    "A recommender trained by `fit`, with an uneven last batch"
    g = torch.Generator().manual_seed(0)
    places = torch.randperm(300, generator=g)[:211]
    table = Ratings.from_df({"user": (places//15).tolist(), "item": (places % 15).tolist(),
                             "rating": torch.randint(1, 6, (211,), generator=g).tolist()})
    loaders = table.loaders(32, device="cpu")
    loaders.train.y = loaders.train.y.double()
    torch.manual_seed(0)
    net = DotProductBias(5)
    net.build(table.n_users, table.n_items)
    net.double()
    history = fit(net, loaders, 2, progress=False, process_group=None if world == 1 else dist.group.WORLD)
    return net.state_dict(), [h.train_loss for h in history]


def batches():
    x, y, *_ = data()
    return [(x[k:k + 5], y[k:k + 5].clamp(min=0)) for k in range(0, N, 5)]


def finder(rank, world):
    "A curve, the validation loss of trials, and everything back in its place"
    layer = model()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    net = layer if world == 1 else DistributedDataParallel(layer)
    rows = slice(rank, None, world)
    mine = [(x[rows], y[rows]) for x, y in batches()]
    random = torch.get_rng_state()
    loss, opt = partial(ce, normalizer=group(world)), torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    curve = find_lr(net, mine, loss, opt, num_it=30, valid=mine, process_group=None if world == 1 else dist.group.WORLD)
    assert all(layer.state_dict()[k].equal(v) for k, v in before.items()) and torch.get_rng_state().equal(random)
    final = curve._trial([0.1], 4)
    return curve.losses, final


def accumulation(rank, world):
    "Gradients of three batches in one step, all-reduced once"
    layer = model()
    net = layer if world == 1 else DistributedDataParallel(layer)
    mine = [(x[rank::world], y[rank::world]) for x, y in batches()]
    count = torch.tensor(float(sum(len(y) for _, y in mine)), dtype=DOUBLE)
    if world > 1: count = group_sum(count)/world
    sent = []
    if world > 1:
        def told(state, bucket):
            sent.append(1)
            return dist.all_reduce(bucket.buffer().div_(world), async_op=True).get_future().then(lambda f: f.value()[0])
        net.register_comm_hook(None, told)
    for place, (x, y) in enumerate(mine):
        with net.no_sync() if world > 1 and place < 2 else nullcontext():
            (ce(net(x), y, reduction="sum")/count).backward()
    assert world == 1 or len(sent) == 1
    return [p.grad for p in layer.parameters()]


def learner(rank, world):
    "The course's Learner with accumulation, weights that count, ignored labels and a last batch of two rows"
    torch.manual_seed(0)
    x = torch.randn(26, 6, dtype=DOUBLE)
    y = torch.randint(C, (26,))
    y[::9] = -100
    rows = Dataset(x, y)
    accumulate = tricks.Accumulate(2, lambda t: tricks.label_count(t, WEIGHT),
                                   process_group=None if world == 1 else dist.group.WORLD)
    learn = Learner(Batches(rows, 6, True, torch.Generator().manual_seed(0)), Batches(rows, 10), model(),
                    losses.CrossEntropyLoss(WEIGHT), torch.optim.AdamW, callbacks=[accumulate],
                    device=torch.device("cpu"))
    scaling.distribute(learn).fit(2, 0.1)
    return learn.model.state_dict(), learn.recorder.batch_losses, learn.recorder.epochs


def steps(net, opt, folder, stop, world, rank, every=2):
    "Train until step `stop`, from a checkpoint if there is one"
    first = scaling.resume(folder, net, opt)
    x, y, *_ = data()
    for step in range(first, stop):
        opt.zero_grad()
        rows = torch.randperm(N, generator=torch.Generator().manual_seed(step))[rank::world]
        scaling.global_mean(ce(net(x[rows]), y[rows], reduction="sum"), tricks.label_count(y[rows])).backward()
        opt.step()
        if step % every == 1: scaling.save(folder, step + 1, net, opt)
    return first


def full(net): return {k: v.full_tensor() if hasattr(v, "full_tensor") else v for k, v in net.state_dict().items()}


def sharded(rank, world, folder):
    "FSDP2, stopped after five steps and resumed from the fourth"
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    def made():
        net = nn.Sequential(model(2), nn.Tanh(), nn.Linear(C, C, dtype=DOUBLE))
        if world > 1:
            mesh = init_device_mesh("cpu", (world,))
            for part in (net[0], net[2], net): fully_shard(part, mesh=mesh)
        return net, torch.optim.AdamW(net.parameters(), lr=0.1)
    net, opt = made()
    steps(net, opt, folder, 5, world, rank)
    torch.manual_seed(1)
    net, opt = made()
    assert steps(net, opt, folder, 8, world, rank) == 4
    return full(net)


def metrics(rank, world):
    rows = range(rank, 7, world) if rank or world == 1 else ()
    if world > 1 and rank == 1: rows = range(7)  # the first has none
    if world > 1 and rank > 1: rows = ()
    right = torch.tensor([1., 0, 1, 1, 0, 1, 1], dtype=DOUBLE)[list(rows)]
    return scaling.reduce_metrics({"accuracy": right.mean()}, len(right))


def small_learner(net, order=None):
    rows = Dataset(*batches()[0])
    return scaling.distribute(Learner(Batches(rows, 3, order is not None, order), Batches(rows, 5), net, ce,
                                      device=torch.device("cpu")))


def bad_input(rank, world):
    "What is said on each process"
    if world == 1: return None
    out = {}
    lone = dist.new_group([0])
    calls = {
        "unequal": lambda: check_same(model(rank).state_dict()),
        "metrics": lambda: scaling.reduce_metrics({f"metric {rank}": 1.}, 1),
        "rows": lambda: scaling.shard(world - 1, rank, world),
        "backend": lambda: ce(torch.zeros(2, 2, device="meta"), torch.zeros(2, dtype=torch.long, device="meta"),
                              normalizer=dist.group.WORLD),
        "stranger": lambda: check_group(lone, torch.device("cpu")) if rank else None,
        "learner": lambda: small_learner(model(rank)).fit(1, 0.1),
        "orders": lambda: small_learner(model(), torch.Generator().manual_seed(rank)).fit(1, 0.1),
    }
    for name, call in calls.items():
        try: out[name] = repr(call())
        except ValueError as e: out[name] = str(e)
    return out


CHECKS = {f.__name__: f for f in (all_losses, dkpp, norm, collab, finder, accumulation, learner, metrics, bad_input)}


def everything(rank, world, folder, names=None):
    "The result of each check, or of those named, or its traceback"
    torch.set_num_threads(1)
    out = {}
    for name, check in (CHECKS | {"sharded": partial(sharded, folder=folder)}).items():
        if names and name not in names: continue
        try: out[name] = check(rank, world)
        except Exception: out[name] = traceback.format_exc()
        if world > 1: dist.barrier()
    return out
