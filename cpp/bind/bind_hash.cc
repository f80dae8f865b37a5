// Key hashes and partition numbers as arrays, a batch at a time.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <span>

#include "arrow_capsule.h"
#include "bind.h"
#include "esker/hash/code_table.h"
#include "esker/hash/row_hash.h"
#include "functions.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using NoGil = nb::gil_scoped_release;

template <class Item>
using Output = nb::ndarray<nb::numpy, Item, nb::ndim<1>>;

template <class Item, class Fill>
Output<Item> filled(std::size_t size, Fill fill) {
  auto items = std::make_unique<Item[]>(size);
  {
    const NoGil released;
    fill(items.get());
  }
  const nb::capsule owner(items.get(), [](void* pointer) noexcept { delete[] static_cast<Item*>(pointer); });
  auto* kept = items.release();
  return Output<Item>(kept, {size}, owner);
}

Output<std::uint64_t> hash_rows(nb::handle batch, const std::vector<int>& keys, std::uint64_t seed) {
  const BorrowedBatch borrowed(batch);
  const auto columns = arrow::columns_of(*borrowed.schema);
  // The constructor checks the keys.
  const shuffle::PartitionFunction checked(shuffle::Function::hash, columns, keys, 1, seed);
  const auto view = arrow::view_of(*borrowed.array, *borrowed.schema, columns);
  return filled<std::uint64_t>(static_cast<std::size_t>(view.row_count), [&](std::uint64_t* out) {
    hash::hash_rows(view, columns, keys, seed, 0, view.row_count, out);
  });
}

Output<std::uint32_t> partition_ids(nb::handle batch, const std::vector<int>& keys,
                                    std::uint32_t partition_count, const std::string& function,
                                    std::uint64_t seed) {
  const BorrowedBatch borrowed(batch);
  const auto columns = arrow::columns_of(*borrowed.schema);
  const shuffle::PartitionFunction partition_of(function_named(function), columns, keys, partition_count,
                                                seed);
  const auto view = arrow::view_of(*borrowed.array, *borrowed.schema, columns);
  return filled<std::uint32_t>(static_cast<std::size_t>(view.row_count),
                               [&](std::uint32_t* out) { partition_of(view, 0, view.row_count, out); });
}

using Codes = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The table, and the number of each of the codes it was made of.
nb::tuple make_code_table(const Codes& codes) {
  std::unique_ptr<hash::CodeTable> table;
  const auto numbers = filled<std::int64_t>(codes.size(), [&](std::int64_t* out) {
    table = std::make_unique<hash::CodeTable>(std::span(codes.data(), codes.size()), out);
  });
  return nb::make_tuple(nb::cast(table.release(), nb::rv_policy::take_ownership), nb::cast(numbers));
}

Output<std::int64_t> find_codes(const hash::CodeTable& table, const Codes& codes) {
  return filled<std::int64_t>(codes.size(),
                              [&](std::int64_t* out) { table.find({codes.data(), codes.size()}, out); });
}

}  // namespace

void bind_hash(nb::module_& module) {
  nb::class_<hash::CodeTable>(module, "CodeTable")
      .def_static("of", &make_code_table, nb::arg("codes"))
      .def_prop_ro("code_count", &hash::CodeTable::code_count)
      .def("find", &find_codes, nb::arg("codes"));
  module.def("hash_rows", &hash_rows, nb::arg("batch"), nb::arg("keys"), nb::arg("seed") = 0);
  module.def("partition_ids", &partition_ids, nb::arg("batch"), nb::arg("keys"), nb::arg("partition_count"),
             nb::arg("function") = "hash", nb::arg("seed") = 0);
}

}  // namespace esker::bind
