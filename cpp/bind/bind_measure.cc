// What the evaluation measures with: tuples from a generator, and memcpy with some threads.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>
#include <stdexcept>

#include "bind.h"
#include "esker/measure/copy.h"
#include "esker/measure/tuples.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using NoGil = nb::gil_scoped_release;

template <class Item>
using Items = nb::ndarray<Item, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class Item>
std::span<Item> span_of(const Items<Item>& items) {
  return {items.data(), items.size()};
}

void copy_bytes(const Items<const std::uint8_t>& source, const Items<std::uint8_t>& target,
                std::uint32_t thread_count, std::uint32_t repeats) {
  if (source.size() > target.size()) throw std::invalid_argument("the target is smaller than the source");
  const NoGil released;
  measure::copy(source.data(), target.data(), source.size(), thread_count, repeats);
}

std::int32_t generate_offsets(const Items<std::int32_t>& offsets, std::uint32_t bytes_min,
                              std::uint32_t bytes_max, std::uint64_t seed) {
  const NoGil released;
  return measure::generate_offsets(span_of(offsets), bytes_min, bytes_max, seed);
}

void generate_tuples(const Items<std::uint32_t>& keys, const Items<std::uint8_t>& values,
                     const std::optional<Items<const std::int32_t>>& offsets, std::uint64_t seed,
                     std::uint64_t batch_rows, std::uint32_t thread_count) {
  measure::Tuples tuples{span_of(keys), span_of(values), {}};
  if (offsets) tuples.offsets = span_of(*offsets);
  const NoGil released;
  measure::generate(tuples, seed, batch_rows, thread_count);
}

}  // namespace

void bind_measure(nb::module_& module) {
  module.def("copy_bytes", &copy_bytes, nb::arg("source"), nb::arg("target"), nb::arg("thread_count") = 1,
             nb::arg("repeats") = 1);
  module.def("generate_offsets", &generate_offsets, nb::arg("offsets"), nb::arg("bytes_min"),
             nb::arg("bytes_max"), nb::arg("seed") = 0);
  module.def("generate_tuples", &generate_tuples, nb::arg("keys"), nb::arg("values"),
             nb::arg("offsets") = nb::none(), nb::arg("seed") = 0, nb::arg("batch_rows") = 4096,
             nb::arg("thread_count") = 1);
}

}  // namespace esker::bind
