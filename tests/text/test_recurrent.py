"LSTM beside PyTorch's, and the five dropouts of AWD-LSTM"
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from course_lib.text import AWDLSTM, LSTM, LSTMCell

EXACT = {torch.float32: 1e-6, torch.float64: 1e-12}
OFF = dict.fromkeys(("embedding_p", "input_p", "weight_p", "hidden_p", "output_p"), 0.)


def results(net, x, state, lengths):
    "Outputs, last states, gradients of inputs, states and weights"
    x, state = x.clone().requires_grad_(), tuple(s.clone().requires_grad_() for s in state)
    if isinstance(net, nn.LSTM) and lengths is not None:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, (h, c) = net(packed, state)
        out, _ = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
    elif isinstance(net, nn.LSTM): out, (h, c) = net(x, state)
    else: out, (h, c) = net(x, state, lengths)
    loss = out.sin().sum() + (h*c).sum() + c.cos().sum()
    return out, h, c, *torch.autograd.grad(loss, [x, *state, *net.parameters()])


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("layers, both", [(1, False), (1, True), (3, False), (2, True)])
@pytest.mark.parametrize("lengths", [None, [4, 6, 1], [3, 2, 5]])
def test_lstm_is_pytorchs_in_value_and_gradient(dtype, layers, both, lengths):
    theirs = nn.LSTM(5, 4, layers, batch_first=True, bidirectional=both, dtype=dtype)
    ours = LSTM(5, 4, layers, both).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    x, rows = torch.randn(3, 6, 5, dtype=dtype), layers*(1 + both)
    state = torch.randn(rows, 3, 4, dtype=dtype), torch.randn(rows, 3, 4, dtype=dtype)
    lengths = None if lengths is None else torch.tensor(lengths)
    got, want = (results(net, x, state, lengths) for net in (ours, theirs))
    for a, b in zip(got[:3], want[:3]): torch.testing.assert_close(a, b, atol=EXACT[dtype], rtol=0)
    for a, b in zip(got[3:], want[3:]): torch.testing.assert_close(a, b, atol=20*EXACT[dtype], rtol=1e-5)
    for a, b in zip(ours(x)[0], theirs(x)[0]): torch.testing.assert_close(a, b, atol=EXACT[dtype], rtol=0)


def test_what_stands_in_the_padding_does_not_matter():
    net, x, lengths = LSTM(2, 3, 2, bidirectional=True), torch.randn(2, 5, 2), torch.tensor([2, 5])
    other = x.clone()
    other[0, 2:] = torch.inf
    (a, (h, c)), (b, (h2, c2)) = net(x, lengths=lengths), net(other, lengths=lengths)
    assert torch.equal(a[1], b[1]) and torch.equal(a[0, :2], b[0, :2]) and torch.equal(h, h2) and torch.equal(c, c2)
    assert not a[0, 2:].any()


@pytest.mark.parametrize("bad, said", [
    (dict(lengths=torch.tensor([0, 5])), "a text of padding alone has nothing to read: leave it out, got 0"),
    (dict(lengths=torch.tensor([6, 5])), "from 1 to 5.*got 6"), (dict(lengths=torch.tensor([5])), "2 whole numbers"),
    (dict(lengths=torch.ones(2)), "whole numbers"),
    (dict(state=(torch.zeros(1, 3, 3), torch.zeros(1, 2, 3))), r"h of state must be \[1, 2, 3\]"),
])
def test_bad_lengths_and_states_are_refused(bad, said):
    with pytest.raises(ValueError, match=said): LSTM(2, 3)(torch.zeros(2, 5, 2), **bad)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 2, 0 and 1"): LSTM(2, 0)
    with pytest.raises(ValueError, match=r"x must be \[N, L, 2\], got \[2, 2\]"): LSTM(2, 3)(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"x must be \[N, 2\], got \[2, 3\]"): LSTMCell(2, 3)(torch.zeros(2, 3))


def test_a_cell_step_by_step_is_the_layer():
    layer, cell, x = LSTM(3, 4).double(), LSTMCell(3, 4).double(), torch.randn(2, 5, 3, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    state, outs = None, []
    for token in x.unbind(1):
        state = cell(token, state)
        outs.append(state[0])
    torch.testing.assert_close(torch.stack(outs, 1), layer(x)[0], atol=1e-12, rtol=0)


def test_awdlstm_without_dropout_is_plain_layers_and_goes_on_where_it_was():
    net, ids = AWDLSTM(20, 6, 10, 3, **OFF), torch.randint(20, (4, 9))
    x = net.embedding(ids)
    for layer in net.layers: x = layer(x)[0]
    torch.testing.assert_close(net(ids), x)
    net.reset()
    torch.testing.assert_close(torch.cat([net(part) for part in ids.split([2, 1, 6], 1)], 1), x)
    assert not torch.allclose(net(ids), x)  # it had read the text before
    assert torch.equal(net(ids[:2, :3]), net.eval()(ids[:2, :3])) is False  # the state went on
    net.reset()
    torch.testing.assert_close(net(ids[:2]), x[:2])


def test_another_number_of_texts_begins_anew_and_no_gradient_crosses_calls():
    net, ids = AWDLSTM(20, 6, **OFF), torch.randint(20, (4, 9))
    first = net(ids)
    again = net(ids[:3])  # three texts: not the ones that were read
    torch.testing.assert_close(again, first[:3])
    again.sum().backward()
    net(ids[:3]).sum().backward()  # would raise if it went back through the call before


def masks(which, p=0.5):
    "A net with one dropout alone, in training"
    torch.manual_seed(1)
    return AWDLSTM(20, 16, 24, **OFF | {which: p})


def test_embedding_dropout_drops_whole_words_everywhere_and_keeps_the_mean():
    net, ids = masks("embedding_p"), torch.arange(20).repeat(2, 2)
    rows = net._embedded(ids)/net.embedding(ids)
    torch.testing.assert_close(rows, rows[:1, :20].repeat(2, 2, 1))  # the same for a word wherever it stands
    kept = rows[0, :20]
    assert (kept == kept[:, :1]).all() and set(kept[:, 0].round().tolist()) == {0., 2.}


@pytest.mark.parametrize("which", ["input_p", "hidden_p", "output_p"])
def test_locked_dropouts_have_one_mask_for_all_steps_and_one_for_each_text(which):
    net, ids, seen = masks(which), torch.randint(20, (3, 7)), {}
    place = {"input_p": 0, "hidden_p": 1}.get(which)
    lstm = torch.lstm
    try:
        torch.lstm = lambda x, *more: seen.setdefault(len(seen), x) is None or lstm(x, *more)
        out = net(ids)
    finally: torch.lstm = lstm
    x = out if place is None else seen[place]
    gone = x == 0
    assert (gone == gone[:, :1]).all() and not (gone[0] == gone[1]).all() and 0.2 < gone.double().mean() < 0.8
    other = [seen[p] for p in (0, 1) if p != place] + ([] if place is None else [out])
    assert not any((x == 0).any() for x in other)


def test_weight_drop_drops_weights_between_states_alone_for_all_steps():
    net, ids, seen = masks("weight_p"), torch.randint(20, (3, 7)), []
    lstm = torch.lstm
    try:
        torch.lstm = lambda x, state, weights, *more: seen.append(weights) or lstm(x, state, weights, *more)
        net(ids).sum().backward()
    finally: torch.lstm = lstm
    for (w_ih, w_hh, *_), layer in zip(seen, net.layers):
        assert w_ih is layer.weight_ih_l0
        gone = w_hh == 0
        assert 0.4 < gone.double().mean() < 0.6
        torch.testing.assert_close(w_hh[~gone], 2*layer.weight_hh_l0[~gone])
        assert not layer.weight_hh_l0.grad[gone].any() and layer.weight_hh_l0.grad[~gone].any()
    assert not any((layer.weight_hh_l0 == 0).any() for layer in net.layers)  # the weights themselves stay


def test_nothing_is_dropped_in_evaluation():
    net = AWDLSTM(20, 8, **dict.fromkeys(OFF, 0.5)).eval()
    ids = torch.randint(20, (2, 4))
    first = net(ids)
    net.reset()
    assert torch.equal(net(ids), first)


def test_padding_has_the_vector_zero_and_learns_nothing():
    net = AWDLSTM(20, 8, pad_id=1)
    assert not net.embedding.weight[1].any()
    net(torch.tensor([[2, 1, 3]])).sum().backward()
    assert not net.embedding.weight.grad[1].any() and net.embedding.weight.grad[2].any()


@pytest.mark.parametrize("bad, error, said", [
    (torch.tensor([[20]]), IndexError, "from 0 to 19, the vocabulary, got 20"),
    (torch.tensor([[-1]]), IndexError, "got -1"), (torch.zeros(1, 2), TypeError, "ids.long()"),
    (torch.zeros(2, 0, dtype=torch.int64), ValueError, "at least one token"),
    (torch.zeros(2, dtype=torch.int64), ValueError, r"\[N, L\]"),
])
def test_bad_tokens_are_refused(bad, error, said):
    with pytest.raises(error, match=said): AWDLSTM(20)(bad)


def test_bad_arguments_of_the_encoder_are_refused():
    with pytest.raises(ValueError, match="hidden_p must be from 0 to 1, got -0.1"): AWDLSTM(20, hidden_p=-0.1)
    with pytest.raises(ValueError, match="at least 1, got 20, 64, 128 and 0"): AWDLSTM(20, n_layers=0)


def test_the_step_is_the_textbooks():
    "Gates in the order input, forget, cell, output"
    cell = LSTMCell(1, 1).double()
    values = {"weight_ih": [1., 2., 3., 4.], "weight_hh": [.5, -.5, .25, 1.], "bias_ih": [0., .1, .2, .3],
              "bias_hh": [0.]*4}
    cell.load_state_dict({k: torch.tensor(v).double().reshape(cell.state_dict()[k].shape) for k, v in values.items()})
    x, h, c = (torch.tensor([[v]]).double() for v in (.7, .2, -.4))
    i, f, g, o = (.7*w + .2*u + b for w, u, b in zip(*list(values.values())[:3]))
    want_c = torch.sigmoid(torch.tensor(f))*-.4 + torch.sigmoid(torch.tensor(i))*torch.tanh(torch.tensor(g))
    got_h, got_c = cell(x, (h, c))
    assert got_c.item() == pytest.approx(want_c.item(), abs=1e-6)
    assert got_h.item() == pytest.approx((torch.sigmoid(torch.tensor(o))*torch.tanh(want_c)).item(), abs=1e-6)
    assert F.softsign(got_h).isfinite()
