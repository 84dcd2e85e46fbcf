// Products of matrices, sums of rows, and orders of indices, once per shared object and compiled
// with all optimizations.
#include <ATen/cpu/vec/vec.h>
#include <algorithm>
#include <numeric>
#include <vector>

#include "constants.h"

namespace own {
template <typename Number>
using Vector = at::vec::Vectorized<Number>;
constexpr int64_t WIDTH = Vector<float>::size();

// A block of the result stays in registers while it is summed: so many rows (12 with 32 registers,
// 6 with 16) by one or two registers of columns.
#if defined(CPU_CAPABILITY_AVX2)
constexpr int MOST_ROWS = 6;
#else
constexpr int MOST_ROWS = 12;
#endif

struct Matrix { const float* data; int64_t row; int64_t column; };

template <int ROWS, int VECTORS>
inline void block(float* out, int64_t out_row, Matrix start, Matrix left, const float* right,
                  int64_t right_row, int64_t inner, int64_t columns) {
  Vector<float> sums[ROWS][VECTORS];
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < VECTORS; ++v)
      sums[r][v] = start.data == nullptr ? Vector<float>(0.0f)
          : Vector<float>::loadu(start.data + r * start.row + v * WIDTH,
                                 std::min(columns - v * WIDTH, WIDTH));
  for (int64_t k = 0; k < inner; ++k) {
    const float* row = right + k * right_row;
    // Rows lie far apart, so that processors do not prefetch them. Products with all weights of a
    // step, which do not fit into a core's own cache, took 0.15 ms without this and 0.10 with it.
    __builtin_prefetch(row + ROWS_AHEAD * right_row);
    if (VECTORS == 2) __builtin_prefetch(row + ROWS_AHEAD * right_row + WIDTH);
    Vector<float> values[VECTORS];
    for (int v = 0; v < VECTORS; ++v)
      values[v] = VECTORS == 1 && columns < WIDTH ? Vector<float>::loadu(row, columns)
                                                  : Vector<float>::loadu(row + v * WIDTH);
    for (int r = 0; r < ROWS; ++r) {
      const Vector<float> factor(left.data[r * left.row + k * left.column]);
      for (int v = 0; v < VECTORS; ++v)
        sums[r][v] = at::vec::fmadd(factor, values[v], sums[r][v]);
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int v = 0; v < VECTORS; ++v)
      sums[r][v].store(out + r * out_row + v * WIDTH, static_cast<int>(std::min(columns, WIDTH)));
}

// The last columns, fewer than a register holds, are computed with some before them again.
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

template <typename Number, int VECTORS>
inline void sum(Number* out, const Number* table, const int64_t* order, int64_t begin, int64_t end,
                int64_t row, int64_t columns) {
  constexpr int64_t SIZE = Vector<Number>::size();
  Vector<Number> sums[VECTORS];
  for (int v = 0; v < VECTORS; ++v) sums[v] = Vector<Number>(Number(0));
  for (int64_t member = begin; member < end; ++member) {
    const Number* values = table + order[member] * row;
    for (int v = 0; v < VECTORS; ++v)
      sums[v] = sums[v] + (columns < SIZE ? Vector<Number>::loadu(values, columns)
                                          : Vector<Number>::loadu(values + v * SIZE));
  }
  for (int v = 0; v < VECTORS; ++v)
    sums[v].store(out + v * SIZE, static_cast<int>(std::min(columns, SIZE)));
}

// The sum of the rows of a table that order names from each offset to the next.
template <typename Number>
inline void sums(Number* out, const Number* table, const int64_t* order, const int64_t* offsets,
                 int64_t number, int64_t members, int64_t columns) {
  constexpr int64_t SIZE = Vector<Number>::size(), FOUR = 4 * SIZE;
  const auto region = [&](int64_t one) {
    const int64_t begin = offsets[one], end = one + 1 < number ? offsets[one + 1] : members;
    Number* row = out + one * columns;
    int64_t done = 0;
    for (; done + FOUR <= columns; done += FOUR)
      sum<Number, 4>(row + done, table + done, order, begin, end, columns, FOUR);
    for (; done < columns; done += SIZE)
      sum<Number, 1>(row + done, table + done, order, begin, end, columns, columns - done);
  };
  if (omp_get_max_threads() == 1 || members * columns < FEWEST_SHARED) {
    for (int64_t one = 0; one < number; ++one) region(one);
    return;
  }
#pragma omp parallel for
  for (int64_t one = 0; one < number; ++one) region(one);
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

extern "C" __attribute__((visibility("hidden"))) void own_sums_float(
    float* out, const float* table, const int64_t* order, const int64_t* offsets, int64_t number,
    int64_t members, int64_t columns) {
  own::sums(out, table, order, offsets, number, members, columns);
}

extern "C" __attribute__((visibility("hidden"))) void own_sums_double(
    double* out, const double* table, const int64_t* order, const int64_t* offsets,
    int64_t number, int64_t members, int64_t columns) {
  own::sums(out, table, order, offsets, number, members, columns);
}

// Indices sorted, equal ones in the order in which they come, and where they come from: by counting
// them where none is much larger than they are many.
extern "C" __attribute__((visibility("hidden"))) void own_order(
    int64_t* sorted, int64_t* order, const int64_t* index, int64_t number) {
  if (std::is_sorted(index, index + number)) {
    std::copy(index, index + number, sorted);
    std::iota(order, order + number, int64_t(0));
    return;
  }
  const auto [least, most] = std::minmax_element(index, index + number);
  if (*least < 0 || *most > 4 * number + MOST_COUNTED) {
    std::iota(order, order + number, int64_t(0));
    std::stable_sort(order, order + number,
                     [&](int64_t one, int64_t other) { return index[one] < index[other]; });
  } else {
    std::vector<int64_t> next(*most + 2, 0);
    for (int64_t one = 0; one < number; ++one) ++next[index[one] + 1];
    std::partial_sum(next.begin(), next.end(), next.begin());
    for (int64_t one = 0; one < number; ++one) order[next[index[one]]++] = one;
  }
  for (int64_t one = 0; one < number; ++one) sorted[one] = index[order[one]];
}

// How many of the sorted indices are less than each of some others.
extern "C" __attribute__((visibility("hidden"))) void own_places(
    int64_t* places, const int64_t* sorted, int64_t number, const int64_t* others, int64_t many) {
  int64_t place = 0;
  for (int64_t one = 0; one < many; ++one) {
    if (one > 0 && others[one] < others[one - 1])
      place = std::lower_bound(sorted, sorted + number, others[one]) - sorted;
    while (place < number && sorted[place] < others[one]) ++place;
    places[one] = place;
  }
}
