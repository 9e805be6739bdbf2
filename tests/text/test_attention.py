"Attention beside PyTorch's, rotary positions, the cache"
import pytest
import torch
import torch.nn.functional as F

from course_lib.text import KVCache, RoPE, attention, looks, padding_in_front


def heads(dtype=torch.float64, n_query=5, n_key=7, width=8):
    return [torch.randn(2, 3, n, width, dtype=dtype, requires_grad=True) for n in (n_query, n_key, n_key)]


def empty_row():
    "A mask with a query that no key may answer"
    mask = torch.rand(2, 1, 5, 7) < 0.5
    mask[1, 0, 3] = False
    return mask


MORE = {"plain": dict, "boolean mask": lambda: dict(attn_mask=torch.rand(2, 3, 5, 7) < 0.6),
        "a query without keys": lambda: dict(attn_mask=empty_row()),
        "numbers to add": lambda: dict(attn_mask=torch.randn(2, 1, 5, 7).double()),
        "minus infinity added": lambda: dict(attn_mask=torch.zeros(2, 1, 5, 7).double().masked_fill(~empty_row(),
                                                                                                    -torch.inf)),
        "causal": lambda: dict(is_causal=True), "scale": lambda: dict(scale=0.2, is_causal=True)}


@pytest.mark.parametrize("name", MORE)
def test_it_is_pytorchs_in_value_and_gradient(name):
    q, k, v = heads()
    more = MORE[name]()
    found = []
    for f in (attention, F.scaled_dot_product_attention):
        out = f(q, k, v, **more)
        found.append((out, *torch.autograd.grad(out.sin().sum(), (q, k, v))))
    for a, b in zip(*found):
        assert a.isfinite().all()
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 3e-6), (torch.float16, 1e-3), (torch.bfloat16, 8e-3)])
def test_half_precision_is_summed_in_single(dtype, tolerance):
    q, k, v = (x.detach() for x in heads(dtype, 40, 300, 64))
    ours = attention(q, k, v)
    assert ours.dtype == dtype
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    theirs = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(ours, theirs, atol=2*tolerance, rtol=0)
    assert (ours - exact).abs().max() <= tolerance
    big = torch.full((1, 2, 64), 60., dtype=dtype)  # products of 230,000 are too large for float16
    assert attention(big, big, big).isfinite().all()


def test_queries_and_keys_of_different_heads_broadcast():
    q, k, v = (torch.randn(shape, dtype=torch.float64) for shape in ((4, 2, 3, 8), (2, 5, 8), (1, 5, 6)))
    got = attention(q, k, v)
    assert got.shape == (4, 2, 3, 6)
    torch.testing.assert_close(got[3, 1], attention(q[3, 1], k[1], v[0]))


@pytest.mark.parametrize("change, error, said", [
    (dict(attn_mask=torch.ones(5, 7).bool(), is_causal=True), ValueError, "exclude each other"),
    (dict(attn_mask=torch.ones(5, 7, dtype=torch.int64)), TypeError, "booleans.*int64"),
    (dict(key=torch.zeros(7, 9)), ValueError, "equally wide"), (dict(value=torch.zeros(6, 8)), ValueError, "equally long"),
    (dict(query=torch.zeros(5, 8, dtype=torch.int64)), TypeError, "query must be floating point"),
])
def test_what_does_not_fit_is_refused(change, error, said):
    fit = dict(query=torch.zeros(5, 8), key=torch.zeros(7, 8), value=torch.zeros(7, 8))
    with pytest.raises(error, match=said): attention(**fit | change)


# positions

def test_rotations_are_complex_numbers_turned():
    x, places = torch.randn(3, 4, 10, dtype=torch.float64), torch.tensor([0, 1, 7, 500])
    turned = RoPE(10).double()(x, places)
    speeds = 10_000.0**-(torch.arange(5, dtype=torch.float64)/5)
    want = torch.complex(x[..., :5], x[..., 5:])*torch.exp(1j*places[:, None]*speeds)
    torch.testing.assert_close(torch.complex(turned[..., :5], turned[..., 5:]), want, atol=1e-4, rtol=0)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, 0], x[:, 0])


def test_only_the_distance_counts_and_near_is_told_from_far():
    rope, q, k = RoPE(16), torch.randn(1, 16), torch.randn(1, 16)
    def product(i, j): return (rope(q, torch.tensor([i]))*rope(k, torch.tensor([j]))).sum()
    for shift in (1, 40, 400): torch.testing.assert_close(product(9 + shift, 4 + shift), product(9, 4), atol=2e-4, rtol=0)
    assert len({round(product(d, 0).item(), 3) for d in range(8)}) == 8


@pytest.mark.parametrize("width", [0, 1, 7])
def test_an_odd_width_is_refused(width):
    with pytest.raises(ValueError, match=f"even and at least 2, got {width}"): RoPE(width)


def test_positions_in_half_precision_stay_apart():
    "At place 3,000 the angles of float16 would be off by more than one"
    x = torch.randn(1, 64)
    got = RoPE(64)(x.half(), torch.tensor([3001]))
    assert got.dtype == torch.float16
    torch.testing.assert_close(got.float(), RoPE(64)(x, torch.tensor([3001])), atol=5e-3, rtol=0)


# the cache

def test_a_cache_gives_all_that_came_in_order_for_each_layer():
    cache, kept = KVCache(2, 9), [torch.randn(2, 2, 3, 9, 4) for _ in range(2)]
    for start, end in ((0, 4), (4, 5), (5, 9)):
        for layer, both in enumerate(kept):
            keys, values = cache.extend(layer, *both[:, :, :, start:end])
            assert torch.equal(keys, both[0][:, :, :end]) and torch.equal(values, both[1][:, :, :end])
        cache.advance(end - start)
    assert cache.length == 9
    with pytest.raises(ValueError, match="10 tokens are more than the context of 9: shorten the prompt"): cache.room_for(1)
    with pytest.raises(ValueError, match="more than the context"): cache.extend(0, *kept[0][:, :, :, :1])


def test_a_cache_refuses_training_and_other_texts():
    cache, x = KVCache(1, 4), torch.randn(2, 3, 1, 4)
    cache.extend(0, x, x)
    with pytest.raises(ValueError, match="holds 2 texts, got 3"): cache.extend(0, *torch.randn(2, 3, 3, 1, 4))
    with pytest.raises(ValueError, match="under torch.no_grad()"): cache.extend(0, x.clone().requires_grad_(), x)


def test_padding_goes_in_front_and_nobody_looks_at_it():
    ids, pads = padding_in_front([[4, 5, 6], [7], [8, 9]], pad_id=3)
    assert ids.tolist() == [[4, 5, 6], [3, 3, 7], [3, 8, 9]] and pads.tolist() == [0, 2, 1]
    mask = looks(2, 3, pads)
    assert mask.shape == (3, 1, 2, 3)
    assert mask[:, 0].int().tolist() == [[[1, 1, 0], [1, 1, 1]], [[0, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 1]]]
    with pytest.raises(ValueError, match=r"ids\[1\] is empty: a text of padding alone"): padding_in_front([[1], []])
    with pytest.raises(ValueError, match="at least one text"): padding_in_front([])


def test_a_model_of_half_precision_turns_by_the_same_angles():
    "The angles of place 3,000 in float16 or bfloat16 would be off by more than one"
    x, place = torch.randn(1, 64), torch.tensor([3001])
    for half, off in ((torch.float16, 5e-3), (torch.bfloat16, 4e-2)):
        got = RoPE(64).to(half)(x.to(half), place)
        torch.testing.assert_close(got.float(), RoPE(64)(x, place), atol=off, rtol=0)
