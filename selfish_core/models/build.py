"""From an architecture's config to its module."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.models.output import LanguageModel


def build(config: Any, vocabulary_size: int, generator: torch.Generator) -> LanguageModel:
    """Build the model that an architecture config describes, its weights drawn from `generator`."""
    module, _, name = ARCHITECTURES[config.name].model.partition(":")
    model: LanguageModel = getattr(importlib.import_module(module), name)(config, vocabulary_size, generator)
    return model
