"Writing on: draws, the cache, texts of different lengths, and what is refused"
import pytest
import torch

from course_lib.text import Transformer, generate, next_token


def net(context=40):
    "With larger weights than at the start, so that the words differ"
    model = Transformer(30, 32, 2, 2, context)
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 2: p.mul_(8)
    return model


def gen(seed=0): return torch.Generator().manual_seed(seed)


PROMPTS = [[1, 2, 3, 4], [5], [6, 7]]


@pytest.mark.parametrize("temperature, top_k", [(0, None), (1., None), (0.7, 5), (3., 1)])
def test_the_cache_changes_no_token(temperature, top_k):
    model = net()
    found = [generate(model, PROMPTS, 25, temperature, top_k, gen(), cache=cache) for cache in (True, False)]
    assert found[0] == found[1] and [len(row) for row in found[0]] == [25]*3
    if temperature: assert found[0] != generate(model, PROMPTS, 25, temperature, top_k, gen(1)) or top_k == 1


def test_greedy_tokens_are_those_of_the_whole_text_read_at_once():
    model = net().eval()
    for prompt, new in zip(PROMPTS, generate(model, PROMPTS, 20, temperature=0)):
        whole = torch.tensor([prompt + new])
        with torch.no_grad(): best = model(whole).argmax(-1)[0]
        assert new == best[len(prompt) - 1:-1].tolist()
        assert new == generate(model, [prompt], 20, temperature=0)[0]


def test_a_stop_ends_its_text_alone():
    model = net()
    free = generate(model, PROMPTS, 25, temperature=0)
    stop = free[1][3]
    stopped = generate(model, PROMPTS, 25, temperature=0, stop_id=stop)
    for a, b in zip(free, stopped): assert b == (a[:a.index(stop) + 1] if stop in a else a)
    assert len(stopped[1]) <= 4


def test_draws_follow_temperature_and_top_k():
    logits = torch.tensor([[0., 3., 2., 1.]]).repeat(40_000, 1)
    def shares(*args): return next_token(logits, *args, gen()).bincount(minlength=4)/40_000
    for temperature in (0.5, 1., 2.):
        torch.testing.assert_close(shares(temperature, None), (logits[0]/temperature).softmax(0), atol=0.01, rtol=0)
    want = torch.tensor([0., 1., 0.3679, 0.])
    torch.testing.assert_close(shares(1., 2), want/want.sum(), atol=0.01, rtol=0)
    assert shares(0, None)[1] == 1 and shares(5., 1)[1] == 1
    assert shares(1e-300, None)[1] == 1  # colder than float32 can divide by
    ties = next_token(torch.zeros(5000, 4), 1., 2, gen()).unique()
    assert len(ties) == 2  # exactly so many, also where more are alike


def test_the_mode_is_put_back_and_the_draws_are_the_generators_alone():
    model = net()
    model.blocks[0].eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert generate(model, PROMPTS, 5, generator=gen()) == generate(model, PROMPTS, 5, generator=gen())
    assert torch.equal(before, torch.get_rng_state())
    assert model.training and not model.blocks[0].training and model.blocks[1].training
    with pytest.raises(ValueError): generate(model, PROMPTS, 5, temperature=-1.)
    assert model.training


def test_the_context_is_filled_to_its_end_and_not_beyond():
    model = net(context=10)
    for cache in (True, False): assert len(generate(model, [[1, 2, 3]], 8, 0, cache=cache)[0]) == 8
    with pytest.raises(ValueError, match="a prompt of 3 tokens and 9 new ones are more than the context of 10"):
        generate(model, [[1, 2, 3]], 9)
    with pytest.raises(ValueError, match="a prompt of 11 tokens"): generate(model, [[1]*11, [1]], 1)


@pytest.mark.parametrize("bad, error, said", [
    (dict(prompts=[]), ValueError, "at least one text"), (dict(prompts=[[1], []]), ValueError, r"ids\[1\] is empty"),
    (dict(prompts=[[30]]), IndexError, "the vocabulary, got 30"), (dict(n=0), ValueError, "n must be at least 1, got 0"),
    (dict(top_k=0), ValueError, "from 1 to 30.*got 0"), (dict(top_k=31), ValueError, "got 31"),
    (dict(temperature=float("nan")), ValueError, "temperature"),
])
def test_what_cannot_be_is_refused(bad, error, said):
    with pytest.raises(error, match=said): generate(net(), **{"prompts": PROMPTS, "n": 3} | bad)


@pytest.mark.parametrize("bad, said", [
    ([1, 2, 3], r"ids\[0\] must be the tokens of a text, whole numbers, got int; put the tokens of one text in a list"),
    (["abc"], r"ids\[0\] .* got str$"), ([[1], b"a"], r"ids\[1\] .* got bytes$"), ([iter([1])], "got list_iterator$"),
    ([[1., 2.]], "whole numbers, got torch.float32")])
def test_prompts_that_are_no_tokens_are_refused(bad, said):
    with pytest.raises(TypeError, match=said): generate(net(), bad, 3)


def test_prompts_may_come_as_tuples_arrays_or_one_by_one():
    import numpy as np
    want = generate(net_ := net(), PROMPTS, 4, 0)
    for same in (tuple(map(tuple, PROMPTS)), (row for row in PROMPTS), [np.array(row) for row in PROMPTS]):
        assert generate(net_, same, 4, 0) == want
    assert generate(net_, torch.tensor([[1, 2, 3, 4]]), 4, 0) == want[:1]


@torch.no_grad()
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_a_model_of_half_precision_writes_on_too(half):
    model = net().eval().to(half)
    assert [len(row) for row in generate(model, PROMPTS, 5, 0)] == [5]*3
    ids = torch.tensor([[1, 2, 3, 4]])
    assert model(ids).dtype == half
