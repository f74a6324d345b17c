"""Folders of the transformers library load with their own tokeniser and their head, or say why not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    EsmConfig,
    EsmForMaskedLM,
    EsmTokenizer,
    ModernBertConfig,
    ModernBertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models import Architecture, LanguageModelHead, create_model, load_model, save_model
from bioprune_core.models.export import export_transformers
from bioprune_core.models.network_head import NetworkHead
from bioprune_core.models.state import FusedIntermediate
from bioprune_core.models.vocabulary import DNA_VOCABULARY, ESM2_VOCABULARY, RNA_VOCABULARY
from bioprune_core.sequences.block import SequenceBlock

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
}


def esm_network(seed: int = 0, **changes: Any) -> EsmForMaskedLM:
    torch.manual_seed(seed)
    tokens = {"vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1}
    config = EsmConfig(**{"layer_norm_eps": 1e-5, **tokens, **SMALL, **changes})
    network = EsmForMaskedLM(config).eval()
    with torch.no_grad():
        # Away from one and zero, so that a LayerNorm that was not loaded shows.
        for module in network.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.normal_(1, 0.3)
                module.bias.normal_(0, 0.3)
    return network


def write_vocabulary(folder: Path, vocabulary: tuple[str, ...]) -> None:
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    EsmTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)


def logits_of(network: Any, tokens: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits = network(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
    assert isinstance(logits, torch.Tensor)
    return logits


def assert_same_logits(model: Any, network: Any) -> None:
    tokens = torch.from_numpy(model.tokeniser.residue_ids)[None].repeat(2, 1)
    with torch.inference_mode():
        logits = model.logits(tokens, torch.ones_like(tokens, dtype=torch.bool))
    torch.testing.assert_close(logits, logits_of(network, tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tokeniser_files", [True, False])
def test_esm_2(tokeniser_files: bool, tmp_path: Path) -> None:
    network = esm_network(position_embedding_type="rotary", token_dropout=True)
    network.save_pretrained(tmp_path)
    if tokeniser_files:
        write_vocabulary(tmp_path, ESM2_VOCABULARY)
    model = load_model(tmp_path)
    assert (model.architecture, model.alphabet) == (Architecture.ESM_2, Alphabet.PROTEIN)
    assert model.maximum_residues == 62
    assert model.name == tmp_path.name
    assert model.tokeniser.fuses_unknown
    assert model.tokeniser.encode(SequenceBlock.from_strings(["MaaX"]), 9).tokens.tolist() == [
        0,
        20,
        3,
        24,
        2,
    ]
    assert model.network.config._attn_implementation == "sdpa"
    assert_same_logits(model, network)


def test_a_pickled_state_dictionary_loads_as_weights_only(tmp_path: Path) -> None:
    network = esm_network()
    network.config.architectures = ["EsmForMaskedLM"]
    network.config.save_pretrained(tmp_path)
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    assert_same_logits(load_model(tmp_path), network)


def test_code_in_a_pickled_folder_is_refused(tmp_path: Path) -> None:
    network = esm_network()
    network.config.save_pretrained(tmp_path)
    torch.save({**network.state_dict(), "extra": Path("x").touch}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds more than weights"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("vocabulary", "alphabet"), [(RNA_VOCABULARY, Alphabet.RNA), (DNA_VOCABULARY, Alphabet.DNA)]
)
def test_nucleotides_in_the_esm_layout(
    vocabulary: tuple[str, ...], alphabet: Alphabet, tmp_path: Path
) -> None:
    network = esm_network(vocab_size=25, mask_token_id=24, emb_layer_norm_before=True)
    network.save_pretrained(tmp_path)
    write_vocabulary(tmp_path, vocabulary)
    model = load_model(tmp_path)
    assert (model.architecture, model.alphabet) == (Architecture.RNA_FM, alphabet)
    assert_same_logits(model, network)


def test_esm_c(tmp_path: Path) -> None:
    network = create_model(Architecture.ESM_C, "tiny", "protein", seed=2).network
    network.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert (model.architecture, model.maximum_residues) == (Architecture.ESM_C, 2046)
    assert model.tokeniser.encode(SequenceBlock.from_strings(["MaaX"]), 9).tokens.tolist() == [
        *(0, 20, 3, 3, 24, 2)
    ]
    assert_same_logits(model, network)


BERT_VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"LAGVESIKRDTPNQFYMHCWXUBZO")


def bert_like(folder: Path, kind: str) -> Any:
    """Protein models with blanks between the letters, as ProtBert's."""
    torch.manual_seed(0)
    shared = {**SMALL, "vocab_size": len(BERT_VOCABULARY), "pad_token_id": 0}
    network: Any
    if kind == "bert":
        network = BertForMaskedLM(BertConfig(**shared))
    elif kind == "roberta":
        network = RobertaForMaskedLM(RobertaConfig(**shared))
    else:
        ends = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
        network = ModernBertForMaskedLM(ModernBertConfig(**shared, **ends))
    network.eval().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(BERT_VOCABULARY))
    BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    return network


@pytest.mark.parametrize(("kind", "maximum"), [("bert", 64), ("roberta", 63), ("modernbert", 64)])
def test_other_masked_language_models(kind: str, maximum: int, tmp_path: Path) -> None:
    network = bert_like(tmp_path / "own", kind)
    model = load_model(tmp_path / "own")
    assert (model.architecture, model.alphabet) == (Architecture.AUTO, Alphabet.PROTEIN)
    assert model.maximum_residues == maximum
    assert isinstance(model.head, LanguageModelHead)
    tokens = model.tokeniser.encode(SequenceBlock.from_strings(["MKJX"]), 9).tokens.tolist()
    assert tokens == [2, *(BERT_VOCABULARY.index(token) for token in ("M", "K", "[UNK]", "X")), 3]
    assert_same_logits(model, network)
    save_model(model, tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    assert again.content_hash == model.content_hash
    assert again.tokeniser.description() == model.tokeniser.description()
    assert_same_logits(again, network)


def test_a_head_with_another_activation_is_applied_by_the_network_itself(tmp_path: Path) -> None:
    bert_like(tmp_path / "own", "bert")
    path = tmp_path / "own" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_act": "relu"}))
    model = load_model(tmp_path / "own")
    assert isinstance(model.head, NetworkHead)
    assert model.head.dense_parameter_name == "cls.predictions.transform.dense.weight"
    assert_same_logits(model, model.network)
    save_model(model, tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    assert isinstance(again.head, NetworkHead)
    assert again.content_hash == model.content_hash
    assert_same_logits(again, model.network)


def test_a_head_that_reads_more_than_the_last_hidden_state_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bert_like(tmp_path, "bert")
    forward = BertForMaskedLM.forward

    def other(self: BertForMaskedLM, input_ids: torch.Tensor, **arguments: Any) -> Any:
        output = forward(self, input_ids=input_ids, **arguments)
        output.logits = output.logits + input_ids.unsqueeze(-1)
        return output

    monkeypatch.setattr(BertForMaskedLM, "forward", other)
    with pytest.raises(ModelError, match="language-model head of BertForMaskedLM"):
        load_model(tmp_path)


def test_an_export_reads_letters_as_the_model_does_whatever_its_special_tokens_are_called(
    tmp_path: Path,
) -> None:
    bert_like(tmp_path / "own", "bert")
    model = load_model(tmp_path / "own")
    export_transformers(model, tmp_path / "out")
    tokeniser = AutoTokenizer.from_pretrained(tmp_path / "out")
    own = model.tokeniser.encode(SequenceBlock.from_strings(["MKLT"]), 60)
    assert tokeniser("MKLT")["input_ids"] == own.tokens.tolist()
    assert (tokeniser.mask_token_id, tokeniser.pad_token_id) == (4, 0)


def test_an_esm_from_a_folder_computes_as_one_made_here(tmp_path: Path) -> None:
    esm_network().save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert any(isinstance(module, FusedIntermediate) for module in model.network.modules())
    tokens = torch.tensor([[0, *range(4, 24), 2]])
    library = EsmForMaskedLM.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits_of(model.network, tokens), logits_of(library, tokens))


def test_word_pieces_are_refused(tmp_path: Path) -> None:
    bert_like(tmp_path, "bert")
    (tmp_path / "tokenizer.json").unlink()
    vocabulary = [token for token in BERT_VOCABULARY if token not in "LAGV"] + ["LA", "GV", "##L", "##A"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    with pytest.raises(ModelError, match="residues of no alphabet"):
        load_model(tmp_path)


def test_weights_without_a_head_are_refused(tmp_path: Path) -> None:
    network = esm_network()
    network.esm.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"lack lm_head"):
        load_model(tmp_path)


def test_weights_that_a_file_may_lack_are_the_same_at_every_load(tmp_path: Path) -> None:
    network = esm_network()
    state = {key: value for key, value in network.state_dict().items() if "contact_head" not in key}
    network.save_pretrained(tmp_path, state_dict=state)
    write_vocabulary(tmp_path, ESM2_VOCABULARY)
    assert load_model(tmp_path).content_hash == load_model(tmp_path).content_hash


def test_remote_code_is_never_run(tmp_path: Path) -> None:
    evidence = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(evidence)!r}, 'w')\n")
    config = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.A", "AutoModelForMaskedLM": "evil.B"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="Could not load a masked language model"):
        load_model(tmp_path)
    assert not evidence.exists()


def test_a_vocabulary_larger_than_the_network_is_refused(tmp_path: Path) -> None:
    esm_network(vocab_size=20, mask_token_id=19).save_pretrained(tmp_path)
    write_vocabulary(tmp_path, ESM2_VOCABULARY)
    with pytest.raises(ModelError, match="only 20 embeddings"):
        load_model(tmp_path)


def test_empty_and_strange_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no model folder"):
        load_model(tmp_path)
    (tmp_path / "a.pth").touch()
    (tmp_path / "b.pth").touch()
    with pytest.raises(ModelError, match=r"2 \.pth files"):
        load_model(tmp_path)
    (tmp_path / "notes.md").touch()
    with pytest.raises(ModelError, match="is not a weight file"):
        load_model(tmp_path / "notes.md")
