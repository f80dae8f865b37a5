// Vectors are opaque to Python and immutable; rows and words cross as arrays, a vector at a time.
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "bind.h"
#include "esker/bitmap/column_writer.h"
#include "esker/bitmap/wah32.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using bitmap::SlotWords;
using bitmap::Wah32;
using bitmap::Wah32ColumnWriter;
using NoGil = nb::gil_scoped_release;

template <class Item>
using Input = nb::ndarray<const Item, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class Item>
using Output = nb::ndarray<nb::numpy, Item, nb::ndim<1>>;

template <class Item>
std::span<const Item> span_of(const Input<Item>& array) {
  return {array.data(), array.size()};
}

// Gives an array to Python that frees itself.
template <class Item>
Output<Item> hand_over(std::vector<Item> items) {
  auto owned = std::make_unique<std::vector<Item>>(std::move(items));
  const nb::capsule owner(owned.get(),
                          [](void* pointer) noexcept { delete static_cast<std::vector<Item>*>(pointer); });
  auto* kept = owned.release();
  return Output<Item>(kept->data(), {kept->size()}, owner);
}

Wah32 wah32_from_positions(const Input<std::uint64_t>& rows, std::uint64_t row_count) {
  const NoGil released;
  return Wah32::from_positions(span_of(rows), row_count);
}

Wah32 wah32_from_runs(const Input<std::uint64_t>& starts, const Input<std::uint64_t>& stops,
                      std::uint64_t row_count) {
  const NoGil released;
  return Wah32::from_runs(span_of(starts), span_of(stops), row_count);
}

Wah32 wah32_from_words(const Input<std::uint32_t>& words, std::uint64_t row_count) {
  const NoGil released;
  const auto span = span_of(words);
  return Wah32::from_words({span.begin(), span.end()}, row_count);
}

Output<std::uint64_t> wah32_positions(const Wah32& vector) {
  std::vector<std::uint64_t> rows;
  {
    const NoGil released;
    rows.resize(vector.count());
    vector.positions(rows.data());
  }
  return hand_over(std::move(rows));
}

nb::typed<nb::tuple, Output<std::uint64_t>, Output<std::uint64_t>> wah32_runs(const Wah32& vector) {
  std::vector<std::uint64_t> starts;
  std::vector<std::uint64_t> stops;
  {
    const NoGil released;
    bitmap::for_each_row_run<bitmap::Groups31>(vector.runs(), [&](std::uint64_t start, std::uint64_t stop) {
      starts.push_back(start);
      stops.push_back(stop);
    });
  }
  return nb::make_tuple(hand_over(std::move(starts)), hand_over(std::move(stops)));
}

// A view: the array keeps the vector.
nb::ndarray<nb::numpy, const std::uint32_t, nb::ndim<1>> wah32_words(nb::handle_t<Wah32> self) {
  const auto words = nb::cast<const Wah32&>(self).words();
  return {words.data(), {words.size()}, self};
}

Wah32 wah32_unite_all(const std::vector<const Wah32*>& vectors) {
  for (const Wah32* vector : vectors) {
    if (vector == nullptr) throw nb::type_error("a union takes vectors, not None");
  }
  const NoGil released;
  return bitmap::unite_all(vectors);
}

nb::typed<nb::tuple, Output<std::uint32_t>, Output<std::uint64_t>> slot_words(SlotWords&& out) {
  return nb::make_tuple(hand_over(std::move(out.words)), hand_over(std::move(out.offsets)));
}

void column_add(Wah32ColumnWriter& writer, const Input<std::int32_t>& slots, std::uint64_t first_row,
                std::size_t slot_count) {
  const NoGil released;
  writer.add(span_of(slots), first_row, slot_count);
}

}  // namespace

void bind_bitmap(nb::module_& module) {
  using Guard = nb::call_guard<NoGil>;
  nb::class_<Wah32>(module, "Wah32")
      .def_static("from_positions", &wah32_from_positions, nb::arg("rows"), nb::arg("row_count"))
      .def_static("from_runs", &wah32_from_runs, nb::arg("starts"), nb::arg("stops"), nb::arg("row_count"))
      .def_static("from_words", &wah32_from_words, nb::arg("words"), nb::arg("row_count"))
      .def_static("unite_all", &wah32_unite_all, nb::arg("vectors"))
      .def_prop_ro("row_count", &Wah32::row_count)
      .def_prop_ro("count", &Wah32::count)
      .def("words", &wah32_words)
      .def("positions", &wah32_positions)
      .def("runs", &wah32_runs)
      .def("intersect", &Wah32::intersect, nb::arg("other"), Guard())
      .def("unite", &Wah32::unite, nb::arg("other"), Guard())
      .def("differ", &Wah32::differ, nb::arg("other"), Guard())
      .def("subtract", &Wah32::subtract, nb::arg("other"), Guard())
      .def("invert", &Wah32::invert, Guard());
  nb::class_<Wah32ColumnWriter>(module, "Wah32ColumnWriter")
      .def(nb::init<>())
      .def("add", &column_add, nb::arg("slots"), nb::arg("first_row"), nb::arg("slot_count"))
      .def_prop_ro("slot_count", &Wah32ColumnWriter::slot_count)
      .def_prop_ro("held_bytes", &Wah32ColumnWriter::held_bytes)
      .def("drain", [](Wah32ColumnWriter& writer) { return slot_words(writer.drain()); })
      .def(
          "finish",
          [](Wah32ColumnWriter& writer, std::uint64_t row_count) {
            return slot_words(writer.finish(row_count));
          },
          nb::arg("row_count"));
}

}  // namespace esker::bind
