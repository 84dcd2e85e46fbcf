"""Products of matrices, and sums over edges, that are part of compiled code.

Inductor calls torch for them. For the nine atoms of ethanol most of such a call goes into finding
what to call, copying matrices into another order and making results, and MKL leaves the wider
registers of AMD's processors unused besides. Here each becomes a call of a function in the shared
object itself, for float32 matrices in an order that it can read as they are; torch does all others.
So3krates evaluates ethanol, 87 products, in 0.55 instead of 0.75 ms; hundreds of atoms take the
same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Once per shared object, compiled with all optimizations. A block of the result stays in registers
# while it is summed: so many rows (12 with 32 registers, 6 with 16) by one or two registers of
# columns. The last columns, fewer than a register holds, are computed with some before them again.
KERNELS = r"""
#include <ATen/cpu/vec/vec.h>
namespace own {
using Vector = at::vec::Vectorized<float>;
constexpr int64_t WIDTH = Vector::size();
#if defined(CPU_CAPABILITY_AVX2)
constexpr int MOST_ROWS = 6;
#else
constexpr int MOST_ROWS = 12;
#endif

struct Matrix { const float* data; int64_t row; int64_t column; };

template <int ROWS, int VECTORS>
inline void block(float* out, int64_t out_row, Matrix start, Matrix left, const float* right,
                  int64_t right_row, int64_t inner, int64_t columns) {
  Vector sums[ROWS][VECTORS];
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < VECTORS; ++v)
      sums[r][v] = start.data == nullptr ? Vector(0.0f)
          : Vector::loadu(start.data + r * start.row + v * WIDTH,
                          std::min(columns - v * WIDTH, WIDTH));
  for (int64_t k = 0; k < inner; ++k) {
    Vector values[VECTORS];
    for (int v = 0; v < VECTORS; ++v)
      values[v] = VECTORS == 1 && columns < WIDTH
          ? Vector::loadu(right + k * right_row, columns)
          : Vector::loadu(right + k * right_row + v * WIDTH);
    for (int r = 0; r < ROWS; ++r) {
      const Vector factor(left.data[r * left.row + k * left.column]);
      for (int v = 0; v < VECTORS; ++v)
        sums[r][v] = at::vec::fmadd(factor, values[v], sums[r][v]);
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < VECTORS; ++v)
      sums[r][v].store(out + r * out_row + v * WIDTH,
                       columns < WIDTH ? static_cast<int>(columns) : static_cast<int>(WIDTH));
}

template <int ROWS>
inline void rows(int64_t number, float* out, int64_t out_row, Matrix start, Matrix left,
                 const float* right, int64_t right_row, int64_t inner, int64_t columns) {
  if constexpr (ROWS > 1)
    if (number < ROWS)
      return rows<ROWS - 1>(
          number, out, out_row, start, left, right, right_row, inner, columns);
  const auto from = [&](int64_t column) {
    return Matrix{start.data == nullptr ? nullptr : start.data + column, start.row, 1};
  };
  int64_t done = 0;
  for (; done + 2 * WIDTH <= columns; done += 2 * WIDTH)
    block<ROWS, 2>(
        out + done, out_row, from(done), left, right + done, right_row, inner, 2 * WIDTH);
  for (; done < columns; done += WIDTH) {
    if (done + WIDTH > columns && columns >= WIDTH) done = columns - WIDTH;
    block<ROWS, 1>(out + done, out_row, from(done), left, right + done, right_row, inner,
                   std::min(columns - done, WIDTH));
  }
}
}  // namespace own

extern "C" __attribute__((visibility("hidden"))) void own_product(
    float* out, int64_t out_row, const float* start, int64_t start_row, const float* left,
    int64_t left_row, int64_t left_column, const float* right, int64_t right_row, int64_t number,
    int64_t inner, int64_t columns) {
  const int64_t blocks = (number + own::MOST_ROWS - 1) / own::MOST_ROWS;
  const auto region = [&](int64_t one) {
    const int64_t first = one * own::MOST_ROWS;
    const float* begin = start == nullptr ? nullptr : start + first * start_row;
    own::rows<own::MOST_ROWS>(
        std::min<int64_t>(own::MOST_ROWS, number - first), out + first * out_row, out_row,
        {begin, start_row, 1}, {left + first * left_row, left_row, left_column}, right, right_row,
        inner, columns);
  };
  if (omp_get_max_threads() == 1 || number * inner * columns < FEWEST_SHARED) {
    for (int64_t one = 0; one < blocks; ++one) region(one);
    return;
  }
#pragma omp parallel for
  for (int64_t one = 0; one < blocks; ++one) region(one);
}

namespace own {
template <int VECTORS>
inline void sum(float* out, const float* table, const int64_t* order, int64_t begin, int64_t end,
                int64_t row, int64_t columns) {
  Vector sums[VECTORS];
  for (int v = 0; v < VECTORS; ++v) sums[v] = Vector(0.0f);
  for (int64_t member = begin; member < end; ++member) {
    const float* values = table + order[member] * row;
    for (int v = 0; v < VECTORS; ++v)
      sums[v] = sums[v] + (columns < WIDTH ? Vector::loadu(values, columns)
                                           : Vector::loadu(values + v * WIDTH));
  }
  for (int v = 0; v < VECTORS; ++v)
    sums[v].store(out + v * WIDTH, static_cast<int>(std::min(columns, WIDTH)));
}
}  // namespace own

extern "C" __attribute__((visibility("hidden"))) void own_sums(
    float* out, const float* table, const int64_t* order, const int64_t* offsets, int64_t number,
    int64_t members, int64_t columns) {
  constexpr int64_t FOUR = 4 * own::WIDTH;
  const auto region = [&](int64_t one) {
    const int64_t begin = offsets[one], end = one + 1 < number ? offsets[one + 1] : members;
    float* row = out + one * columns;
    int64_t done = 0;
    for (; done + FOUR <= columns; done += FOUR)
      own::sum<4>(row + done, table + done, order, begin, end, columns, FOUR);
    for (; done < columns; done += own::WIDTH)
      own::sum<1>(row + done, table + done, order, begin, end, columns, columns - done);
  };
  if (omp_get_max_threads() == 1 || members * columns < FEWEST_SHARED) {
    for (int64_t one = 0; one < number; ++one) region(one);
    return;
  }
#pragma omp parallel for
  for (int64_t one = 0; one < number; ++one) region(one);
}
"""
# Multiplications that are worth waking another thread for; and rows up to which matrices of fewer
# columns are multiplied here. MKL puts more of them into an order of its own, which then pays: 512
# atoms of silicon took 10 % longer without it.
CONSTANTS = """
constexpr int64_t FEWEST_SHARED = 262144, FEWEST_COLUMNS = 32, MOST_NARROW = 512;
"""

# What the calls of torch's functions become: the same arguments, and torch's own function where
# dtype or order of a matrix are others.
CALLS = r"""
extern "C" void own_product(float*, int64_t, const float*, int64_t, const float*, int64_t, int64_t,
                            const float*, int64_t, int64_t, int64_t, int64_t);
extern "C" void own_sums(float*, const float*, const int64_t*, const int64_t*, int64_t, int64_t,
                         int64_t);
namespace {
struct OwnView {
  float* data;
  int64_t* sizes;
  int64_t* steps;
  explicit OwnView(AtenTensorHandle tensor) {
    aoti_torch_get_data_ptr(tensor, reinterpret_cast<void**>(&data));
    aoti_torch_get_sizes(tensor, &sizes);
    aoti_torch_get_strides(tensor, &steps);
  }
};

bool own_is_float(AtenTensorHandle tensor) {
  static const int32_t single = aoti_torch_dtype_float32();
  int32_t dtype;
  aoti_torch_get_dtype(tensor, &dtype);
  return dtype == single;
}

bool own_multiply(AtenTensorHandle out, AtenTensorHandle start, AtenTensorHandle left,
                  AtenTensorHandle right, bool many) {
  if (!own_is_float(out)) return false;
  const OwnView result(out), one(left), other(right);
  const int64_t first = many ? 1 : 0, last = first + 1;
  const int64_t number = one.sizes[first], inner = one.sizes[last], columns = other.sizes[last];
  if (columns > 1 && (result.steps[last] != 1 || other.steps[last] != 1)) return false;
  if (columns < FEWEST_COLUMNS && number > MOST_NARROW) return false;
  const float* begin = nullptr;
  int64_t begin_row = 0;
  if (start != nullptr) {
    const OwnView added(start);
    int64_t axes;
    aoti_torch_get_dim(start, &axes);
    if (added.sizes[axes - 1] != columns || (columns > 1 && added.steps[axes - 1] != 1) ||
        (axes == 2 && added.sizes[0] != number) || added.data == result.data)
      return false;
    begin = added.data;
    begin_row = axes == 2 ? added.steps[0] : 0;
  }
  for (int64_t matrix = 0; matrix < (many ? one.sizes[0] : 1); ++matrix)
    own_product(result.data + (many ? matrix * result.steps[0] : 0), result.steps[first], begin,
                begin_row, one.data + (many ? matrix * one.steps[0] : 0), one.steps[first],
                one.steps[last], other.data + (many ? matrix * other.steps[0] : 0),
                other.steps[first], number, inner, columns);
  return true;
}

AOTITorchError own_mm_out(AtenTensorHandle out, AtenTensorHandle left, AtenTensorHandle right) {
  if (own_multiply(out, nullptr, left, right, false)) return AOTI_TORCH_SUCCESS;
  return aoti_torch_cpu_mm_out(out, left, right);
}

AOTITorchError own_bmm_out(AtenTensorHandle out, AtenTensorHandle left, AtenTensorHandle right) {
  if (own_multiply(out, nullptr, left, right, true)) return AOTI_TORCH_SUCCESS;
  return aoti_torch_cpu_bmm_out(out, left, right);
}

AOTITorchError own_addmm_out(AtenTensorHandle out, AtenTensorHandle start, AtenTensorHandle left,
                             AtenTensorHandle right, double beta, double alpha) {
  if (beta == 1.0 && alpha == 1.0 && own_multiply(out, start, left, right, false))
    return AOTI_TORCH_SUCCESS;
  return aoti_torch_cpu_addmm_out(out, start, left, right, beta, alpha);
}

AOTITorchError own_embedding_bag(
    AtenTensorHandle table, AtenTensorHandle order, AtenTensorHandle offsets, int32_t scale,
    int64_t mode, int32_t sparse, AtenTensorHandle* weights, int32_t last, int64_t padding,
    AtenTensorHandle* sums, AtenTensorHandle* bags, AtenTensorHandle* lengths,
    AtenTensorHandle* largest) {
  const OwnView rows(table), members(order), starts(offsets);
  const int64_t columns = rows.sizes[1];
  if (!own_is_float(table) || mode != 0 || weights != nullptr || last || padding >= 0 ||
      rows.steps[1] != 1 || rows.steps[0] != columns)
    return aoti_torch_cpu__embedding_bag_forward_only(
        table, order, offsets, scale, mode, sparse, weights, last, padding, sums, bags, lengths,
        largest);
  const int64_t sizes[] = {starts.sizes[0], columns}, steps[] = {columns, 1};
  *bags = *lengths = *largest = nullptr;  // nobody reads them
  const AOTITorchError error = aoti_torch_empty_strided(
      2, sizes, steps, aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), -1, sums);
  if (error != AOTI_TORCH_SUCCESS) return error;
  own_sums(OwnView(*sums).data, rows.data, reinterpret_cast<int64_t*>(members.data),
           reinterpret_cast<int64_t*>(starts.data), sizes[0], members.sizes[0], columns);
  return AOTI_TORCH_SUCCESS;
}
}  // namespace
#define aoti_torch_cpu_mm_out own_mm_out
#define aoti_torch_cpu_bmm_out own_bmm_out
#define aoti_torch_cpu_addmm_out own_addmm_out
#define aoti_torch_cpu__embedding_bag_forward_only own_embedding_bag
"""


@contextmanager
def own_products() -> Iterator[None]:
    """Inside, inductor writes such calls; as it writes them otherwise where it has changed."""
    from torch._inductor.codegen import cpp_wrapper_cpu

    usual: Any = getattr(cpp_wrapper_cpu, "CppWrapperCpu", None)
    write_header = getattr(usual, "write_header", None)
    if write_header is None:
        yield
        return

    def write_more(wrapper: Any) -> None:
        write_header(wrapper)
        wrapper.header.splice(CONSTANTS + CALLS)
        wrapper.kernel_declarations.splice(CONSTANTS + KERNELS)

    usual.write_header = write_more
    try:
        yield
    finally:
        usual.write_header = write_header
