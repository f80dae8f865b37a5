// Rows taken by number from batches of a mapped file.
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "arrow_capsule.h"
#include "bind.h"
#include "esker/error.h"
#include "esker/rows/row_gather.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using NoGil = nb::gil_scoped_release;
using RowNumbers = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Fewer rows than this are taken before another thread could have run.
constexpr std::size_t kReleaseRows = 512;

class BatchGather {
 public:
  BatchGather(nb::handle schema, std::vector<std::uint64_t> starts)
      : columns_(arrow::columns_of(*BorrowedSchema(schema).schema)), gather_(columns_, std::move(starts)) {}

  BatchGather(const BatchGather&) = delete;

  void add(std::size_t part, nb::handle batch, std::vector<std::uint64_t> data_bytes) {
    BorrowedBatch borrowed(batch);
    gather_.add(part, arrow::view_of(*borrowed.array, *borrowed.schema, columns_), std::move(data_bytes));
    kept_.push_back(std::move(borrowed.array_capsule));
  }

  std::vector<std::size_t> missing(const RowNumbers& rows) const {
    return gather_.missing({rows.data(), rows.size()});
  }

  // A batch; its schema is that of the columns named.
  nb::capsule take(const RowNumbers& rows, const std::vector<std::uint32_t>& columns) const {
    if (rows.size() > UINT32_MAX) throw InvalidInput("a batch has fewer than 2^32 rows");
    ArrowArray out{};
    {
      std::optional<NoGil> released;
      if (rows.size() >= kReleaseRows) released.emplace();
      gather_.take({rows.data(), rows.size()}, columns, &out);
    }
    return array_capsule(out);
  }

 private:
  std::vector<arrow::ColumnType> columns_;
  rows::RowGather gather_;
  std::vector<nb::object> kept_;
};

}  // namespace

void bind_rows(nb::module_& module) {
  nb::class_<BatchGather>(module, "BatchGather")
      .def(nb::init<nb::handle, std::vector<std::uint64_t>>(), nb::arg("schema"), nb::arg("starts"))
      .def("add", &BatchGather::add, nb::arg("part"), nb::arg("batch"), nb::arg("data_bytes"))
      .def("missing", &BatchGather::missing, nb::arg("rows"))
      .def("take", &BatchGather::take, nb::arg("rows"), nb::arg("columns"));
}

}  // namespace esker::bind
