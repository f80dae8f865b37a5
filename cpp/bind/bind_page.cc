// Pages: the pool they come from, and pages as record batches.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "arrow_capsule.h"
#include "bind.h"
#include "esker/page/page_pool.h"
#include "page_batch.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using NoGil = nb::gil_scoped_release;
using page::PagePool;

nb::capsule page_schema_capsule(const PageBatch& self) {
  ArrowSchema schema;
  page::export_schema(*self.schema, &schema);
  return schema_capsule(schema);
}

nb::typed<nb::tuple, nb::capsule, nb::capsule> page_array_capsules(const PageBatch& self,
                                                                   nb::handle /*requested_schema*/) {
  ArrowArray array;
  page::export_batch(self.page, *self.schema, self.owner, &array);
  auto arrays = array_capsule(array);
  return nb::make_tuple(page_schema_capsule(self), arrays);
}

// Copies the bytes to aligned memory first: columns of a page start on 64-byte boundaries.
PageBatch decode_page(const nb::bytes& data, nb::handle schema, const std::string& place) {
  const BorrowedSchema borrowed(schema);
  PageBatch batch;
  batch.schema = std::make_shared<const page::PageSchema>(arrow::columns_of(*borrowed.schema));
  const auto size = data.size();
  void* memory = std::aligned_alloc(page::kRegionAlignment, page::round_up(size + 1, page::kRegionAlignment));
  if (memory == nullptr) throw std::bad_alloc();
  batch.owner = std::shared_ptr<void>(memory, &std::free);
  std::memcpy(memory, data.c_str(), size);
  const NoGil released;
  batch.page = page::open({static_cast<std::uint8_t*>(memory), size}, *batch.schema, place);
  page::check_values(batch.page, *batch.schema, place);
  return batch;
}

// The page as it is stored: sealed, with its checksum, unused bytes zero.
nb::bytes encode_page(const PageBatch& self, std::uint32_t partition) {
  std::string out(self.page.layout->page_bytes, '\0');
  {
    const NoGil released;
    page::Page copy = self.page;
    copy.bytes = reinterpret_cast<std::uint8_t*>(out.data());
    for (const auto& range : page::used_ranges(*copy.layout, *self.schema, copy.row_count, copy.heap_begin)) {
      std::memcpy(copy.bytes + range.begin, self.page.bytes + range.begin, range.end - range.begin);
    }
    page::seal(copy, *self.schema, partition, true);
  }
  return nb::bytes(out.data(), out.size());
}

}  // namespace

void bind_page(nb::module_& module) {
  using Guard = nb::call_guard<NoGil>;
  nb::class_<PagePool>(module, "PagePool")
      .def(nb::new_([](std::uint64_t budget_bytes, bool huge_pages, bool recycle) {
             return std::make_shared<PagePool>(budget_bytes, page::PoolOptions{huge_pages, recycle});
           }),
           nb::arg("budget_bytes"), nb::kw_only(), nb::arg("huge_pages") = true, nb::arg("recycle") = true)
      .def("prepare", &PagePool::prepare, nb::arg("page_bytes"), nb::arg("count"), Guard())
      .def_prop_ro("budget_bytes", &PagePool::budget_bytes)
      .def("trim", &PagePool::trim, Guard())
      .def_prop_ro("used_bytes", &PagePool::used_bytes, Guard())
      .def_prop_ro("peak_bytes", &PagePool::peak_bytes, Guard());
  nb::class_<PageBatch>(module, "PageBatch")
      .def_prop_ro("row_count", [](const PageBatch& self) { return self.page.row_count; })
      .def_prop_ro("page_bytes", [](const PageBatch& self) { return self.page.layout->page_bytes; })
      .def("encode", &encode_page, nb::arg("partition"))
      .def("__arrow_c_schema__", &page_schema_capsule)
      .def("__arrow_c_array__", &page_array_capsules, nb::arg("requested_schema") = nb::none());
  module.def("decode_page", &decode_page, nb::arg("data"), nb::arg("schema"), nb::arg("place") = "page");
}

}  // namespace esker::bind
