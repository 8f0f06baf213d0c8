"""The fused kernel on a GPU: one warp for each site, its lanes along the columns."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers.kpm.stencil import Stencil

WARP = 32
SITES = 8  # warps of one block
KERNELS = ("forward", "backward", "last_term")

# Vectors are (N, 2, S) complex128, S a multiple of the warp. LANES is 32 on a GPU.
SOURCE = r"""
struct Pair { double2 up, down; };

__device__ double warp_sum(double x) {
  for (int k = LANES / 2; k > 0; k /= 2) x += __shfl_down_sync(0xffffffffu, x, k);
  return x;
}

__device__ void add(double2& t, double w, double2 x) { t.x += w * x.x; t.y += w * x.y; }

__device__ Pair product(int i, int s, int z, int S, const int* neighbours, const double* hopping,
                        const double* onsite, const double2* x) {
  const double up = onsite[4 * i], down = onsite[4 * i + 1], re = onsite[4 * i + 2], im = onsite[4 * i + 3];
  const double2 a = x[(long long)(2 * i) * S + s], b = x[(long long)(2 * i + 1) * S + s];
  Pair t;
  t.up = make_double2(up * a.x + re * b.x - im * b.y, up * a.y + re * b.y + im * b.x);
  t.down = make_double2(down * b.x + re * a.x + im * a.y, down * b.y + re * a.y - im * a.x);
  for (int k = 0; k < z; ++k) {
    const long long j = 2LL * neighbours[i * z + k];
    add(t.up, hopping[i * z + k], x[j * S + s]);
    add(t.down, hopping[i * z + k], x[(j + 1) * S + s]);
  }
  return t;
}

// y <- factor H x - y; |y|^2 and Re <y|x> of each site
extern "C" __global__ void forward(int n, int z, int S, double factor, const int* neighbours,
    const double* hopping, const double* onsite, const double2* x, double2* y, double* square,
    double* overlap) {
  const int i = blockIdx.x * blockDim.y + threadIdx.y;
  if (i >= n) return;
  double squares = 0.0, overlaps = 0.0;
  for (int s = threadIdx.x; s < S; s += LANES) {
    const Pair t = product(i, s, z, S, neighbours, hopping, onsite, x);
    for (int spin = 0; spin < 2; ++spin) {
      const long long o = (long long)(2 * i + spin) * S + s;
      const double2 h = spin ? t.down : t.up;
      const double2 v = make_double2(factor * h.x - y[o].x, factor * h.y - y[o].y);
      y[o] = v;
      squares += v.x * v.x + v.y * v.y;
      overlaps += v.x * x[o].x + v.y * x[o].y;
    }
  }
  squares = warp_sum(squares);
  overlaps = warp_sum(overlaps);
  if (threadIdx.x == 0) { square[i] = squares; overlap[i] = overlaps; }
}

__device__ void correlate(int i, int S, double weight, const double2* bar, const double2* x,
                          double* density) {
  double up = 0.0, down = 0.0, re = 0.0, im = 0.0;
  for (int s = threadIdx.x; s < S; s += LANES) {
    const long long o = (long long)(2 * i) * S + s;
    const double2 a = x[o], c = x[o + S], e = bar[o], g = bar[o + S];
    up += a.x * e.x + a.y * e.y;
    down += c.x * g.x + c.y * g.y;
    re += a.x * g.x + a.y * g.y + e.x * c.x + e.y * c.y;
    im += a.y * g.x - a.x * g.y + e.y * c.x - e.x * c.y;
  }
  up = warp_sum(up); down = warp_sum(down); re = warp_sum(re); im = warp_sum(im);
  if (threadIdx.x == 0) {
    density[4 * i] += weight * up;
    density[4 * i + 1] += weight * down;
    density[4 * i + 2] += 0.5 * weight * re;
    density[4 * i + 3] += 0.5 * weight * im;
  }
}

extern "C" __global__ void last_term(int n, int S, double weight, const double2* bar, const double2* x,
    double* density) {
  const int i = blockIdx.x * blockDim.y + threadIdx.y;
  if (i < n) correlate(i, S, weight, bar, x, density);
}

// alpha_m (x), alpha_{m+1} (y) -> alpha_{m-1} in y; abar_{m+1} (u), abar_{m+2} (v) -> abar_m in v
extern "C" __global__ void backward(int n, int z, int S, double factor, double p, double q, double r,
    const int* neighbours, const double* hopping, const double* onsite, const double2* x, double2* y,
    const double2* u, double2* v, double* density) {
  const int i = blockIdx.x * blockDim.y + threadIdx.y;
  if (i >= n) return;
  correlate(i, S, factor, u, x, density);
  for (int s = threadIdx.x; s < S; s += LANES) {
    const Pair alpha = product(i, s, z, S, neighbours, hopping, onsite, x);
    const Pair bar = product(i, s, z, S, neighbours, hopping, onsite, u);
    for (int spin = 0; spin < 2; ++spin) {
      const long long o = (long long)(2 * i + spin) * S + s;
      const double2 h = spin ? alpha.down : alpha.up, g = spin ? bar.down : bar.up, later = y[o];
      const double2 earlier = make_double2(factor * h.x - later.x, factor * h.y - later.y);
      v[o] = make_double2(p * x[o].x + q * later.x + r * earlier.x + factor * g.x - v[o].x,
                          p * x[o].y + q * later.y + r * earlier.y + factor * g.y - v[o].y);
      y[o] = earlier;
    }
  }
}
"""


class CudaRecursion:
    """The recursion of one configuration of the s-d model on a GPU.

    Args:
        hamiltonian: the model.  stencil: of its lattice.
        spins: ``(N, 3)``.  a, b: centre and half width of the spectrum.  xp: cupy.
    """

    width = 128

    def __init__(
        self,
        hamiltonian: SDHamiltonian,
        stencil: Stencil,
        spins: np.ndarray,
        a: float,
        b: float,
        xp: ModuleType,
    ) -> None:
        self.xp, self.b, self.order = xp, b, stencil.order
        x, y, z = (-hamiltonian.J * spins[stencil.order, k] for k in range(3))
        self.tables = [
            xp.asarray(np.ascontiguousarray(table))
            for table in (stencil.neighbours, stencil.hopping, np.stack([z - a, -z - a, x, -y], axis=1))
        ]
        self.shape = stencil.neighbours.shape
        # cupy keeps on disk what it has compiled
        options = (f"-DLANES={WARP}",)
        self.kernels = {name: xp.RawKernel(SOURCE, name, options=options) for name in KERNELS}

    def forward(self, columns: np.ndarray, steps: int) -> tuple[np.ndarray, Any]:
        xp, (n, z) = self.xp, self.shape
        now = self._placed(columns)
        vectors = [now, xp.zeros_like(now)]
        pairs = xp.zeros((steps + 1, 2))
        pairs[0, 0] = (xp.abs(now) ** 2).sum()
        site = xp.empty((2, n))
        for m in range(steps):
            factor = np.float64((1.0 if m == 0 else 2.0) / self.b)
            x, y = vectors[m % 2], vectors[(m + 1) % 2]
            sizes = (np.int32(n), np.int32(z), np.int32(now.shape[2]), factor)
            self._run("forward", (*sizes, *self.tables, x, y, site[0], site[1]))
            pairs[m + 1, 0], pairs[m, 1] = site[0].sum(), site[1].sum()
        return xp.asnumpy(pairs[:-1]), vectors

    def backward(self, columns: np.ndarray, state: Any, p: np.ndarray, q: np.ndarray) -> tuple[Any, float]:
        xp, (n, z), K = self.xp, self.shape, len(p)
        width = np.int32(state[0].shape[2])
        bars = [xp.zeros_like(state[0]), xp.zeros_like(state[0])]
        bars[K % 2] += q[-1] * state[(K - 1) % 2]
        density = xp.zeros((n, 4))
        for m in range(K - 1, 0, -1):
            weights = (np.float64(x) for x in (2.0 / self.b, 2.0 * p[m], q[m], q[m - 1]))
            x, y, u, v = state[m % 2], state[(m + 1) % 2], bars[(m + 1) % 2], bars[m % 2]
            arguments = (np.int32(n), np.int32(z), width, *weights, *self.tables, x, y, u, v, density)
            self._run("backward", arguments)
        self._run("last_term", (np.int32(n), width, np.float64(1.0 / self.b), bars[1], state[0], density))
        drift = float(xp.abs(state[0] - self._placed(columns)).max())
        sites = np.empty((n, 4))
        sites[self.order] = xp.asnumpy(density)
        up, down, flip = sites[:, 0], sites[:, 1], sites[:, 2] + 1j * sites[:, 3]
        return np.stack([up + 0j, down + 0j, flip], axis=1).ravel(), drift

    def _placed(self, columns: np.ndarray) -> Any:
        """``(n_states, w)`` as ``(N, 2, S)`` on the device, sites in the order of the levels, S >= w a
        multiple of the warp."""
        n, w = len(columns) // 2, columns.shape[1]
        padded = np.zeros((n, 2, -(-w // WARP) * WARP), dtype=np.complex128)
        padded[:, :, :w] = columns.reshape(n, 2, w)[self.order]
        return self.xp.asarray(padded)

    def _run(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.kernels[name]((-(-self.shape[0] // SITES),), (WARP, SITES), arguments)
