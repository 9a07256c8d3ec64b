# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of replaced-token detection."""

from pydantic import Field

from spago_jax.tasks.pretrained.config import EncoderModelConfig


class DetectionModelConfig(EncoderModelConfig):
    """A discriminator that is kept, and a smaller generator of replacements that is trained with it."""

    generator_size: float = Field(
        default=0.25, gt=0, le=1, description="width of the generator, as a share of the discriminator's"
    )
    discriminator_weight: float = Field(
        default=50.0, gt=0, description="of the discriminator's loss beside the generator's, which has 1"
    )
