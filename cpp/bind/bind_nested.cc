// Nested columns to binary ones and back, a batch at a time.
#include <stdexcept>

#include "arrow_capsule.h"
#include "bind.h"
#include "esker/nested/decode_rows.h"
#include "esker/nested/encode_rows.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using NoGil = nb::gil_scoped_release;

// A large binary array.
nb::capsule encode_rows(nb::handle array, bool as_key) {
  const BorrowedBatch borrowed(array);
  ArrowArray out{};
  {
    const NoGil released;
    const nested::ValueType type = nested::value_type_of(*borrowed.schema);
    nested::export_rows(nested::encode_rows(nested::value_view(*borrowed.array, type), as_key), &out);
  }
  return array_capsule(out);
}

nb::capsule decode_rows(nb::handle type, nb::handle batch) {
  const BorrowedSchema borrowed_type(type);
  const BorrowedBatch borrowed(batch);
  ArrowArray out{};
  {
    const NoGil released;
    const auto columns = arrow::columns_of(*borrowed.schema);
    if (columns.size() != 1) throw std::invalid_argument("encoded rows are one column");
    const auto view = arrow::view_of(*borrowed.array, *borrowed.schema, columns);
    nested::decode_rows(nested::value_type_of(*borrowed_type.schema), view, columns[0], &out);
  }
  return array_capsule(out);
}

}  // namespace

void bind_nested(nb::module_& module) {
  module.def("encode_rows", &encode_rows, nb::arg("array"), nb::kw_only(), nb::arg("as_key") = false);
  module.def("decode_rows", &decode_rows, nb::arg("type"), nb::arg("batch"));
}

}  // namespace esker::bind
