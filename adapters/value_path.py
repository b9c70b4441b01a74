"""Dense features of vision transformers with a class token: the value path of the last block.

The class token is the only token that such models were trained to align with text. In the last block a patch token is
mixed with all others; leaving the mixing out keeps it where it is and in the text space:

    y = x + out_proj(v_proj(ln1(x)));  z = y + mlp(ln2(y));  then final norm and projection, as for the class token

Source: MaskCLIP (Zhou et al. 2022, section 3.2); residual and MLP are kept as in CLIPSelf (Wu et al. 2024) and FG-CLIP.

It is computed without a line of model code: attention in which every token sees only itself *is* that formula, because
a softmax over one entry is exactly 1. So the last block is called a second time, on the input that it had during the
normal pass, with such a mask. The pooled vector is not touched; the price is one more block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fgbench.adapter import ImageFeatures
from fgbench.errors import ModelError


@dataclass(frozen=True, eq=False)
class ValuePath:
    """Where to find the parts in one kind of vision transformer. W is its width, D the joint space.

    Attributes:
        block: the last block; takes its tokens [B, N, W] as first argument and returns such tokens.
        mask_name: the block's keyword for an additive attention mask.
        mask_rank: dimensions of that mask, the last two of which are [N, N].
        finish: tokens after the block [B, N, W] to embeddings [B, N, D].
        patch: height and width of a patch in pixels.
        prefix: how many tokens before those of the patches.
    """

    block: nn.Module
    mask_name: str
    mask_rank: Literal[2, 4]
    finish: Callable[[Tensor], Tensor]
    patch: tuple[int, int]
    prefix: int = 1

    def run(self, forward: Callable[[Tensor], Tensor], pixels: Tensor) -> ImageFeatures:
        """Do a normal pass, then the value path.

        Args:
            forward: passes pictures through the vision tower, to pooled vectors [B, D].
            pixels: the pictures, [B, 3, H, W].

        Returns:
            the output of ``forward``, the dense embeddings of the patches row by row, and their grid; not normalised.

        Raises:
            ModelError: the pass did not go through the last block, or the patches are not those of the pictures.
        """
        with last_call(self.block) as seen:
            pooled = forward(pixels)
        if not seen.args:
            raise ModelError(
                f"The value path cannot be computed: the vision tower did not call its last block "
                f"({type(self.block).__name__}) with tokens. Use region mode 'crop', which needs no dense features."
            )
        tokens = seen.args[0]
        mask = self_only_mask(tokens)
        # Other keywords stay as they were in the normal pass: rotary positions, for instance.
        keywords = seen.keywords | {self.mask_name: mask[None, None] if self.mask_rank == 4 else mask}
        dense = self.finish(self.block(tokens, **keywords)[:, self.prefix :])
        return ImageFeatures(pooled, dense, patch_grid(pixels, dense, self.patch))


@dataclass
class Call:
    """The arguments of the last call of a module."""

    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


@contextmanager
def last_call(module: nn.Module) -> Iterator[Call]:
    """Remember how ``module`` is called inside the ``with`` block; afterwards it is as before, come what may."""
    seen = Call()

    def remember(_: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        seen.args, seen.keywords = args, dict(keywords)

    handle = module.register_forward_pre_hook(remember, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


def self_only_mask(tokens: Tensor) -> Tensor:
    """The additive mask [N, N] with which each of the tokens [B, N, W] attends to itself only: 0, elsewhere -inf."""
    length = tokens.shape[1]
    mask = torch.full((length, length), -torch.inf, dtype=tokens.dtype, device=tokens.device)
    return mask.fill_diagonal_(0.0)


def clip_value_path(model: Any) -> ValuePath:
    """The parts of a transformers ``CLIPModel`` (Chinese-CLIP, Meta CLIP 2 and AltCLIP name them alike)."""
    vision = model.vision_model
    return ValuePath(
        block=vision.encoder.layers[-1],
        mask_name="attention_mask",
        mask_rank=4,
        finish=lambda tokens: model.visual_projection(vision.post_layernorm(tokens)),
        patch=(vision.config.patch_size, vision.config.patch_size),
    )


def open_clip_value_path(visual: Any) -> ValuePath | None:
    """The parts of an open_clip vision tower; None if it has no value path.

    It has one if it is open_clip's own ViT, or timm's EVA trunk, and pools from the tokens themselves. Not: ResNet,
    ConvNeXt, hybrid trunks; towers with attention pooling (CoCa, SigLIP, PE), whose tokens are not in the text space.
    """
    transformer: Any = getattr(visual, "transformer", None)
    if hasattr(transformer, "resblocks") and hasattr(visual, "ln_post"):
        if getattr(visual, "attn_pool", None) is not None or getattr(visual, "proj", None) is None:
            return None
        return ValuePath(
            block=transformer.resblocks[-1],
            mask_name="attn_mask",
            mask_rank=2,
            finish=lambda tokens: visual.ln_post(tokens) @ visual.proj,
            patch=tuple(visual.patch_size),
        )
    trunk: Any = getattr(visual, "trunk", None)
    if type(trunk).__name__ == "Eva" and trunk.global_pool == "token" and getattr(trunk, "attn_pool", None) is None:
        return ValuePath(
            block=trunk.blocks[-1],
            mask_name="attn_mask",
            mask_rank=2,
            finish=lambda tokens: visual.head(trunk.head(trunk.fc_norm(trunk.norm(tokens)))),
            patch=tuple(trunk.patch_embed.patch_size),
            prefix=trunk.num_prefix_tokens,
        )
    return None


def patch_grid(pixels: Tensor, tokens: Tensor, patch: tuple[int, int]) -> Tensor:
    """The (rows, columns) of patches in a batch of equally large pictures.

    Args:
        pixels: [B, 3, H, W].
        tokens: [B, N, D].
        patch: height and width of a patch in pixels.

    Returns:
        int64 [B, 2], on the CPU: it is read there.

    Raises:
        ModelError: N is not rows * columns.
    """
    rows, columns = pixels.shape[-2] // patch[0], pixels.shape[-1] // patch[1]
    if rows * columns != tokens.shape[1]:
        raise ModelError(
            f"The vision tower gave {tokens.shape[1]} patch tokens for pictures of {tuple(pixels.shape[-2:])} pixels; "
            f"expected {rows} * {columns}. Use region mode 'crop', which needs no dense features."
        )
    return torch.tensor([rows, columns]).repeat(len(pixels), 1)
