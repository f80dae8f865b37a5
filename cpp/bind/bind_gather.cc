// Values of a column in several arrays, gathered into buffers that the caller allocates.
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "arrow_capsule.h"
#include "bind.h"
#include "esker/gather/column_pieces.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using NoGil = nb::gil_scoped_release;
using Positions = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Batches of one column each; their capsules are kept.
class Pieces {
 public:
  explicit Pieces(const std::vector<nb::object>& batches) : column_(type_of(batches)) {
    batches_.reserve(batches.size());
    for (const nb::object& batch : batches) {
      const BorrowedBatch& borrowed = batches_.emplace_back(batch);
      const auto view = arrow::view_of(*borrowed.array, *borrowed.schema, {type_});
      column_.add(view.columns[0], view.row_count);
    }
  }

  std::int64_t row_count() const { return column_.row_count(); }

  // The validity (None without nulls), values or offsets, and data (None of fixed width); and the count of
  // nulls.
  nb::tuple take(const Positions& positions, const nb::callable& allocate) const {
    gather::ColumnPieces::Found found;
    {
      const NoGil released;
      found = column_.find({positions.data(), positions.size()});
    }
    const auto count = static_cast<std::int64_t>(found.values.size());
    const nb::object values = allocate(column_.values_bytes(count));
    const nb::object data = column_.sized() ? nb::object(allocate(found.data_bytes)) : nb::none();
    const nb::object validity = found.null_count != 0 ? nb::object(allocate((count + 7) / 8)) : nb::none();
    const gather::Room room{address(values), address(data), address(validity)};
    {
      const NoGil released;
      column_.copy(found, room);
    }
    return nb::make_tuple(validity, values, data, found.null_count);
  }

 private:
  const arrow::ColumnType& type_of(const std::vector<nb::object>& batches) {
    if (batches.empty()) throw std::invalid_argument("a column in no pieces has no type");
    const auto columns = arrow::columns_of(*BorrowedBatch(batches[0]).schema);
    if (columns.size() != 1) throw std::invalid_argument("a piece has one column");
    type_ = columns[0];
    return type_;
  }

  // Of a mutable pyarrow buffer.
  static std::uint8_t* address(const nb::object& buffer) {
    if (buffer.is_none()) return nullptr;
    return reinterpret_cast<std::uint8_t*>(nb::cast<std::uintptr_t>(buffer.attr("address")));
  }

  arrow::ColumnType type_;
  gather::ColumnPieces column_;
  std::vector<BorrowedBatch> batches_;
};

}  // namespace

void bind_gather(nb::module_& module) {
  nb::class_<Pieces>(module, "ColumnPieces")
      .def(nb::init<const std::vector<nb::object>&>(), nb::arg("batches"))
      .def_prop_ro("row_count", &Pieces::row_count)
      .def("take", &Pieces::take, nb::arg("positions"), nb::arg("allocate"));
}

}  // namespace esker::bind
