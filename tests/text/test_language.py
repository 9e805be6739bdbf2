"Language models with the course's Learner, classifiers from them, thawing"
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.foundations import Callback, Learner, OneCycle
from course_lib.losses import cross_entropy
from course_lib.schedules import one_cycle
from course_lib.text import (
    AWDLSTM, ClipGradients, LanguageModel, TextBatches, TextClassifier, Transformer, classifier_from_encoder,
    fit_gradually, lm_learner, next_token_loss,
)

CPU = torch.device("cpu")


def stream(rows=3, length=26, words=7, step=8):
    "Batches of a drawn text in which rows go on; the last is shorter"
    line = torch.randint(words, (rows, length + 1), generator=torch.Generator().manual_seed(0))
    return list(zip(line[:, :-1].split(step, 1), line[:, 1:].split(step, 1)))


def learner(model=None, **more): return lm_learner(stream(), stream(), model or AWDLSTM(7, 8, 8), device=CPU, **more)


def test_the_decoder_shares_the_words_and_the_loss_is_the_mean_over_tokens():
    model = LanguageModel(AWDLSTM(7, 8)).eval()
    ids, targets = stream()[0]
    logits = model(ids)
    model.reset()
    torch.testing.assert_close(logits, model.encoder(ids) @ model.encoder.embedding.weight.T + model.bias)
    want = -logits.log_softmax(-1).gather(-1, targets[..., None]).mean()
    torch.testing.assert_close(next_token_loss(logits, targets), want)
    assert sum(p.shape == (7, 8) for p in model.parameters()) == 1


@pytest.mark.parametrize("model", [lambda: AWDLSTM(7, 8, 8), lambda: Transformer(7, 8, 2, 1)])
def test_an_examination_is_the_mean_over_all_tokens_and_forgets_what_came_before(model):
    learn = learner(model())
    learn.model.train()
    learn.model(stream()[0][0])  # three rows that must not be gone on with
    first, again = learn.validate(), learn.validate()
    assert first == again and learn.model.training
    learn.model.eval()
    learn.forget()
    logits = torch.cat([learn.model(x) for x, _ in stream()], 1)  # read on, from an empty state
    targets = torch.cat([y for _, y in stream()], 1)
    want = F.cross_entropy(logits.flatten(0, 1), targets.flatten()).item()
    assert first["valid_loss"] == pytest.approx(want, abs=1e-5)
    assert first["perplexity"] == pytest.approx(math.exp(want), rel=1e-4)
    assert first["accuracy"] == pytest.approx((logits.argmax(-1) == targets).double().mean().item())


def test_each_pass_begins_with_an_empty_state_and_rows_go_on_within():
    class See(Callback):
        def before_batch(self, learn): seen.append(learn.model.encoder.state[0] is None)
    seen: list = []
    learn = learner(callbacks=[See()])
    learn.fit(2, 1e-3)
    n = len(stream())
    assert seen == ([True] + [False]*(n - 1))*2
    assert learn.model.encoder.state[0] is None
    learn.predict(stream()[:2])
    assert learn.model.encoder.state[0] is None


def test_the_rates_are_one_cycle_for_each_group_and_gradients_are_cut():
    class See(Callback):
        def before_batch(self, learn): rates.append([g["lr"] for g in learn.opt.param_groups])
        def after_backward(self, learn):
            lengths.append(sum(p.grad.square().sum() for p in learn.model.parameters()).sqrt().item())
    rates, lengths = [], []
    def groups(parameters, lr):
        parameters = list(parameters)
        return torch.optim.SGD([{"params": parameters[:1], "lr": lr/10}, {"params": parameters[1:]}], lr=lr)
    learner(opt_func=groups, callbacks=[OneCycle(0.3), ClipGradients(1e-3), See()]).fit(2, 0.5)
    want = one_cycle(0.5, 2*len(stream()), 0.3)
    torch.testing.assert_close(torch.tensor(rates, dtype=torch.float64), torch.stack([want/10, want], 1))
    assert max(lengths) < 1.001e-3


def test_a_language_model_learns_what_repeats():
    torch.manual_seed(0)
    line = torch.arange(9).repeat(40).view(4, -1)
    batches = list(zip(line[:, :-1].split(15, 1), line[:, 1:].split(15, 1)))
    results = lm_learner(batches, batches, AWDLSTM(9, 16, 16), device=CPU).fit(12, 0.03)
    assert results[-1]["accuracy"] > 0.95 > 0.5 > results[0]["accuracy"]


def test_nothing_to_examine_is_refused():
    with pytest.raises(ValueError, match="shorter than one step"): lm_learner(stream(), [], AWDLSTM(7), device=CPU).validate()
    with pytest.raises(ValueError, match="bound must be above 0, got nan"): ClipGradients(float("nan"))


# batches of texts

def test_batches_fill_up_at_the_end_and_hold_every_text_once():
    texts, labels = [[2]*n for n in (3, 9, 1, 7, 2, 8, 4)], [0, 1, 2, 3, 4, 5, 6]
    for shuffle in (False, True):
        loader = TextBatches(texts, labels, 3, pad_id=5, shuffle=shuffle, generator=torch.Generator().manual_seed(0))
        seen = [(int(y), int((row != 5).sum()), row.tolist()) for x, ys in loader for row, y in zip(x, ys)]
        assert len(loader) == 3 and sorted(y for y, *_ in seen) == labels
        for y, n, row in seen: assert n == len(texts[y]) and row == [2]*n + [5]*(len(row) - n)
        if not shuffle: assert [y for y, *_ in seen] == labels
    first, second = ([y.tolist() for _, y in loader] for _ in range(2))
    assert first != second
    even = TextBatches([[2]*n for n in range(1, 401)], [0]*400, 20, shuffle=True, generator=torch.Generator().manual_seed(0))
    assert sum(x.numel() for x, _ in even) < 1.3*sum(range(401))  # mostly text


def test_of_a_long_text_the_end_is_read():
    (x, _), = TextBatches([[2, 3, 4, 5], [6]], [0, 0], max_tokens=2)
    assert x.tolist() == [[4, 5], [6, 1]]


@pytest.mark.parametrize("args, said", [(([[1]], [0, 1]), "equally many.*1 and 2"), (([], []), "at least one"),
                                        (([[1], []], [0, 1]), r"texts\[1\] is empty"), (([[1]], [0], 0), "batch_size"),
                                        (([[1]], [0], 1, 1, 0), "got 1 and 0")])
def test_bad_texts_are_refused(args, said):
    with pytest.raises(ValueError, match=said): TextBatches(*args)


# classifiers

ENCODERS = {"recurrent": lambda: AWDLSTM(9, 8, 8, pad_id=1), "attention": lambda: Transformer(9, 8, 2, 2, 20)}


@pytest.mark.parametrize("name", ENCODERS)
def test_pooling_sees_the_last_the_largest_and_the_mean_of_the_text_alone(name):
    model = TextClassifier(ENCODERS[name](), 3).eval()
    seen = []
    model.head = nn.Sequential(nn.Identity())
    model.head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    texts = [[2, 3, 4, 5, 6], [7, 8], [3]]
    model(nn.utils.rnn.pad_sequence(list(map(torch.tensor, texts)), True, 1))
    for row, text in zip(seen[0], texts):
        ids = torch.tensor([text])
        if name == "recurrent": model.encoder.reset()
        known = (model.encoder(ids) if name == "recurrent" else model.encoder.features(ids))[0]
        torch.testing.assert_close(row, torch.cat([known[-1], known.amax(0), known.mean(0)]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_encoder_is_copied_and_texts_do_not_go_on(name):
    encoder = ENCODERS[name]()
    if name == "recurrent": encoder(torch.tensor([[2, 3], [4, 5]]))
    model = classifier_from_encoder(encoder, 2).eval()
    ids = torch.tensor([[2, 3], [4, 5]])
    assert torch.equal(model(ids), model(ids))
    for p, q in zip(encoder.parameters(), model.encoder.parameters()): assert torch.equal(p, q) and p is not q
    if name == "recurrent": assert encoder.state[0] is not None


@pytest.mark.parametrize("ids, said", [([[2, 3], [1, 1]], "padding alone"), ([[1, 2]], "padding stands at the end"),
                                       ([[2, 1, 3]], "there is some within")])
def test_padding_alone_and_padding_within_are_refused(ids, said):
    with pytest.raises(ValueError, match=said): TextClassifier(AWDLSTM(9, 8), 2)(torch.tensor(ids))


def test_a_text_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="21 tokens are more than the context of 20"):
        TextClassifier(Transformer(9, 8, 2, 2, 20), 2)(torch.full((2, 21), 2))


class Stages(Callback):
    "Notes at the first batch of each pass what learns, and at which rate"
    def __init__(self): self.seen = []
    def before_epoch(self, learn):
        parts = learn.model.groups()
        self.seen.append(([all(p.requires_grad for p in g.parameters()) for g in parts],
                          [g["lr"] for g in learn.opt.param_groups], [len(g["params"]) for g in learn.opt.param_groups]))


@pytest.mark.parametrize("name", ENCODERS)
def test_groups_thaw_from_the_head_down_at_falling_rates(name):
    stages, loader = Stages(), TextBatches([[2, 3], [4], [5, 6, 7], [3]], [0, 1, 0, 1], 4)
    model = classifier_from_encoder(ENCODERS[name](), 2)
    model.encoder.embedding.weight.requires_grad_(False)
    learn = Learner(loader, loader, model, cross_entropy, torch.optim.SGD, callbacks=[stages], device=CPU)
    before = [p.clone() for p in model.encoder.parameters()]
    results = fit_gradually(learn, 0.1, 1, 2, decay=2.)
    n = len(model.groups())
    assert len(results) == n + 1 == len(stages.seen)
    every = {id(p) for group in model.groups() for p in group.parameters()}
    assert every == {id(p) for p in model.parameters()}
    for stage, (learns, rates, _) in enumerate(stages.seen, 1):
        stage = min(stage, n)
        assert learns == [False]*(n - stage) + [True]*stage
        assert rates == pytest.approx([0.1/2**depth for depth in range(stage)])
    assert sum(stages.seen[-1][2]) == len(list(model.parameters()))
    assert not model.encoder.embedding.weight.requires_grad and learn.opt_func is torch.optim.SGD
    assert any(not torch.equal(p, q) for p, q in zip(before, model.encoder.parameters()))


def test_thawing_puts_back_after_an_error_and_refuses_what_has_no_groups():
    loader = TextBatches([[2, 3], [4]], [0, 1], 2)
    class Stop(Callback):
        def after_epoch(self, learn): raise KeyboardInterrupt
    model = classifier_from_encoder(AWDLSTM(9, 8), 2)
    learn = Learner(loader, loader, model, cross_entropy, torch.optim.SGD, callbacks=[Stop()], device=CPU)
    with pytest.raises(KeyboardInterrupt): fit_gradually(learn, 0.1)
    assert all(p.requires_grad for p in model.parameters()) and learn.opt_func is torch.optim.SGD
    with pytest.raises(ValueError, match="LanguageModel has none"): fit_gradually(learner(), 0.1)
    with pytest.raises(ValueError, match="decay must be at least 1, got 0"): fit_gradually(learn, 0.1, decay=0)
    with pytest.raises(ValueError, match="epochs must be at least 1"): fit_gradually(learn, 0.1, 0)
    with pytest.raises(ValueError, match="n_classes must be at least 2"): classifier_from_encoder(AWDLSTM(9), 1)
