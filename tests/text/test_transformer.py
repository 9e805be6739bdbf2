"A small transformer: causal, with a cache, texts of different lengths together"
import pytest
import torch
import torch.nn.functional as F

from course_lib.text import Transformer, attention, padding_in_front


def net(**more):
    "With larger weights than at the start, so that attention is not nearly a mean"
    model = Transformer(30, **{"width": 32, "heads": 2, "layers": 3, "context": 24, "dropout": 0.2} | more).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 2: p.mul_(6)
    return model


def by_hand(model, ids):
    "The same from its parts, one head at a time, rotations as complex numbers"
    x = model.embedding(ids)
    for block in model.blocks:
        h = F.layer_norm(x, x.shape[-1:], block.norm.weight, block.norm.bias)
        q, k, v = (h @ block.ask.weight.T).chunk(3, -1)
        side, outs = q.shape[-1]//block.heads, []
        for head in range(block.heads):
            q1, k1, v1 = (y[..., head*side:(head + 1)*side] for y in (q, k, v))
            outs.append(attention(rotated(q1), rotated(k1), v1, is_causal=True))
        x = x + block.answer(torch.cat(outs, -1))
        x = x + block.net(F.layer_norm(x, x.shape[-1:], block.norm_net.weight, block.norm_net.bias))
    return model.norm(x) @ model.embedding.weight.T


def rotated(x):
    half = x.shape[-1]//2
    angle = torch.arange(x.shape[-2])[:, None]*10_000.0**-(torch.arange(half)/half)
    z = torch.complex(x[..., :half], x[..., half:])*torch.polar(torch.ones(()), angle)
    return torch.cat([z.real, z.imag], -1)


@torch.no_grad()
def test_it_is_what_its_parts_say():
    model, ids = net(), torch.randint(30, (2, 11))
    torch.testing.assert_close(model(ids), by_hand(model, ids), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_nobody_looks_ahead_and_everybody_looks_back():
    model, ids = net(), torch.randint(30, (2, 11))
    other = ids.clone()
    other[:, 5] = (ids[:, 5] + 1) % 30
    differs = (model(ids) - model(other)).abs().amax(-1) > 1e-6
    assert not differs[:, :5].any() and differs[:, 5:].all()
    assert not torch.allclose(model(ids)[0, -1], model(ids[:, [1, 0, *range(2, 11)]])[0, -1])  # order counts


@torch.no_grad()
@pytest.mark.parametrize("sizes", [[11], [1]*11, [5, 1, 1, 4], [1, 10]])
@pytest.mark.parametrize("lengths", [None, [11, 3, 10]])
def test_a_cache_changes_no_logit(sizes, lengths):
    model, ids = net(), torch.randint(30, (3, 11))
    pads = None if lengths is None else 11 - torch.tensor(lengths)
    cache = model.new_cache(pads)
    got = torch.cat([model(part, cache) for part in ids.split(sizes, 1)], 1)
    want, real = model(ids, pads=pads), torch.arange(11) >= (0 if pads is None else pads[:, None])
    assert (got - want)[real.expand(3, 11)].abs().max() < 1e-5 and got.isfinite().all() and cache.length == 11


@torch.no_grad()
def test_texts_of_different_lengths_are_what_they_are_alone():
    model, texts = net(), [torch.randint(30, (n,)).tolist() for n in (9, 1, 4)]
    for pad_id in (0, 17):
        batch, pads = padding_in_front(texts, pad_id)
        out = model(batch, pads=pads)
        for row, text in zip(out, texts):
            assert (row[-len(text):] - model(torch.tensor([text]))[0]).abs().max() < 1e-5


def test_padding_harms_no_gradient():
    model = net().train()
    batch, pads = padding_in_front([[1, 2, 3], [4]])
    model(batch, pads=pads)[:, -1].sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_beyond_the_context_is_refused_in_training_and_with_a_cache():
    model = net()
    with pytest.raises(ValueError, match="25 tokens are more than the context of 24: shorten the prompt"):
        model(torch.zeros(1, 25, dtype=torch.int64))
    with torch.no_grad():
        cache = model.new_cache()
        model(torch.zeros(1, 24, dtype=torch.int64), cache)
        with pytest.raises(ValueError, match="25 tokens are more"): model(torch.zeros(1, 1, dtype=torch.int64), cache)
    assert cache.length == 24
    with pytest.raises(ValueError, match="under torch.no_grad()"):
        model(torch.zeros(1, 2, dtype=torch.int64), model.new_cache())


@pytest.mark.parametrize("bad, error, said", [
    (torch.tensor([[30]]), IndexError, "from 0 to 29, the vocabulary, got 30"),
    (torch.zeros(1, 0, dtype=torch.int64), ValueError, "at least one token"),
    (torch.zeros(1, 2), TypeError, "whole numbers"),
])
def test_bad_tokens_are_refused(bad, error, said):
    with pytest.raises(error, match=said): net()(bad)


@pytest.mark.parametrize("bad, said", [(dict(width=30, heads=4), "multiple of 2 x heads, got 30 and 4"),
                                       (dict(heads=0), "0 heads"), (dict(layers=0), "at least 1, got 30, 32, 0 and 24")])
def test_bad_sizes_are_refused(bad, said):
    with pytest.raises(ValueError, match=said): net(**bad)


def test_the_words_vectors_are_used_at_both_ends_and_the_start_is_nearly_undecided():
    model = Transformer(500, dropout=0).eval()
    assert not [n for n, p in model.named_parameters() if p.shape == (500, 64) and n != "embedding.weight"]
    ids = torch.randint(500, (4, 50))
    loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    assert abs(loss.item() - torch.tensor(500.).log().item()) < 0.1


def test_it_learns_to_copy_from_afar():
    "The second half of a text repeats the first: only by looking back can it be known"
    model = Transformer(12, 32, 2, 2, 32, dropout=0.)
    opt = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(150):
        half = torch.randint(12, (32, 8))
        text = torch.cat([half, half], 1)
        loss = F.cross_entropy(model(text[:, :-1])[:, 8:].flatten(0, 1), text[:, 9:].flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert loss < 0.3
