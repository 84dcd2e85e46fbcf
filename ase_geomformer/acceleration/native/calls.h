// What the calls of torch's functions become: the same arguments, and torch's own function where
// dtype or order of a tensor are others.
#include "constants.h"

extern "C" void own_product(float*, int64_t, const float*, int64_t, const float*, int64_t, int64_t,
                            const float*, int64_t, int64_t, int64_t, int64_t);
extern "C" void own_sums_float(float*, const float*, const int64_t*, const int64_t*, int64_t,
                               int64_t, int64_t);
extern "C" void own_sums_double(double*, const double*, const int64_t*, const int64_t*, int64_t,
                                int64_t, int64_t);
extern "C" void own_order(int64_t*, int64_t*, const int64_t*, int64_t);
extern "C" void own_places(int64_t*, const int64_t*, int64_t, const int64_t*, int64_t);

namespace {
template <typename Number>
struct OwnView {
  Number* data;
  int64_t* sizes;
  int64_t* steps;
  explicit OwnView(AtenTensorHandle tensor) {
    aoti_torch_get_data_ptr(tensor, reinterpret_cast<void**>(&data));
    aoti_torch_get_sizes(tensor, &sizes);
    aoti_torch_get_strides(tensor, &steps);
  }
};

int32_t own_dtype(AtenTensorHandle tensor) {
  int32_t dtype;
  aoti_torch_get_dtype(tensor, &dtype);
  return dtype;
}

bool own_is_list(AtenTensorHandle tensor) {  // of indices, one after the other
  int64_t axes;
  aoti_torch_get_dim(tensor, &axes);
  if (axes != 1 || own_dtype(tensor) != aoti_torch_dtype_int64()) return false;
  const OwnView<int64_t> view(tensor);
  return view.steps[0] == 1 || view.sizes[0] < 2;
}

AOTITorchError own_new_list(int64_t number, AtenTensorHandle* made) {  // of indices
  const int64_t step = 1;
  return aoti_torch_empty_strided(1, &number, &step, aoti_torch_dtype_int64(),
                                  aoti_torch_device_type_cpu(), -1, made);
}

AOTITorchError own_new_matrix(int64_t rows, int64_t columns, int32_t dtype,
                              AtenTensorHandle* made) {
  const int64_t sizes[] = {rows, columns}, steps[] = {columns, 1};
  return aoti_torch_empty_strided(2, sizes, steps, dtype, aoti_torch_device_type_cpu(), -1, made);
}

bool own_multiply(AtenTensorHandle out, AtenTensorHandle start, AtenTensorHandle left,
                  AtenTensorHandle right, bool many) {
  if (own_dtype(out) != aoti_torch_dtype_float32()) return false;
  const OwnView<float> result(out), one(left), other(right);
  const int64_t first = many ? 1 : 0, last = first + 1;
  const int64_t number = one.sizes[first], inner = one.sizes[last], columns = other.sizes[last];
  if (columns > 1 && result.steps[last] != 1) return false;
  if (columns < FEWEST_COLUMNS && number > MOST_NARROW) return false;
  const bool turned = columns > 1 && other.steps[last] != 1;
  if (turned && inner * columns > MOST_TURNED) return false;
  const float* begin = nullptr;
  int64_t begin_row = 0;
  if (start != nullptr) {
    const OwnView<float> added(start);
    int64_t axes;
    aoti_torch_get_dim(start, &axes);
    if (added.sizes[axes - 1] != columns || (columns > 1 && added.steps[axes - 1] != 1) ||
        (axes == 2 && added.sizes[0] != number) || added.data == result.data)
      return false;
    begin = added.data;
    begin_row = axes == 2 ? added.steps[0] : 0;
  }
  float copy[MOST_TURNED];
  for (int64_t matrix = 0; matrix < (many ? one.sizes[0] : 1); ++matrix) {
    const float* values = other.data + (many ? matrix * other.steps[0] : 0);
    int64_t row = other.steps[first];
    if (turned) {
      for (int64_t k = 0; k < inner; ++k)
        for (int64_t column = 0; column < columns; ++column)
          copy[k * columns + column] = values[k * row + column * other.steps[last]];
      values = copy;
      row = columns;
    }
    own_product(result.data + (many ? matrix * result.steps[0] : 0), result.steps[first], begin,
                begin_row, one.data + (many ? matrix * one.steps[0] : 0), one.steps[first],
                one.steps[last], values, row, number, inner, columns);
  }
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
  const int32_t dtype = own_dtype(table);
  const bool single = dtype == aoti_torch_dtype_float32();
  const OwnView<void> rows(table);
  const int64_t columns = rows.sizes[1];
  if (!(single || dtype == aoti_torch_dtype_float64()) || mode != 0 || weights != nullptr ||
      last || padding >= 0 || rows.steps[1] != 1 || rows.steps[0] != columns || columns == 0)
    return aoti_torch_cpu__embedding_bag_forward_only(
        table, order, offsets, scale, mode, sparse, weights, last, padding, sums, bags, lengths,
        largest);
  const OwnView<int64_t> members(order), starts(offsets);
  const int64_t number = starts.sizes[0], all = members.sizes[0];
  *bags = *lengths = *largest = nullptr;  // nobody reads them
  const AOTITorchError error = own_new_matrix(number, columns, dtype, sums);
  if (error != AOTI_TORCH_SUCCESS) return error;
  void* out = OwnView<void>(*sums).data;
  if (single)
    own_sums_float(static_cast<float*>(out), static_cast<float*>(rows.data), members.data,
                   starts.data, number, all, columns);
  else
    own_sums_double(static_cast<double*>(out), static_cast<double*>(rows.data), members.data,
                    starts.data, number, all, columns);
  return AOTI_TORCH_SUCCESS;
}

AOTITorchError own_sort_stable(AtenTensorHandle index, int32_t* stable, int64_t axis,
                               int32_t falling, AtenTensorHandle* sorted,
                               AtenTensorHandle* order) {
  if (falling || axis != 0 || !own_is_list(index))
    return aoti_torch_cpu_sort_stable(index, stable, axis, falling, sorted, order);
  const OwnView<int64_t> given(index);
  for (AtenTensorHandle* made : {sorted, order}) {
    const AOTITorchError error = own_new_list(given.sizes[0], made);
    if (error != AOTI_TORCH_SUCCESS) return error;
  }
  own_order(OwnView<int64_t>(*sorted).data, OwnView<int64_t>(*order).data, given.data,
            given.sizes[0]);
  return AOTI_TORCH_SUCCESS;
}

AOTITorchError own_searchsorted(AtenTensorHandle sorted, AtenTensorHandle others, int32_t short_out,
                                int32_t right, const char** side, AtenTensorHandle* sorter,
                                AtenTensorHandle* places) {
  if (short_out || right || side != nullptr || sorter != nullptr || !own_is_list(sorted) ||
      !own_is_list(others))
    return aoti_torch_cpu_searchsorted_Tensor(
        sorted, others, short_out, right, side, sorter, places);
  const OwnView<int64_t> rising(sorted), wanted(others);
  const AOTITorchError error = own_new_list(wanted.sizes[0], places);
  if (error != AOTI_TORCH_SUCCESS) return error;
  own_places(OwnView<int64_t>(*places).data, rising.data, rising.sizes[0], wanted.data,
             wanted.sizes[0]);
  return AOTI_TORCH_SUCCESS;
}
}  // namespace

#define aoti_torch_cpu_mm_out own_mm_out
#define aoti_torch_cpu_bmm_out own_bmm_out
#define aoti_torch_cpu_addmm_out own_addmm_out
#define aoti_torch_cpu__embedding_bag_forward_only own_embedding_bag
#define aoti_torch_cpu_sort_stable own_sort_stable
#define aoti_torch_cpu_searchsorted_Tensor own_searchsorted
