# ruff: noqa: N803, N806 - A and G are the names of the literature
"""What every map must be, said once more: NumPy in float64, straight from the definitions.

Nothing here knows torch or the package under test. Symbols: `A` (C, *S) activations of ONE image, `G` (C, *S)
the gradient of its score with respect to `A`, `p` a position of S, n their number, S_k = sum_p A_k(p).

Sources, with the equation numbers the comments refer to:
    GradCAM     Selvaraju et al. 2017, arXiv:1610.02391, Eq. 1 (weights), Eq. 2 (map)
    GradCAM++   Chattopadhay et al. 2018, arXiv:1710.11063, Eq. 19 (alpha)
    HiResCAM    Draelos and Carin 2020, arXiv:2011.08891, the definition of the attention map
    XGradCAM    Fu et al. 2020, arXiv:2008.02312, the definition of the weights
    LayerCAM    Jiang et al. 2021, IEEE TIP 30, the definitions of location weights and map
    EigenCAM    Muhammad and Yeasin 2020, arXiv:2008.00299, projection on the first right singular vector
GradCAMElementWise, EigenGradCAM and eigen smoothing have no paper: the definition is the line of code itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
POLE = 1e-6  # |S_k| below this part of sum_p |A_k| is a sum that cancelled: XGradCAM has no weight there


def _float64(*arrays: ArrayLike) -> tuple[Array, ...]:
    return tuple(np.asarray(array, dtype=np.float64) for array in arrays)


def _over_space(array: Array) -> tuple[int, ...]:
    return tuple(range(1, array.ndim))


def _like(weights: Array, A: Array) -> Array:
    """(C,) or (C, *S) weights made ready to multiply (C, *S)."""
    return weights.reshape(weights.shape + (1,) * (A.ndim - weights.ndim))


# -- weights -------------------------------------------------------------------------------------------------
def gradcam_weights(A: Array, G: Array) -> Array:
    """w_k = (1/n) sum_p G_k(p)."""
    return G.mean(axis=_over_space(G))  # GradCAM Eq. 1


def hirescam_weights(A: Array, G: Array) -> Array:
    """w_k(p) = G_k(p): the gradient is not averaged."""
    return G.copy()


def elementwise_weights(A: Array, G: Array) -> Array:
    """The weights whose product with A is relu(G A): the gradient where it agrees in sign with A, else 0."""
    return np.where(G * A > 0, G, 0.0)


def gradcamplusplus_weights(A: Array, G: Array, epsilon: float = 1e-6) -> Array:
    """alpha = G^2 / (2 G^2 + S_k G^3 + epsilon); w_k = sum_p alpha relu(G): the package grad-cam's."""
    alpha = G**2 / (2 * G**2 + _like(A.sum(axis=_over_space(A)), A) * G**3 + epsilon)
    return (alpha * np.maximum(G, 0)).sum(axis=_over_space(G))


def gradcamplusplus_paper_weights(A: Array, G: Array, most: float = 10.0) -> Array:
    """alpha = G^2 / (2 G^2 + S_k G^3), 0 where G = 0; w_k = sum_p alpha relu(G). With its powers.

    For A >= 0 alpha is at most 1/2. For signed A it has a pole: the package promises to keep it at `most` 10.
    """
    return (_paper_alpha(A, G, most) * np.maximum(G, 0)).sum(axis=_over_space(G))


def gradcamplusplus_authors_weights(A: Array, G: Array, most: float = 10.0) -> Array:
    """As the paper's, but alpha is divided by its sum over the positions of a channel where G > 0."""
    alpha = np.where(G > 0, _paper_alpha(A, G, most), 0.0)
    sums = alpha.sum(axis=_over_space(G))
    alpha = alpha / _like(np.where(sums == 0, 1.0, sums), G)
    return (alpha * np.maximum(G, 0)).sum(axis=_over_space(G))


def _paper_alpha(A: Array, G: Array, most: float) -> Array:
    scale = np.abs(G).max() or 1.0
    g = G / scale  # the powers of a tiny G would underflow; G^2 = scale^2 g^2 and scale^2 cancels
    total = _like(A.sum(axis=_over_space(A)), A)
    bottom = 2 * g**2 + total * scale * g**3
    regular = bottom > g**2 / most
    return np.divide(g**2, bottom, out=np.full_like(G, most), where=regular)  # GradCAM++ Eq. 19


def xgradcam_weights(A: Array, G: Array) -> Array:
    """w_k = sum_p G_k(p) A_k(p) / S_k, 0 where S_k vanishes."""
    space = _over_space(A)
    total, size = A.sum(axis=space), np.abs(A).sum(axis=space)
    regular = np.abs(total) > POLE * size
    return np.divide((G * A).sum(axis=space), total, out=np.zeros_like(total), where=regular)


def layercam_weights(A: Array, G: Array) -> Array:
    """w_k(p) = relu(G_k(p))."""
    return np.maximum(G, 0)


WEIGHTS: dict[str, Callable[[Array, Array], Array]] = {
    "gradcam": gradcam_weights,
    "hirescam": hirescam_weights,
    "gradcam++": gradcamplusplus_weights,
    "xgradcam": xgradcam_weights,
    "layercam": layercam_weights,
    "gradcamelementwise": elementwise_weights,
}


# -- raw maps ------------------------------------------------------------------------------------------------
def principal_component(X: ArrayLike, centred: bool = True) -> tuple[Array, float]:
    """The first principal component of a (C, *S) tensor over its positions, and how clearly it is the first.

    Rows are positions, columns channels; L = X v_1 with |v_1| = 1 (EigenCAM). The sign of v_1 is free: it is
    chosen so that <L, sum_k X_k> >= 0. As <X v, X 1> = sigma^2 <v, 1>, that is the sign with sum(v_1) >= 0.

    Returns:
        The map (*S) and a margin in [0, 1]: the smaller of 1 - sigma_2 / sigma_1 and |cos(v_1, 1)|. A margin
        near 0 means that direction or sign are left open by the definition, so no test may ask for them.
    """
    (X,) = _float64(X)
    rows = X.reshape(X.shape[0], -1).T  # (n, C)
    if centred:
        rows = rows - rows.mean(axis=0)
    _, sigma, vt = np.linalg.svd(rows, full_matrices=False)
    if sigma[0] <= 1e-12 * (np.abs(X).max() or 1.0):
        return np.zeros(X.shape[1:]), 1.0
    first = vt[0] if vt[0].sum() >= 0 else -vt[0]
    gap = 1 - (sigma[1] / sigma[0] if len(sigma) > 1 else 0.0)
    cosine = first.sum() / np.sqrt(len(first))
    return (rows @ first).reshape(X.shape[1:]), float(min(gap, cosine))


def weighted(name: str, A: ArrayLike, G: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """The (C, *S) tensor that a method sums over its channels, or projects."""
    A, G = _float64(A, G)
    if name == "eigencam":
        return A
    if name == "eigengradcam":
        return G * A
    if name == "gradcamelementwise":
        return np.maximum(G * A, 0)
    w = np.asarray(weights, dtype=np.float64) if weights is not None else WEIGHTS[name](A, G)
    return _like(w, A) * A


def raw_map(
    name: str,
    A: ArrayLike,
    G: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    eigen_smooth: bool = False,
    centred: bool = True,
) -> Array:
    """The signed map (*S) at the layer's resolution. `weights` (C,) are needed for "randomcam" only."""
    tensor = weighted(name, A, G, weights)
    if eigen_smooth or name in ("eigencam", "eigengradcam"):
        return principal_component(tensor, centred)[0]
    return tensor.sum(axis=0)  # GradCAM Eq. 2 before its ReLU; the other papers' maps have the same form


# -- from raw maps to the picture ----------------------------------------------------------------------------
def unit_range(m: Array) -> Array:
    """Min-max to [0, 1]; a constant map is 0."""
    low, high = m.min(), m.max()
    return (m - low) / (high - low) if high > low else np.zeros_like(m)


def unit_peak(m: Array) -> Array:
    """Divided by the largest magnitude, so that 0 stays 0; a zero map stays 0."""
    peak = np.abs(m).max()
    return m / peak if peak > 0 else np.zeros_like(m)


SCALE: dict[str, Callable[[Array], Array]] = {"minmax": unit_range, "max": unit_peak, "none": lambda m: m}


def interpolation_matrix(old: int, new: int) -> Array:
    """(new, old): each row the two weights of linear interpolation at half-pixel centres, edges repeated."""
    matrix = np.zeros((new, old))
    for i in range(new):
        where = (i + 0.5) * old / new - 0.5  # the centre of the new cell, in units of old cells
        left = int(np.floor(where))
        part = where - left
        matrix[i, min(max(left, 0), old - 1)] += 1 - part
        matrix[i, min(max(left + 1, 0), old - 1)] += part
    return matrix


def resize(m: ArrayLike, size: Sequence[int]) -> Array:
    """Linear, bilinear or trilinear: one interpolation matrix per axis, nothing else."""
    (m,) = _float64(m)
    for axis, new in enumerate(size):
        matrix = interpolation_matrix(m.shape[axis], new)
        m = np.moveaxis(np.tensordot(matrix, m, axes=(1, axis)), 0, axis)
    return m


def picture(
    raws: Sequence[ArrayLike], size: Sequence[int], *, relu: bool = True, normalize: str | None = None
) -> Array:
    """The final map of one image: per layer ReLU, scale, resize; then the mean over layers, scaled again."""
    scale = SCALE[normalize or ("minmax" if relu else "max")]  # a signed map keeps its zero
    layers = []
    for m in _float64(*raws):
        layers.append(resize(scale(np.maximum(m, 0) if relu else m), size))  # the ReLU: GradCAM Eq. 2
    return scale(np.mean(layers, axis=0))


def augmented(views: Sequence[tuple[bool, float]], one: Callable[[bool, float], Array]) -> Array:
    """Test-time augmentation: the mean of the un-flipped maps; `one(flip, factor)` explains one view."""
    maps = [np.flip(one(flip, factor), axis=-1) if flip else one(flip, factor) for flip, factor in views]
    return np.mean(maps, axis=0)
