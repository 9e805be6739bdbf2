"""One call on CUDA tensors for each public function that takes tensors: the table behind `tools/gates/fake_cuda.py`.

A call is a function without arguments; the tensors it makes with `floats`, `labels` and so on are fake and on CUDA.
"""
from functools import partial
from types import SimpleNamespace

import torch
from torch import nn

from course_lib import collab, convolutions, distillation, fine_tuning, foundations, groups, losses, lr_finder
from course_lib import presizing, scaling, segmentation, state, tabular, text, tricks, validate

cuda = partial(torch.zeros, device="cuda")
CALLS = {}


def floats(*shape): return cuda(shape)
def labels(*shape): return cuda(shape, dtype=torch.int64)
def model(n=4, c=3): return nn.Linear(n, c, device="cuda")


def later(function, *shapes): return function(*(floats(*shape) for shape in shapes))


def call(*names):
    "Register a call for the function with this name, such as 'losses.softmax'"
    def keep(function):
        for name in names: CALLS[name] = function
        return function
    return keep


# losses and their contract

for f in (losses.softmax, losses.log_softmax, losses.entropy): CALLS[f"losses.{f.__name__}"] = partial(later, f, (4, 3))


@call("losses.cross_entropy", "losses.CrossEntropyLoss.forward", "losses.CrossEntropyLoss.__init__")
def _():
    losses.cross_entropy(floats(4, 3), labels(4))
    losses.CrossEntropyLoss(cuda(3), ignore_index=1, label_smoothing=0.1)(floats(4, 3), labels(4))
    losses.cross_entropy(floats(4, 3, 2), floats(4, 3, 2), cuda(3), label_smoothing=0.1)


@call("losses.nll_loss")
def _(): losses.nll_loss(floats(4, 3), labels(4), cuda(3), ignore_index=0)


@call("groups.divisor", "groups.mean_over", "groups.reduced")
def _():
    groups.divisor(cuda(()), 2.)
    groups.mean_over(floats(4), floats(4))
    groups.reduced(floats(4), None, "mean", 3.)


@call("groups.check_normalizer")
def _(): groups.check_normalizer(cuda(()), "mean")


@call("losses.kl_div")
def _(): losses.kl_div(floats(4, 3), floats(4, 3), "batchmean")


@call("losses.binary_cross_entropy_with_logits",
      "losses.BCEWithLogitsLoss.forward", "losses.BCEWithLogitsLoss.__init__")
def _(): losses.BCEWithLogitsLoss(cuda(4, 1), pos_weight=cuda(3))(floats(4, 3), floats(4, 3))


@call("validate.holds", "validate.require")
def _():
    assert validate.holds(floats(1)[0] > 0) is None
    validate.require(floats(3) > 0, "x must be positive", values=floats(3))


@call("validate.within")
def _(): assert validate.within(floats(3), 0, 1) is None


@call("validate.autocast_float")
def _(): validate.autocast_float(floats(3).half())


@call("validate.check_like", "validate.check_target", "validate.check_weight", "validate.class_labels")
def _():
    validate.check_like("a", floats(4, 3), "b", floats(4, 3))
    validate.check_weight(floats(3), "x", floats(4, 3), validate.check_target(labels(4), "x", floats(4, 3)))
    validate.class_labels(labels(4), 3)


# distillation

for name in ("kd_loss", "ban_loss"):
    CALLS[f"distillation.{name}"] = lambda f=getattr(distillation, name): f(floats(4, 3), labels(4), floats(4, 3))


@call("distillation.dkpp_loss", "distillation.permute_non_argmax")
def _():
    for generator in (None, torch.Generator()):
        distillation.dkpp_loss(floats(4, 3), labels(4), floats(4, 3), generator=generator)
        distillation.permute_non_argmax(floats(4, 3), generator)


@call("distillation.CWTMLoss.forward", "distillation.CWTMLoss.__init__")
def _():
    for more in ({}, {"weigh": "label"}, {"value": "plain"}, {"weight": cuda(3)}, {"reduction": "none"},
                 {"normalizer": cuda(())}, {"nonfinite": "ignore"}):
        distillation.CWTMLoss(**more)(floats(4, 3), labels(4), floats(4, 3))


@call("distillation.cwtm_loss")
def _():
    distillation.cwtm_loss(floats(4, 3), labels(4), floats(4, 3), normalizer=2.0)
    for confidence in (cuda(4), torch.zeros(4)):
        distillation.cwtm_loss(floats(4, 3), labels(4), confidence=confidence)
    distillation.cwtm_loss(floats(16, 70_000), labels(16), floats(16, 70_000))


@call("distillation.CWTMFunction.forward", "distillation.CWTMFunction.setup_context",
      "distillation.CWTMFunction.backward", "distillation.cwtm_gradient")
def _():
    class Ctx:
        def save_for_backward(self, *saved): self.saved_tensors = saved
    inputs = floats(4, 3), labels(4), floats(4)
    distillation.CWTMFunction.setup_context(ctx := Ctx(), inputs, distillation.CWTMFunction.forward(*inputs))
    distillation.CWTMFunction.backward(ctx, cuda(()))


@call("distillation.Ensemble.forward", "distillation.Ensemble.__init__")
def _(): distillation.Ensemble([model(), model()])(floats(2, 4))


# foundations

CALLS["foundations.l1"] = partial(later, foundations.l1, (2, 4, 4), (4, 4))
for name in ("sigmoid", "relu"): CALLS[f"foundations.{name}"] = partial(later, getattr(foundations, name), (5,))
for f in (foundations.mae, foundations.mse, foundations.rmse):
    CALLS[f"foundations.{f.__name__}"] = partial(later, f, (5,), (5,))


@call("foundations.class_means")
def _(): foundations.class_means(floats(6, 4, 4), labels(6))


@call("foundations.nearest_class")
def _(): foundations.nearest_class(floats(6, 4, 4), floats(3, 4, 4))


@call("foundations.sum_of_relus")
def _(): foundations.sum_of_relus(floats(5), floats(3), floats(3), cuda(()))


@call("foundations.relus_through")
def _(): foundations.relus_through(floats(5), floats(5))


@call("foundations.matmul")
def _(): foundations.matmul(floats(2, 3), floats(3, 4))


@call("foundations.Dataset.__init__")
def _(): foundations.Dataset(floats(6, 4), labels(6))[labels(2)]


@call("foundations.binary_accuracy")
def _(): foundations.binary_accuracy(floats(6, 1), floats(6))


@call("foundations.accuracy")
def _(): foundations.accuracy(floats(6, 3), labels(6))


@call("foundations.SGD.__init__")
def _():
    (weight := floats(3)).grad = floats(3)
    foundations.SGD([weight], 0.1).step()


@call("foundations.Learner.__init__")
def learner(): return foundations.Learner([], [], model(), losses.cross_entropy, device=torch.device("cuda"))


@call("foundations.Learner.predict")
def _(): learner().predict([(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))])


# lr_finder and state

for name in ("minimum", "steep", "valley", "slide", "log_smooth", "lowest"):
    CALLS[f"lr_finder.{name}"] = lambda f=getattr(lr_finder, name): f(torch.ones(40, dtype=torch.float64), floats(40))
CALLS["lr_finder.moving_average"] = lambda: lr_finder.moving_average(floats(40))


@call("state.modes_kept")
def _():
    with state.modes_kept(model()): pass


# presizing

for f in (presizing.psnr, presizing.detail, presizing.ssim):
    CALLS[f"presizing.{f.__name__}"] = partial(later, f, (3, 16, 16), (3, 16, 16))


@call("presizing.BatchPresize.__call__")
def _(): presizing.FastPresize(16, 32).tfms("cuda")[1][-1](cuda((2, 3, 32, 32), dtype=torch.uint8))


# collab

hits = partial(cuda, (4, 3), dtype=torch.bool)
for name in ("recall", "ndcg"): CALLS[f"collab.{name}"] = lambda f=getattr(collab, name): f(hits(), torch.ones(4))
CALLS["collab.hit_rate"] = lambda: collab.hit_rate(hits())
CALLS["collab.coverage"] = lambda: collab.coverage(labels(4, 3), 9)
CALLS["collab.sigmoid_range"] = lambda: collab.sigmoid_range(floats(3), 0, 5)


@call("collab.top_k")
def _():
    exclude = [labels(2), torch.zeros(1, dtype=torch.int64)]
    collab.top_k(floats(2, 4), floats(9, 4), 3, bias=floats(9), exclude=exclude)


def ratings():
    "A few ratings, as they are read from a table"
    return collab.Ratings.from_df({"user": [0, 0, 1, 1, 2], "item": [0, 1, 1, 2, 0], "rating": [1., 2, 3, 4, 5]})


def nets():
    "Each network, as it is after `fit` on the CPU and `to('cuda')`"
    for kind in (collab.DotProduct, collab.DotProductBias, collab.CollabNN):
        net = kind(y_range=(0, 5.5)).build(3, 3)
        net.remember(ratings())
        yield net.to("cuda")


@call("collab.Embedding.forward")
def _():
    with torch.device("cuda"): collab.Embedding(4, 2)(labels(3))


@call("collab.PairNet.forward", "collab.DotProduct.vectors", "collab.DotProduct.rate", "collab.DotProductBias.vectors",
      "collab.DotProductBias.rate", "collab.CollabNN.vectors", "collab.CollabNN.rate")
def _():
    for net in nets(): net(labels(5, 2))


@call("collab.PairNet.predict_codes", "collab.PairNet.scores")
def _():
    for net in nets():
        net.predict_codes(labels(5), labels(5))
        net.scores(labels(2))


@call("collab.PairNet.set_tensors")
def _():
    for net in nets(): net.set_tensors(net.tensors())


@call("collab.Recommender.scores_or_counts")
def _(): next(nets()).scores_or_counts(torch.zeros(2, dtype=torch.int64))


for place, kind in enumerate(("DotProduct", "DotProductBias", "CollabNN")):
    CALLS[f"collab.{kind}.predict"] = lambda n=place: list(nets())[n].predict(ratings())
    CALLS[f"collab.{kind}.evaluate"] = lambda n=place: collab.evaluate(list(nets())[n], ratings(), k=1)


@call("collab.normal_equations")
def _(): list(collab.normal_equations([(labels(2), labels(2, 3))], floats(4, 2), labels(6), floats(6), floats(6)))


# distillation's training, fine-tuning

@call("distillation.teacher_confidence")
def _():
    data = torch.utils.data.TensorDataset(torch.zeros(4, 4), torch.zeros(4, dtype=torch.int64))
    distillation.teacher_confidence(model(), torch.utils.data.DataLoader(data, 2))


@call("fine_tuning.load_weights")
def _(): fine_tuning.load_weights(model(), {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)})


@call("fine_tuning.param_groups")
def _(): fine_tuning.param_groups(nn.Sequential(model(), nn.ReLU(), model(3)))


@call("fine_tuning.layer_count")
def _(): fine_tuning.layer_count(nn.Sequential(nn.Conv2d(3, 4, 3, device="cuda"), nn.Flatten(), model(144)), 8)


@call("foundations.l2")
def _(): foundations.l2(floats(2, 3, 3), floats(3, 3))


@call("convolutions.conv2d")
def _(): convolutions.conv2d(floats(2, 4, 7, 6), floats(6, 2, 3, 2), floats(6), stride=2, padding=1, groups=2)


@call("convolutions.ResidualBlock.forward", "convolutions.DenseBlock.forward")
def _():
    convolutions.ResidualBlock(3, 4, stride=2).cuda()(floats(2, 3, 7, 6))
    convolutions.DenseBlock(3, 2, 3).cuda()(floats(2, 3, 7, 6))


# segmentation

@call("segmentation.Confusion.update")
def _():
    confusion = segmentation.Confusion(3, 255)
    for pred in (floats(2, 3, 4, 4), labels(2, 4, 4)): confusion.update(pred, labels(2, 4, 4))


@call("segmentation.image_iou")
def _(): segmentation.image_iou(labels(2, 4, 4), labels(2, 4, 4), 3, 255)


@call("segmentation.boundary_f")
def _(): segmentation.boundary_f(labels(2, 6, 6), labels(2, 6, 6), 1.5, 255)


@call("segmentation.dice_loss", "segmentation.jaccard_loss", "segmentation.lovasz_loss")
def _():
    for loss in (segmentation.dice_loss, segmentation.jaccard_loss, segmentation.lovasz_loss):
        loss(floats(2, 3, 4, 4), labels(2, 4, 4), 255, "skip", "image")
        loss(floats(2, 1, 4, 4).half(), labels(2, 1, 4, 4), 255, "count", "batch")


@call("segmentation.UNet.forward", "segmentation.UNet.__init__")
def _():
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1))
    segmentation.UNet(encoder, (4, 4), 2).cuda()(floats(2, 3, 9, 11))


# text

@call("text.LSTM.forward", "text.LSTMCell.forward")
def _():
    state = floats(4, 2, 6), floats(4, 2, 6)
    text.LSTM(5, 6, 2, bidirectional=True).cuda()(floats(2, 7, 5), state, labels(2))
    text.LSTMCell(5, 6).cuda()(floats(2, 5))


@call("text.attention", "text.RoPE.forward", "text.RoPE.angles", "text.RoPE.turned", "text.looks")
def _():
    rope = text.RoPE(8).cuda()
    q, k = floats(2, 4, 5, 8), rope(floats(2, 4, 7, 8).half(), labels(7)).float()
    rope.turned(k, rope.angles(labels(7)))
    for mask in (None, text.looks(5, 7, labels(2), "cuda"), floats(5, 7)): text.attention(q, k, k, mask)
    text.attention(q, q, q, is_causal=True)


@call("text.Transformer.forward", "text.Transformer.features", "text.Transformer.new_cache", "text.Block.forward",
      "text.check_ids", "text.KVCache.__init__", "text.KVCache.extend")
def _():
    net = text.Transformer(9, context=12).cuda()
    net(labels(2, 12))
    with torch.no_grad():
        for pads in (None, labels(2)):
            cache = net.new_cache(pads)
            for n in (4, 1): net(labels(2, n), cache)


@call("text.TextClassifier.forward", "text.TextClassifier.__init__", "text.classifier_from_encoder",
      "text.next_token_loss")
def _():
    net = text.Transformer(9, context=12).cuda()
    text.classifier_from_encoder(net, 2).cuda()(labels(2, 7))
    text.next_token_loss(floats(2, 5, 9), labels(2, 5))


@call("text.next_token", "text.generate")
def _():
    text.next_token(floats(2, 9), 0.5, 3)
    text.generate(text.Transformer(9, context=12).cuda(), [[1, 2], [3]], 3)


# tricks

@call("tricks.View.forth", "tricks.View.back", "tricks.View.points_back", "tricks.tta")
def _():
    every = tricks.views(turns=True, move=4)
    maps = nn.Conv2d(3, 2, 4, stride=4, device="cuda")
    tricks.tta(maps, floats(2, 3, 8, 8), every, "maps")
    points = nn.Sequential(nn.Flatten(), model(192), nn.Unflatten(1, (1, 3)))
    tricks.tta(points, floats(2, 3, 8, 8), every, average="value")
    tricks.View(True, 1, 2, 4).points_back(floats(2, 5, 2), (8, 8))


@call("tricks.label_count")
def _():
    tricks.label_count(labels(4), cuda(3), 0)
    tricks.label_count(labels(4), torch.ones(3))
    tricks.label_count(floats(4, 3))


@call("tricks.accumulate", "tricks.multi_target", "tricks.Accumulate.__init__")
def _():
    loss = tricks.multi_target([(slice(2), losses.cross_entropy), (slice(2, 5), losses.cross_entropy)])
    tricks.accumulate([(floats(4, 5), labels(4, 2))]*2, loss, lambda x, y: tricks.label_count(y), lambda loss: None)
    tricks.Accumulate(2)


@call("tricks.mixup", "tricks.cutmix", "tricks.mixed.__call__", "tricks.mixed.__init__")
def _():
    pictures = floats(4, 3, 8, 8)
    for mix in (tricks.mixup, tricks.cutmix):
        _, both, also = mix(pictures, labels(4), floats(4, 3), share=0.5)
        tricks.mixed(losses.cross_entropy)(floats(4, 3), both)
    tricks.cutmix(pictures, labels(4, 8, 8))


@call("tricks.EMA.__init__", "tricks.EMA.update", "tricks.soup", "tricks.refresh_batch_norm")
def _():
    net = nn.Sequential(nn.BatchNorm1d(4), model()).cuda()
    tricks.EMA(net).update(net)
    tricks.soup([net.state_dict(), net.state_dict()])
    tricks.refresh_batch_norm(net, [floats(5, 4)])


@call("tricks.checkpointed", "tricks.Checkpointed.__init__", "tricks.Checkpointed.forward")
def _(): tricks.checkpointed(model())(floats(2, 4))

# tables


@call("tabular.PiecewiseLinearEncoding.forward", "tabular.PiecewiseLinearEncoding.__init__",
      "tabular.TabularModel.forward", "tabular.TabularModel.__init__", "tabular.TabularModel.features")
def _():
    model = tabular.TabularModel([3, 2], [[0., 1], [0., 1, 2]], 2, unseen=0.1).to("cuda")
    rows = labels(4, 2), floats(4, 2), cuda((4, 2), dtype=torch.bool)
    assert model(*rows).shape == (4, 2) and model.features(*rows).shape == (4, 32)


class Read(nn.Module):
    "What `PretrainedEncoder` needs of a model of transformers and of its tokenizer"
    config = SimpleNamespace(hidden_size=3, max_position_embeddings=9)
    pad_token_id, model_max_length, all_special_tokens = 0, 9, ["[PAD]"]

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(5, 3)

    def get_input_embeddings(self): return self.words
    def __len__(self): return 5
    def forward(self, input_ids, attention_mask): return SimpleNamespace(last_hidden_state=self.words(input_ids))


@call("text.PretrainedEncoder.forward", "text.PretrainedEncoder.__init__")
def _(): text.PretrainedEncoder(Read().cuda(), Read())(labels(2, 4))


# scaling

@call("scaling.global_mean")
def _(): scaling.global_mean(cuda(()), cuda(()))


@call("scaling.SyncBatchNorm.forward", "scaling.SyncBatchNorm.convert_sync_batchnorm")
def _():
    net = scaling.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(4)).cuda())
    net(floats(5, 4))
    net.eval()(floats(5, 4))


NUMBER = "answers in Python numbers, after the work is done"
RATES = "takes the rates to where the losses are; a rule ends in a Python number"
WAITS = {  # function: why the host may wait for the device there
    "collab.hit_rate": NUMBER, "collab.coverage": NUMBER, "collab.recall": NUMBER, "collab.ndcg": NUMBER,
    "presizing.psnr": NUMBER, "presizing.ssim": NUMBER, "presizing.detail": NUMBER,
    "presizing.BatchPresize.__call__": "looks at the first batch, once",
    "lr_finder.log_smooth": RATES, "lr_finder.minimum": NUMBER, "lr_finder.steep": RATES, "lr_finder.valley": RATES,
    "lr_finder.slide": RATES, "lr_finder.lowest": RATES,
    "foundations.class_means": "counts the classes, once a data set",
    "foundations.relus_through": "checks its points, before any training",
    "foundations.Learner.predict": "its batches come from the CPU, and its answers go there",
    "collab.top_k": "how many scores tie with the last is known on the device alone",
    "collab.*.predict": "codes come from the CPU, and ratings go there",
    "collab.*.evaluate": "ranks on the CPU, in blocks of users",
    "collab.Recommender.scores_or_counts": "codes come from the CPU, and scores go there",
    "distillation.teacher_confidence": "batches come from the CPU, and a number for each sample goes there",
    "fine_tuning.load_weights": "weights come from a file",
    "tricks.label_count": "class weights may lie on the CPU",
    "text.generate": "prompts come from the CPU, and what was written goes there",
    "text.next_token": "torch's multinomial looks whether its shares are any",
    "segmentation.Confusion.update": "the empty table goes to the device, with the first batch",
    "segmentation.image_iou": NUMBER,
}
GROUP = "talks to other processes, which fake tensors cannot"
SOLVED = "is solved on the CPU, where its tensors stay"
ENGINE = "needs autograd's engine, which does not run on fake CUDA tensors"
NOT_RUN = {  # function: why it is not called here
    "groups.group_sum": GROUP, "groups.group_mean": GROUP, "groups.check_same": GROUP,
    "scaling.save": "writes files", "scaling.resume": "reads files",
    "collab.ALS.*": SOLVED, "collab.ImplicitALS.*": SOLVED, "collab.BayesianMF.*": SOLVED, "collab.EASE.*": SOLVED,
    "collab.MostRated.*": SOLVED, "collab.TimeResiduals.*": SOLVED, "collab.Baseline.rating": SOLVED,
    "collab.Recommender.predict_codes": "a model overrides it", "collab.Recommender.scores": "a model overrides it",
    "collab.Recommender.fold": "a model overrides it", "collab.Recommender.set_tensors": "a model overrides it",
    "collab.PairNet.vectors": "a model overrides it", "collab.PairNet.rate": "a model overrides it",
    "collab.PairNet.fold": ENGINE, "collab.fit": ENGINE, "lr_finder.find_lr": ENGINE, "distillation.born_again": ENGINE,
    "fine_tuning.step_memory": ENGINE, "distillation.Distill": "makes a callback, which calls the losses",
    "convolutions.receptive_field": "searches by what comes out, and fake tensors hold no values",
    **dict.fromkeys(("presizing.Move.forth", "presizing.judge", "presizing.move_boxes", "presizing.move_points",
                     "presizing.nearest", "presizing.places_of", "presizing.relit", "presizing.resample",
                     "presizing.sample_batch", "presizing.sample_one", "presizing.supersampled"),
                    "is run inside the transforms and measures of presizing that are called here"),
    "foundations.Examiner.__init__": "keeps what it is given; its work is run as foundations.Learner.predict",
    "text.lm_learner": "keeps what it is given; the loop is run as foundations.Learner.predict",
    "text.LanguageModel.*": "runs text.AWDLSTM, which is not run here",
    "text.AWDLSTM.forward": "calls cuDNN's LSTM, which asks for a real device",
    "exercises.expect": "puts the verdict on a learner's answer into words",
    "text.LMStream.__init__": "lays texts end to end on the CPU; the loop that trains moves the batches",
}
