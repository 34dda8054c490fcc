"""What an encoder makes of one text: its vector, and the states of its tokens on the way there."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Encoded(NamedTuple):
    """Hold a text's unit vector, its tokens' characters [start, end), their states and what the model calls them.

    Shapes: vector (width), offsets (tokens, 2), states (3, tokens, width), ids (tokens). The states are those before
    the first layer, after the middle one and after the last; an offset [n, n) is no part of the text.
    """

    vector: NDArray[np.float32]
    offsets: NDArray[np.int64]
    states: NDArray[np.float32]
    ids: NDArray[np.int64]
