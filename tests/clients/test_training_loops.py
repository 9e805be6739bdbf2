"""A table: the library's losses, tricks and searches (rows) in the training loops of other libraries (columns).

Every loop trains the same small model on the same batches in the same order, so each row has to end at the weights of
plain PyTorch. A client that is missing is skipped by name; `pip install 'course_lib[clients]'` brings them.
"""
import copy
import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.distillation import CWTMLoss, Ensemble, ban_loss, cwtm_loss, dkpp_loss, kd_loss, teacher_confidence
from course_lib.losses import BCEWithLogitsLoss, CrossEntropyLoss, cross_entropy
from course_lib.lr_finder import find_lr, one_cycle, put_back
from course_lib.tricks import EMA, accumulate, checkpointed, label_count, mixed, mixup, multi_target

N, RATE = 24, 0.1
gen = torch.Generator().manual_seed(0)
X = torch.randn(N, 1, 4, 4, generator=gen)
Y, ROW = torch.arange(N) % 3, torch.arange(N)
TEACHER = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
with torch.no_grad():
    for p in TEACHER.parameters(): p.copy_(torch.randn(p.shape, generator=gen))
SURE = TEACHER(X).softmax(1).amax(1).detach()


def wanted(name):
    return pytest.importorskip(name, reason=f"{name} is missing: the extra 'clients' brings it")


class Net(nn.Module):
    "A small network with batch norm, whose buffers a client may forget"
    def __init__(self, stage=lambda m: m):
        super().__init__()
        torch.manual_seed(1)
        self.stage = stage(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()))
        self.head = nn.Linear(4, 3)

    def forward(self, x): return self.head(self.stage(x).mean((2, 3)))


# ------------------------------------------------------------------ the loops: (net, objective(net, x, y, row), after)

def rows(): return TensorDataset(X, Y, ROW)


def sgd(net): return torch.optim.SGD(net.parameters(), RATE, momentum=0.9)


def plain(net, objective, after, folder):
    opt = sgd(net)
    net.train()
    for batch in DataLoader(rows(), 8):
        opt.zero_grad()
        objective(net, *batch).backward()
        opt.step()
        after(net)


def lightning(net, objective, after, folder):
    L = wanted("lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(L.LightningModule):
        def __init__(self): super().__init__(); self.net = net
        def training_step(self, batch, _): return objective(self.net, *batch)
        def on_train_batch_end(self, *_): after(self.net)
        def configure_optimizers(self): return sgd(self.net)
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
                        enable_model_summary=False, default_root_dir=folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(Module(), DataLoader(rows(), 8))


def accelerate(net, objective, after, folder):
    accelerator = wanted("accelerate").Accelerator(cpu=True)
    made, opt, dl = accelerator.prepare(net, sgd(net), DataLoader(rows(), 8))
    made.train()
    for batch in dl:
        with accelerator.accumulate(made):
            accelerator.backward(objective(made, *batch))
            opt.step()
            opt.zero_grad()
            after(made)


def trainer(net, objective, after, folder, **options):
    transformers = wanted("transformers")
    wanted("accelerate")

    class Trainer(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **_): return objective(model, inputs["x"], inputs["y"], inputs["row"])
        def _get_train_sampler(self, *_): return torch.utils.data.SequentialSampler(self.train_dataset)

    class After(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_): after(model)
    args = transformers.TrainingArguments(str(folder), per_device_train_batch_size=8, num_train_epochs=1, report_to=[], use_cpu=True, save_strategy="no",
                                          logging_strategy="no", disable_tqdm=True, remove_unused_columns=False, max_grad_norm=0)
    made = Trainer(net, args, train_dataset=[{"x": x, "y": y, "row": r} for x, y, r in zip(X, Y, ROW)], callbacks=[After()],
                   optimizers=(opt := sgd(net), torch.optim.lr_scheduler.LambdaLR(opt, lambda step: 1)))
    made.train()


def timm(net, objective, after, folder):
    "The loop of timm's train.py: its optimizer, schedule and scaler"
    wanted("timm")
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2
    from timm.utils import NativeScaler
    opt = create_optimizer_v2(net, opt="momentum", lr=RATE, momentum=0.9, weight_decay=0.)
    schedule, _ = create_scheduler_v2(opt, sched="step", num_epochs=1, decay_epochs=100)
    scaler = NativeScaler(device="cpu")
    net.train()
    for step, batch in enumerate(DataLoader(rows(), 8)):
        opt.zero_grad()
        scaler(objective(net, *batch), opt, parameters=net.parameters())
        after(net)
        schedule.step_update(step)


LOOPS = {f.__name__: f for f in (lightning, accelerate, trainer, timm)}


# ------------------------------------------------------------------ the rows: what is trained with

def with_loss(loss, **options):
    "A row that trains with `loss(logits, y, row)`"
    return lambda: (Net(**options), lambda net, x, y, row: loss(net(x), y, row), lambda net: None, lambda: ())


def with_average():
    net = Net()
    ema = EMA(net, 0.5)
    return net, lambda net, x, y, row: cross_entropy(net(x), y), ema.update, lambda: list(ema.model.state_dict().values())


def with_mix():
    draws, loss = torch.Generator().manual_seed(3), mixed(cross_entropy)
    def objective(net, x, y, row):
        x, y = mixup(x, y, generator=draws)
        return loss(net(x), y)
    return Net(), objective, lambda net: None, lambda: ()


def with_schedule():
    "Rates of one cycle, kept by the run itself"
    seen, rates = [], one_cycle(1., 3).tolist()
    def objective(net, x, y, row):
        seen.append(rates[len(seen)])
        return seen[-1]*cross_entropy(net(x), y)
    return Net(), objective, lambda net: None, lambda: [torch.tensor(seen)]


def draws(): return torch.Generator().manual_seed(5)


TWO = multi_target([(slice(0, 2), lambda z, t: cross_entropy(z, t.clamp(max=1))), (slice(2, 3), lambda z, t: BCEWithLogitsLoss()(z[:, 0], (t > 1).float()))])
ROWS = {
    "cross entropy": with_loss(lambda z, y, row: CrossEntropyLoss(label_smoothing=0.1, weight=torch.tensor([1., 2., 3.]))(z, y)),
    "cross entropy, probabilities": with_loss(lambda z, y, row: cross_entropy(z, nn.functional.one_hot(y, 3)*0.7 + 0.1)),
    "binary": with_loss(lambda z, y, row: BCEWithLogitsLoss()(z, nn.functional.one_hot(y, 3)*0.7 + 0.1)),
    "two targets": with_loss(lambda z, y, row: TWO(z, y, y)),
    "kd": with_loss(lambda z, y, row: kd_loss(z, y, TEACHER(X[row]))),
    "ban": with_loss(lambda z, y, row: ban_loss(z, y, TEACHER(X[row]), label_weight=0.5)),
    "dkpp": with_loss(lambda z, y, row: dkpp_loss(z, y, TEACHER(X[row]), generator=draws())),
    "cwtm": with_loss(lambda z, y, row: cwtm_loss(z, y, Ensemble([TEACHER])(X[row]))),
    "cwtm, confidence": with_loss(lambda z, y, row: CWTMLoss(weigh="max")(z, y, confidence=SURE[row]**2)),
    "checkpointed": with_loss(lambda z, y, row: cross_entropy(z, y), stage=checkpointed),
    "average": with_average, "mixup": with_mix, "schedule": with_schedule,
}


def trained(loop, row, folder):
    "All weights, buffers and whatever else a row keeps, after training"
    torch.manual_seed(2)
    net, objective, after, more = ROWS[row]()
    loop(net, objective, after, folder)
    return [*net.state_dict().values(), *more()]


@pytest.fixture(scope="module")
def reference(tmp_path_factory): return {row: trained(plain, row, tmp_path_factory.mktemp("plain")) for row in ROWS}


def test_the_rows_differ(reference):
    firsts = [found[0].flatten() for row, found in reference.items() if row != "average"]  # checkpointed trains as average does
    assert all((a - b).abs().max() > 1e-4 for i, a in enumerate(firsts) for b in firsts[:i])


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("client", LOOPS)
def test_ends_where_plain_pytorch_does(client, row, reference, tmp_path):
    found = trained(LOOPS[client], row, tmp_path)
    assert len(found) == len(reference[row])
    for got, want in zip(found, reference[row]): torch.testing.assert_close(got, want)


# ------------------------------------------------------------------ the finder, in the step of each client

def kept(net): return [t.clone() for t in net.state_dict().values()]


def lightning_step(net, folder):
    "A module under manual optimization, as those have it who drive the step themselves"
    L = wanted("lightning")

    class Module(L.LightningModule):
        def __init__(self): super().__init__(); self.net, self.seen = net, 0
        def training_step(self, batch, _): self.seen += 1; return cross_entropy(self.net(batch[0]), batch[1])
        def configure_optimizers(self): return sgd(self)
    module = Module()
    opt = module.configure_optimizers()
    def step(batch):
        opt.zero_grad(); loss = module.training_step(batch, 0); loss.backward(); opt.step()
        return loss
    return module, DataLoader(rows(), 8), opt, step, lambda: module.seen


def accelerate_step(net, folder):
    accelerator = wanted("accelerate").Accelerator(cpu=True)
    made, opt, dl = accelerator.prepare(net, sgd(net), DataLoader(rows(), 8, shuffle=True))
    def step(batch):
        loss = cross_entropy(made(batch[0]), batch[1])
        accelerator.backward(loss); opt.step(); opt.zero_grad()
        return loss
    return made, dl, opt, step, lambda: accelerator.step


def trainer_step(net, folder):
    transformers = wanted("transformers")
    wanted("accelerate")

    class Named(nn.Module):
        def __init__(self): super().__init__(); self.net = net
        def forward(self, x, labels=None): return {"loss": cross_entropy(self.net(x), labels), "logits": self.net(x)}
    model = Named()
    args = transformers.TrainingArguments(str(folder), per_device_train_batch_size=8, report_to=[], use_cpu=True)
    made = transformers.Trainer(model, args, train_dataset=[{"x": x, "labels": y} for x, y in zip(X, Y)])
    opt = made.create_optimizer()
    made.current_gradient_accumulation_steps = 1  # which `train` sets, from transformers 5 on
    def step(batch):
        opt.zero_grad(); loss = made.training_step(model, batch); opt.step()
        return loss
    return model, made.get_train_dataloader(), opt, step, lambda: made.state.global_step


def timm_step(net, folder):
    wanted("timm")
    from timm.optim import create_optimizer_v2
    from timm.utils import ModelEmaV3, NativeScaler
    opt, scaler, ema = create_optimizer_v2(net, opt="adamw", lr=RATE), NativeScaler(device="cpu"), ModelEmaV3(net, decay=0.5)
    def step(batch):
        opt.zero_grad(); loss = cross_entropy(net(batch[0]), batch[1])
        scaler(loss, opt, parameters=net.parameters(), clip_grad=1.)
        ema.update(net)
        return loss
    return net, DataLoader(rows(), 8), opt, step, lambda: float(ema.module.head.weight.detach().sum())


@pytest.mark.parametrize("make", [lightning_step, accelerate_step, trainer_step, timm_step])
def test_the_finder_puts_back_what_a_clients_step_moves(make, tmp_path):
    net = Net()
    model, dl, opt, step, counter = make(net, tmp_path)
    before, mode, count, rates, order = kept(net), net.training, counter(), [g["lr"] for g in opt.param_groups], torch.get_rng_state()
    curve = find_lr(model, dl, opt=opt, step=step, num_it=20, stop_div=False)
    assert len(curve.lrs) == 20 and curve.losses.isfinite().all() and curve.losses[0] > curve.losses.min()
    for got, want in zip(kept(net), before): assert torch.equal(got, want)
    assert net.training == mode and counter() == count and [g["lr"] for g in opt.param_groups] == rates and torch.equal(torch.get_rng_state(), order)
    assert not opt.state


@pytest.mark.parametrize("client", LOOPS)
def test_a_whole_training_is_put_back(client, tmp_path):
    net = Net()
    before, order = kept(net), torch.get_rng_state()
    with put_back(net): LOOPS[client](net, lambda net, x, y, row: cross_entropy(net(x), y), lambda net: None, tmp_path)
    for got, want in zip(kept(net), before): assert torch.equal(got, want)
    assert torch.equal(torch.get_rng_state(), order)


# ------------------------------------------------------------------ teachers and loaders of clients

def lightning_teacher(folder):
    L = wanted("lightning")

    class Module(L.LightningModule):
        def __init__(self): super().__init__(); self.net = TEACHER
        def forward(self, x): return self.net(x)
    return Module(), DataLoader(TensorDataset(X, Y), 7)


def accelerate_teacher(folder):
    accelerator = wanted("accelerate").Accelerator(cpu=True)
    return accelerator.prepare(copy.deepcopy(TEACHER), DataLoader(TensorDataset(X, Y), 7))


def transformers_teacher(folder):
    transformers = wanted("transformers")
    from transformers.modeling_outputs import ImageClassifierOutput

    class Named(nn.Module):
        def __init__(self): super().__init__(); self.net = TEACHER
        def forward(self, pixel_values): return ImageClassifierOutput(logits=self.net(pixel_values))
    def collate(items): return transformers.BatchFeature({"pixel_values": torch.stack([x for x, _ in items]), "labels": torch.tensor([int(y) for _, y in items])})
    return Named(), DataLoader(list(zip(X, Y)), 7, collate_fn=collate)


def timm_teacher(folder):
    wanted("timm")
    from timm.data.loader import PrefetchLoader
    class Loader(PrefetchLoader):  # timm's own normalises on its way; without a GPU it stands aside
        def __iter__(self): return iter(self.loader)
    return copy.deepcopy(TEACHER), Loader(DataLoader(TensorDataset(X, Y), 7), device=torch.device("cpu"), channels=1, mean=(0.,), std=(1.,))


@pytest.mark.parametrize("weigh", ["max", "label"])
@pytest.mark.parametrize("make", [lightning_teacher, accelerate_teacher, transformers_teacher, timm_teacher])
def test_the_confidence_of_a_clients_teacher(make, weigh, tmp_path):
    model, dl = make(tmp_path)
    p = TEACHER(X).softmax(1).detach()
    torch.testing.assert_close(teacher_confidence(model, dl, weigh=weigh), p.amax(1) if weigh == "max" else p[ROW, Y])


def test_an_image_classifier_of_transformers_learns_from_another():
    "As teacher and as student, with the loss on what its `.logits` hold"
    transformers = wanted("transformers")
    config = transformers.ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=4, patch_size=2, num_channels=1,
                                    num_labels=3)
    student, teacher = (transformers.ViTForImageClassification(config) for _ in range(2))
    both = Ensemble([teacher, student])
    loss = cwtm_loss(student(X).logits, Y, both(X))
    loss.backward()
    assert student.classifier.weight.grad.abs().sum() > 0 and teacher.classifier.weight.grad is None
    ema = EMA(student)
    ema.update(student)
    assert ema.model.config.num_labels == 3


# ------------------------------------------------------------------ accumulation: four parts, one step

def test_accumulated_parts_are_the_large_batch_in_accelerates_backward():
    accelerator = wanted("accelerate").Accelerator(cpu=True)
    y = torch.where(ROW % 5 == 0, -100, Y)
    one, parts = nn.Linear(16, 3), nn.Linear(16, 3)
    parts.load_state_dict(one.state_dict())
    cross_entropy(one(X.flatten(1)), y).backward()
    made, opt = accelerator.prepare(parts, sgd(parts))
    loss = accumulate(list(zip(X.flatten(1).split(7), y.split(7))), lambda x, y: cross_entropy(made(x), y, reduction="sum"),
                      lambda x, y: label_count(y), accelerator.backward)
    torch.testing.assert_close(parts.weight.grad, one.weight.grad)
    assert not loss.requires_grad


def test_lightnings_precision_takes_the_losses():
    "bfloat16 autocast by the Trainer: the losses are float32 and finite, as torch's are"
    L = wanted("lightning")
    seen = []

    class Module(L.LightningModule):
        def __init__(self): super().__init__(); self.net = Net()
        def training_step(self, batch, _):
            x, y, row = batch
            z = self.net(x)
            seen.append([z.dtype, *(loss.dtype for loss in (cross_entropy(z, y), kd_loss(z, y, TEACHER(x)), cwtm_loss(z, y, TEACHER(x))))])
            return cross_entropy(z, y)
        def configure_optimizers(self): return sgd(self)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        L.Trainer(max_steps=1, accelerator="cpu", precision="bf16-mixed", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                  enable_model_summary=False).fit(Module(), DataLoader(rows(), 8))
    assert seen == [[torch.bfloat16, torch.float32, torch.float32, torch.float32]]


# ------------------------------------------------------------------ torchmetrics beside what the library counts

def test_confusion_counts_as_torchmetrics_does():
    tm = wanted("torchmetrics")
    from course_lib.segmentation import Confusion
    scores, target = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.randint(3, (4, 8, 8), generator=torch.Generator().manual_seed(2))
    ours = Confusion(3)
    theirs = tm.MetricCollection({"iou": tm.JaccardIndex("multiclass", num_classes=3), "dice": tm.F1Score("multiclass", num_classes=3, average="macro"),
                                  "acc": tm.Accuracy("multiclass", num_classes=3, average="micro"), "table": tm.ConfusionMatrix("multiclass", num_classes=3)})
    for s, t in zip(scores.split(2), target.split(2)): ours.update(s, t); theirs.update(s, t)
    want = theirs.compute()
    assert torch.equal(ours.counts, want["table"])
    for got, name in ((ours.iou().mean, "iou"), (ours.dice().mean, "dice"), (ours.accuracy().overall, "acc")): assert abs(got - float(want[name])) < 1e-6


def test_errors_and_ranking_are_torchmetrics():
    wanted("torchmetrics")
    from torchmetrics.functional import mean_absolute_error, mean_squared_error
    from torchmetrics.functional.retrieval import retrieval_hit_rate, retrieval_normalized_dcg, retrieval_recall

    from course_lib.collab import hit_rate, mae, ndcg, recall, rmse
    a, b = torch.randn(50), torch.randn(50)
    torch.testing.assert_close(rmse(a, b), mean_squared_error(a, b, squared=False))
    torch.testing.assert_close(mae(a, b), mean_absolute_error(a, b))
    order = torch.rand(6, 20).argsort(1, descending=True)
    relevant = torch.rand(6, 20) < 0.3
    relevant[:, 0] = True
    score = 20. - order.argsort(1)  # larger at an earlier place, above 0 as torchmetrics wants it
    hits, n = relevant.gather(1, order)[:, :5], relevant.sum(1)
    for ours, theirs in ((hit_rate(hits), retrieval_hit_rate), (ndcg(hits, n), retrieval_normalized_dcg), (recall(hits, n), retrieval_recall)):
        assert abs(ours - np.mean([float(theirs(s, r, top_k=5)) for s, r in zip(score, relevant)])) < 1e-6


def test_a_metric_of_torchmetrics_judges_the_finders_validation():
    "A loss that is a metric's `update` elsewhere: the finder asks the loss alone, the metric keeps its own state"
    tm = wanted("torchmetrics")
    metric, net = tm.Accuracy("multiclass", num_classes=3), Net()
    def loss(z, y):
        metric.update(z.detach(), y)
        return cross_entropy(z, y)
    find_lr(net, DataLoader(TensorDataset(X, Y), 8), loss, num_it=5, keep=[metric])
    assert not metric.update_called
