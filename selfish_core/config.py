"""The resolved configuration of one trial, and its content key.

A `TrialConfig` is complete and frozen: `selfish_core.resolve` has filled in every default. Two configs that mean
the same science have the same key, whatever the method is called, wherever the data lies, however many epochs are
to go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import CorpusConfig, facts
from selfish_core.catalogue.extensions import ARCHITECTURES_GROUP, SCORES_GROUP, code_hash
from selfish_core.catalogue.optimizers import OptimizerConfig
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.sizes.shape import ArchitectureConfig
from selfish_core.errors import unknown_name

KEY_VERSION = 1

HEAD_FIELDS = {"architecture": "name", "corpus": "name", "optimizer": "name", "sparsity": "level"}
"""A section given as a scalar means its head field: `sparsity: 0.67` is `sparsity.level: 0.67`."""

NOT_SCIENCE = {
    "corpus": frozenset({"name", "path", "sha256", "num_tokens", "vocabulary_size"}),
    "training": frozenset({"topology_distance"}),
}
"""Fields of a section that the key leaves out: the data's sha256 stand in for a corpus, and looking changes nothing."""

SCIENCE = ("architecture", "corpus", "sparsity", "optimizer", "training")
"""The sections of which the key is made."""

Flat = dict[str, str | int | float | bool]


class TrainingConfig(BaseModel):
    """How text is fed to the model."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    batch_size: int = Field(default=20, ge=1, le=65536, description="streams the training text is cut into")
    bptt_length: int = Field(default=35, ge=1, le=65536, description="tokens of each stream in one step")
    eval_batch_size: int = Field(default=20, ge=1, le=65536, description="streams the evaluated text is cut into")
    test_batch_size: int | None = Field(
        default=None, ge=1, le=65536, description="streams the test text is cut into, where it is another number"
    )
    is_bptt_random: bool = Field(
        default=False,
        json_schema_extra={"neutral": False},
        description="whether a step's length is drawn around bptt_length, or with probability 0.05 around half of it",
    )
    max_bptt_excess: int | None = Field(
        default=None, ge=0, le=65536, description="tokens by which a drawn length may pass bptt_length at most"
    )
    activation_penalty: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        json_schema_extra={"neutral": 0.0},
        description="weight of the mean square of the last layer's output (AR)",
    )
    temporal_penalty: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        json_schema_extra={"neutral": 0.0},
        description="weight of the mean square of its change from word to word (TAR)",
    )
    topology_distance: bool = Field(
        default=False,
        description="whether distances of the masks to the first and the previous ones are told; slow; not in the key",
    )

    @property
    def test_streams(self) -> int:
        """Streams that the test text is cut into."""
        return self.test_batch_size or self.eval_batch_size


def _architecture(data: Any) -> Any:
    """Read a mapping by the class that its name asks for."""
    if isinstance(data, Mapping):
        if data.get("name") not in ARCHITECTURES:
            raise ValueError(unknown_name("architecture", data.get("name"), ARCHITECTURES))
        return ARCHITECTURES[data["name"]].config.model_validate(dict(data))
    return data


class TrialConfig(BaseModel):
    """Everything that decides what a trial computes, and the method's name for people."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: str
    architecture: Annotated[SerializeAsAny[ArchitectureConfig], BeforeValidator(_architecture)]
    corpus: CorpusConfig
    sparsity: SparsityConfig
    optimizer: OptimizerConfig = Field(discriminator="name")
    training: TrainingConfig
    seed: int = Field(ge=0, lt=2**31, description="of every random choice")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data that `from_dict` reads back."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrialConfig:
        """Read what `to_dict` wrote; nothing is filled in."""
        return cls.model_validate(dict(data))

    def flat(self) -> Flat:
        """Return dotted names and values, e.g. `sparsity.removal_rate`: 0.8; what has no meaning is left out."""
        return _flatten("", self.to_dict())

    def key(self) -> str:
        """Return the content key: 32 hex digits over the scientific part and the data's sha256.

        A field that equals its declared neutral value, or that has no meaning, is left out, so that an option
        which is added later orphans no run.
        """
        payload = {
            "key_version": _canonical(KEY_VERSION),
            "seed": _canonical(self.seed),
            "data": _canonical(facts(self.corpus).sha256),
            **{name: _science_text(name, getattr(self, name)) for name in SCIENCE},
        }
        foreign = self._foreign_code()
        if foreign:
            payload["extensions"] = _canonical(foreign)
        text = "{" + ",".join(f'"{name}":{payload[name]}' for name in sorted(payload)) + "}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def uses_extensions(self) -> bool:
        """Whether code of a package that is no part of Selfish takes part in the trial."""
        return bool(self._foreign_code())

    def _foreign_code(self) -> dict[str, str]:
        """Hash the code of the extensions that the trial uses, by what they add."""
        used = (
            (ARCHITECTURES_GROUP, self.architecture.name),
            (SCORES_GROUP, f"removal.{self.sparsity.removal}"),
            (SCORES_GROUP, f"regrowth.{self.sparsity.regrowth}"),
        )
        return {name: found for group, name in used if (found := code_hash(group, name)) is not None}


@lru_cache(maxsize=4096)
def _science_text(section: str, part: BaseModel) -> str:
    """Return the scientific part of a section as canonical JSON; equal sections share it."""
    return _canonical(_science(section, part))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _science(section: str, part: BaseModel) -> dict[str, Any]:
    kept = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        extra = field.json_schema_extra
        neutral = extra.get("neutral") if isinstance(extra, dict) else None
        if value is None or value == neutral or name in NOT_SCIENCE.get(section, frozenset()):
            continue
        kept[name] = float(value) + 0.0 if _is_float(field.annotation) else value
    return kept


def _is_float(annotation: Any) -> bool:
    """Whether a field holds a float, so that 1 and 1.0, 0.0 and -0.0 make one key."""
    return annotation is float or annotation == float | None


def _flatten(prefix: str, data: Mapping[str, Any]) -> Flat:
    flat: Flat = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(f"{prefix}{name}.", value))
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat
