"""Encoders from a folder: tiny random checkpoints of two designs, whole and with one thing wrong each.

Seen to fail: without the look at the two ends, without the look at the vocabulary's file, with special tokens of a text
read as such, with padding among the mean.
"""
import io
import json
import shutil
import subprocess
import sys
from pydoc_data.topics import topics

import pytest
import torch

from course_lib.text import TextBatches, classifier_from_encoder, fit_gradually, pretrained_encoder

transformers = pytest.importorskip("transformers", reason="transformers is missing: the extra 'text' brings it")
spm = pytest.importorskip("sentencepiece")
TEXTS = ["The for statement is used to iterate", "with", "", "a class and a [SEP] that was typed"]
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the for statement is used to with class a and that ##s [ ] sep pad".split()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    "A folder for each design: DeBERTa-v3's with a vocabulary of SentencePiece, BERT's with a list of words"
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    place = tmp_path_factory.mktemp("encoders")
    made = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter((topics["for"] + topics["with"]).splitlines()), model_writer=made, vocab_size=200, pad_id=0,
        bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]", minloglevel=2)
    deberta, bert = place/"deberta", place/"bert"
    transformers.DebertaV2Model(transformers.DebertaV2Config(
        vocab_size=210, max_position_embeddings=48, relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0,
        initializer_range=0.3, **sizes)).save_pretrained(deberta)
    (deberta/"spm.model").write_bytes(made.getvalue())
    (deberta/"tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    transformers.BertModel(transformers.BertConfig(
        vocab_size=len(WORDS), max_position_embeddings=48, initializer_range=0.3, **sizes)).save_pretrained(bert)
    (bert/"vocab.txt").write_text("\n".join(WORDS) + "\n")
    return {"deberta": deberta, "bert": bert}


@pytest.fixture(params=["deberta", "bert"])
def folder(request, kinds, tmp_path):
    "A copy that a test may spoil"
    return shutil.copytree(kinds[request.param], tmp_path/"encoder")


def ends(encoder, ids): return encoder.tokenizer.convert_ids_to_tokens([ids[0], ids[-1]])


def test_a_text_gets_its_two_ends_and_what_is_typed_is_text(folder):
    encoder = pretrained_encoder(folder)
    for text in TEXTS: assert ends(encoder, encoder.encode(text)) == ["[CLS]", "[SEP]"]
    assert encoder.encode("") == encoder.tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    typed = encoder.encode("the [PAD] and [SEP]")
    assert encoder.pad_id not in typed and typed.count(encoder.tokenizer.sep_token_id) == 1


def unframed(folder):
    "What transformers makes of the folder's vocabulary without the two ends, saved with a name that brings it back"
    made = transformers.DebertaV2Tokenizer.from_pretrained(folder)
    facts = json.loads(made.backend_tokenizer.to_str())
    facts["post_processor"] = None
    (folder/"tokenizer.json").write_text(json.dumps(facts))
    (folder/"tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]",
        "unk_token": "[UNK]", "mask_token": "[MASK]"}))
    return folder


def test_the_ends_that_autotokenizer_drops_come_back(kinds, tmp_path):
    right = pretrained_encoder(kinds["deberta"]).encode("The for statement")
    folder = unframed(shutil.copytree(kinds["deberta"], tmp_path/"encoder"))
    dropped = transformers.AutoTokenizer.from_pretrained(folder)("The for statement")["input_ids"]
    assert dropped == right[1:-1]
    assert pretrained_encoder(folder).encode("The for statement") == right


def test_a_tokenizer_that_never_adds_the_ends_is_refused(kinds, tmp_path, monkeypatch):
    folder = unframed(shutil.copytree(kinds["deberta"], tmp_path/"encoder"))
    monkeypatch.setattr(sys.modules["transformers"], "TOKENIZER_MAPPING", {})
    with pytest.raises(ValueError, match=r"does not add \[CLS\] and \[SEP\]"): pretrained_encoder(folder)


def test_the_vectors_are_the_models_and_the_mean_leaves_padding_out(folder):
    encoder = pretrained_encoder(folder)
    assert not encoder.training and not encoder.model.training
    model = transformers.AutoModel.from_pretrained(folder)
    ids = encoder.batch(TEXTS)
    assert ids.shape == (4, max(len(encoder.encode(t)) for t in TEXTS)) and encoder.width == 32
    known, means = encoder(ids), encoder.features(TEXTS, batch_size=3)
    assert known.shape == (*ids.shape, 32) and means.shape == (4, 32) and not means.requires_grad
    for i, text in enumerate(TEXTS):
        with torch.no_grad(): alone = model(torch.tensor([encoder.encode(text)])).last_hidden_state[0]
        assert torch.allclose(known[i, :len(alone)], alone, atol=1e-5) and torch.allclose(means[i], alone.mean(0), atol=1e-5)
    assert (means[0] - means[1]).abs().max() > 1e-2


def test_loading_changes_no_random_state_and_no_logging(folder):
    log, before = transformers.utils.logging, torch.get_rng_state()
    level = log.get_verbosity(), log.is_progress_bar_enabled()
    pretrained_encoder(folder)
    assert torch.equal(torch.get_rng_state(), before) and (log.get_verbosity(), log.is_progress_bar_enabled()) == level


def test_features_put_the_mode_back_and_see_no_dropout(folder):
    encoder = pretrained_encoder(folder).train()
    first = encoder.features(TEXTS)
    assert encoder.training and encoder.model.training and torch.equal(encoder.features(TEXTS), first)


def test_the_context_is_kept(folder):
    encoder = pretrained_encoder(folder)
    assert encoder.context == 48
    with pytest.raises(ValueError, match=r"texts\[1\]: 1\d\d tokens are more than the context of 48.*shorten=True"):
        encoder.features(["for", "the for " * 60])
    short = encoder.encode("the for " * 60, shorten=True)
    assert len(short) == 48 and ends(encoder, short) == ["[CLS]", "[SEP]"] and len(encoder.encode("the for")) < 10
    with pytest.raises(ValueError, match="49 tokens are more"): encoder(torch.full((1, 49), 5))


@pytest.mark.parametrize("bad, error, said", [
    ("one text", TypeError, "put it in a list"), ([b"bytes"], TypeError, r"texts\[0\] must be a str, got bytes"),
    (["a", None], TypeError, r"texts\[1\] must be a str, got NoneType"), ([], ValueError, "at least one text"),
    (["a\ud800"], ValueError, r"half a character, '\\ud800' at 1")])
def test_bad_texts_are_refused(kinds, bad, error, said):
    encoder = pretrained_encoder(kinds["bert"])
    for call in (encoder.batch, encoder.features):
        with pytest.raises(error, match=said): call(bad)


@pytest.mark.parametrize("bad, error, said", [
    (torch.tensor([[2, 5, 3], [0, 0, 0]]), ValueError, "a text of padding alone"), (torch.tensor([[999]]), IndexError, "got 999"),
    (torch.tensor([[2., 5.]]), TypeError, "ids.long()"), (torch.tensor([2, 5]), ValueError, r"\[N, L\]")])
def test_bad_tokens_are_refused(kinds, bad, error, said):
    with pytest.raises(error, match=said): pretrained_encoder(kinds["bert"])(bad)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def pickled(folder):
    (folder/"model.safetensors").rename(folder/"pytorch_model.bin")


def other_sizes(folder, **more):
    (folder/"config.json").write_text(json.dumps(json.loads((folder/"config.json").read_text()) | more))


FAULTS = {
    "pickled weights": (pickled, "only pytorch_model.bin, which is pickled and can run code"),
    "no weights": (lambda f: (f/"model.safetensors").unlink(), "holds no model.safetensors; fetch it"),
    "no sizes": (lambda f: (f/"config.json").unlink(), r"config.json is missing"),
    "sizes that are no JSON": (lambda f: (f/"config.json").write_text("{"), "config.json is no JSON"),
    "sizes that are a list": (lambda f: (f/"config.json").write_text("[]"), "must hold a dictionary, got list"),
    "sizes of no model": (lambda f: (f/"config.json").write_text("{}"), "has no 'model_type'"),
    "a web page as sizes": (lambda f: (f/"config.json").write_text("<!DOCTYPE html><html>"), "config.json is a web page"),
    "a web page as weights": (lambda f: (f/"model.safetensors").write_text("\n<html>"), "model.safetensors is a web page"),
    "a pointer as weights": (lambda f: (f/"model.safetensors").write_text(POINTER), "model.safetensors is a Git LFS pointer"),
    "half of the weights": (lambda f: (f/"model.safetensors").write_bytes((f/"model.safetensors").read_bytes()[:5000]),
                            "model.safetensors is damaged"),
    "no bytes as weights": (lambda f: (f/"model.safetensors").write_bytes(b""), "model.safetensors is empty"),
    "no vocabulary": (lambda f: [p.unlink() for p in (f/"spm.model", f/"vocab.txt") if p.exists()], "holds no vocabulary"),
    "a pointer as vocabulary": (lambda f: [p.write_text(POINTER) for p in (f/"spm.model", f/"vocab.txt") if p.exists()],
                                "is a Git LFS pointer"),
    "an index without its file": (lambda f: [(f/"model.safetensors").unlink(), (f/"model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-00001-of-00001.safetensors"}}')], "00001.safetensors is missing"),
    "weights of fewer layers": (lambda f: other_sizes(f, num_hidden_layers=3), "lack 'encoder.layer.2"),
    "weights of another width": (lambda f: other_sizes(f, hidden_size=64), "do not fit its config.json"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_folder_is_named(folder, fault):
    spoil, said = FAULTS[fault]
    spoil(folder)
    with pytest.raises(ValueError, match=said): pretrained_encoder(folder)


def test_a_vocabulary_of_another_model_is_refused(kinds, tmp_path):
    folder = shutil.copytree(kinds["bert"], tmp_path/"encoder")
    (folder/"vocab.txt").write_text("\n".join([*WORDS, "more"]) + "\n")
    with pytest.raises(ValueError, match="belong to different models"): pretrained_encoder(folder)


def test_nothing_is_downloaded(tmp_path):
    for missing in ("microsoft/deberta-v3-small", tmp_path/"nowhere"):
        with pytest.raises(ValueError, match="nothing is downloaded here"): pretrained_encoder(missing)


@pytest.mark.parametrize("name", ["deberta", "bert"])
def test_it_becomes_a_classifier_and_all_of_it_learns(kinds, name):
    from course_lib.foundations import Learner
    encoder = pretrained_encoder(kinds[name])
    with pytest.raises(ValueError, match="pad_id must be the encoder's own, 0, got 1"): classifier_from_encoder(encoder, 2)
    net = classifier_from_encoder(encoder, 2, pad_id=encoder.pad_id)
    owned = [p for g in net.groups() for p in g.parameters()]
    assert len(owned) == len(set(owned)) == len([*net.parameters()]) and len(net.groups()) == 4
    texts = [encoder.encode(t) for t in ["the for statement", "with a class and that"]*4]
    batches = TextBatches(texts, [0, 1]*4, batch_size=4, pad_id=encoder.pad_id)
    before = {n: p.clone() for n, p in net.named_parameters()}
    learn = Learner(batches, batches, net, torch.nn.functional.cross_entropy, torch.optim.AdamW, device=torch.device("cpu"))
    fit_gradually(learn, 1e-3)
    still = {n for n, p in net.named_parameters() if torch.equal(p, before[n])}
    assert not {n for n in still if "pooler" not in n and "word_embeddings" not in n}
    assert not any(torch.equal(a, b) for a, b in zip(encoder.model.encoder.layer[0].parameters(), net.encoder.model.encoder.layer[0].parameters()))


BLOCKED = """
import sys
for name in sys.argv[2:]: sys.modules[name] = None
from course_lib.text import pretrained_encoder
try: pretrained_encoder(sys.argv[1])
except ModuleNotFoundError as e: print(e)
"""


@pytest.mark.parametrize("missing", ["transformers", "sentencepiece"])
def test_what_is_missing_is_named_with_its_command(kinds, missing):
    done = subprocess.run([sys.executable, "-c", BLOCKED, kinds["deberta"], missing], capture_output=True, text=True)
    assert f"{missing} is missing: pip install 'course_lib[text]' brings it" in done.stdout, done.stderr
