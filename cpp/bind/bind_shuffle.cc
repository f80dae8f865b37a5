// The shuffle: batches in as capsules, pages out as record batches.
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cerrno>
#include <deque>

#include "arrow_capsule.h"
#include "bind.h"
#include "esker/error.h"
#include "esker/shuffle/shuffle.h"
#include "functions.h"
#include "page_batch.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using NoGil = nb::gil_scoped_release;
using shuffle::Shuffle;

const shuffle::Combination& named(const std::string& strategy, const std::string& pages) {
  return shuffle::combination(strategy, pages);
}

std::shared_ptr<Shuffle> make_shuffle(nb::handle schema, std::vector<int> keys, std::uint32_t partition_count,
                                      std::shared_ptr<page::PagePool> pool, const std::string& strategy,
                                      const std::string& pages, const std::string& function,
                                      std::uint64_t seed, std::uint32_t thread_count, bool ordered,
                                      std::uint64_t page_bytes_max, int spill_fd,
                                      std::uint64_t spill_limit_bytes, std::uint64_t buffer_bytes,
                                      std::uint32_t key_only_columns, bool padded_locks, bool minimal_locking,
                                      bool two_step, bool streaming_stores, bool power_of_two,
                                      std::uint32_t chunk_rows) {
  const BorrowedSchema borrowed(schema);
  shuffle::ShuffleOptions options{function_named(function), seed,     thread_count,      ordered,
                                  page_bytes_max,           spill_fd, spill_limit_bytes, buffer_bytes,
                                  key_only_columns,         {}};
  options.optimisations = {padded_locks,     minimal_locking, two_step,
                           streaming_stores, power_of_two,    chunk_rows};
  return std::make_shared<Shuffle>(arrow::columns_of(*borrowed.schema), std::move(keys), partition_count,
                                   std::move(pool), named(strategy, pages), options);
}

std::uint64_t overhead_bytes(nb::handle schema, std::uint32_t partition_count, const std::string& strategy,
                             const std::string& pages, std::uint32_t thread_count,
                             std::uint64_t buffer_bytes) {
  const BorrowedSchema borrowed(schema);
  return Shuffle::overhead_bytes(arrow::columns_of(*borrowed.schema), partition_count, named(strategy, pages),
                                 thread_count, buffer_bytes);
}

nb::list combinations() {
  nb::list out;
  for (const shuffle::Combination& found : shuffle::combinations()) {
    out.append(nb::make_tuple(std::string(found.strategy), std::string(found.pages), found.ordered));
  }
  return out;
}

void push(Shuffle& self, const nb::typed<nb::list, nb::object>& batches) {
  std::deque<BorrowedBatch> borrowed;
  for (const nb::handle batch : batches) borrowed.emplace_back(batch);
  const NoGil released;
  std::vector<arrow::BatchView> views;
  for (const auto& batch : borrowed) {
    views.push_back(arrow::view_of(*batch.array, *batch.schema, self.columns()));
  }
  self.push(views);
}

// The schema lives in the shuffle; batches that outlive it keep it through this pointer.
std::shared_ptr<const page::PageSchema> schema_of(const std::shared_ptr<Shuffle>& self) {
  return {self, &self->schema()};
}

using Take = std::optional<shuffle::LeasedPage> (Shuffle::*)(std::uint32_t);

template <Take take>
std::optional<PageBatch> page_of(const std::shared_ptr<Shuffle>& self, std::uint32_t partition) {
  std::optional<shuffle::LeasedPage> leased;
  {
    const NoGil released;
    leased = (*self.*take)(partition);
  }
  if (!leased) return std::nullopt;
  return PageBatch{leased->page, schema_of(self), leased->lease};
}

nb::typed<nb::dict, nb::str, nb::any> statistics(const Shuffle& self) {
  shuffle::ShuffleStatistics found;
  {
    const NoGil released;
    found = self.statistics();
  }
  nb::dict out;
  out["rows"] = found.rows;
  out["pages"] = found.pages;
  out["pages_by_bytes"] = found.pages_by_bytes;
  out["payload_bytes"] = found.payload_bytes;
  out["allocated_bytes"] = found.allocated_bytes;
  out["spilled_bytes"] = found.spilled_bytes;
  out["spilled_pages"] = found.spilled_pages;
  out["pool_peak_bytes"] = found.pool_peak_bytes;
  out["morsels"] = found.morsels;
  out["claims"] = found.claims;
  out["lock_waits"] = found.lock_waits;
  out["turn_waits"] = found.turn_waits;
  out["input_reads"] = found.accesses.input_reads;
  out["buffer_writes"] = found.accesses.buffer_writes;
  out["page_writes"] = found.accesses.page_writes;
  out["merge_moves"] = found.accesses.merge_moves;
  return out;
}

// What reads a partition, and whatever Python object must live as long as its batches may be asked for.
struct Reading {
  Reading(std::shared_ptr<Shuffle> shuffle_, std::uint32_t partition_, std::uint64_t bytes_max_,
          page::Types types_, nb::object keeper_)
      : shuffle(std::move(shuffle_)),
        partition(partition_),
        bytes_max(bytes_max_),
        types(types_),
        keeper(std::move(keeper_)) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() {
    // The last holder may be a consumer that let go of the interpreter, or outlived it.
    if (!nb::is_alive()) {
      keeper.release();
      return;
    }
    const nb::gil_scoped_acquire held;
    keeper.reset();
  }

  std::shared_ptr<Shuffle> shuffle;
  std::uint32_t partition;
  std::uint64_t bytes_max;
  page::Types types;
  nb::object keeper;
  std::exception_ptr failure;
  std::string text;
};

// The rows of a partition as one Arrow stream, in batches of about `bytes_max` bytes.
// The interface hands a consumer only a code and a text: `raise_failure` has the error itself.
struct PartitionStream {
  std::shared_ptr<Reading> reading;
};

Reading& state(ArrowArrayStream* stream) {
  return **static_cast<std::shared_ptr<Reading>*>(stream->private_data);
}

int stream_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  page::export_schema(state(stream).shuffle->schema(), out, state(stream).types);
  return 0;
}

int stream_next(ArrowArrayStream* stream, ArrowArray* out) {
  Reading& self = state(stream);
  *out = {};
  try {
    self.shuffle->next_batch(self.partition, self.bytes_max, self.types, out);
    return 0;
  } catch (const std::exception& failure) {
    self.failure = std::current_exception();
    self.text = failure.what();
    return EIO;
  }
}

const char* stream_error(ArrowArrayStream* stream) {
  return state(stream).text.c_str();
}

void stream_release(ArrowArrayStream* stream) {
  delete static_cast<std::shared_ptr<Reading>*>(stream->private_data);
  stream->release = nullptr;
}

nb::capsule stream_of(const PartitionStream& self, nb::handle /*requested_schema*/) {
  return stream_capsule({&stream_schema, &stream_next, &stream_error, &stream_release,
                         new std::shared_ptr<Reading>(self.reading)});
}

nb::capsule schema_of_stream(const PartitionStream& self) {
  ArrowSchema schema;
  page::export_schema(self.reading->shuffle->schema(), &schema, self.reading->types);
  return schema_capsule(schema);
}

void raise_failure(const PartitionStream& self) {
  if (self.reading->failure) std::rethrow_exception(self.reading->failure);
}

PartitionStream partition_stream(const std::shared_ptr<Shuffle>& self, std::uint32_t partition,
                                 std::uint64_t bytes_max, bool views, nb::object keeper) {
  const auto types = views ? page::Types::held : page::Types::came;
  return {std::make_shared<Reading>(self, partition, bytes_max, types, std::move(keeper))};
}

void raise_os_error(int code, const char* what) {
  const nb::tuple arguments = nb::make_tuple(code, what);
  PyErr_SetObject(PyExc_OSError, arguments.ptr());
}

}  // namespace

void bind_shuffle(nb::module_& module) {
  using Guard = nb::call_guard<NoGil>;
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const SpillFailed& error) {
      raise_os_error(error.code, error.what());
    } catch (const PoolExhausted& error) {
      PyErr_SetString(PyExc_MemoryError, error.what());
    } catch (const Interrupted& error) {
      raise_os_error(EINTR, error.what());
    }
  });
  nb::class_<PartitionStream>(module, "PartitionStream")
      .def("__arrow_c_schema__", &schema_of_stream)
      .def("__arrow_c_stream__", &stream_of, nb::arg("requested_schema") = nb::none())
      .def("raise_failure", &raise_failure);
  nb::class_<Shuffle>(module, "Shuffle")
      .def(nb::new_(&make_shuffle), nb::arg("schema"), nb::arg("keys"), nb::arg("partition_count"),
           nb::arg("pool"), nb::kw_only(), nb::arg("strategy") = "software_managed_buffers",
           nb::arg("pages") = "", nb::arg("function") = "hash", nb::arg("seed") = 0,
           nb::arg("thread_count") = 1, nb::arg("ordered") = true, nb::arg("page_bytes_max") = 5 << 20,
           nb::arg("spill_fd") = -1, nb::arg("spill_limit_bytes") = 0, nb::arg("buffer_bytes") = 0,
           nb::arg("key_only_columns") = 0, nb::arg("padded_locks") = true, nb::arg("minimal_locking") = true,
           nb::arg("two_step") = true, nb::arg("streaming_stores") = true, nb::arg("power_of_two") = true,
           nb::arg("chunk_rows") = 1024)
      .def("push", &push, nb::arg("batches"))
      .def("finish", &Shuffle::finish, Guard())
      .def("flush", &Shuffle::flush, Guard())
      .def("ready", &page_of<&Shuffle::ready>, nb::arg("partition"))
      .def("next", &page_of<&Shuffle::next>, nb::arg("partition"))
      .def("partition", &partition_stream, nb::arg("partition"), nb::arg("bytes_max"),
           nb::arg("views") = false, nb::arg("keeper") = nb::none())
      .def("partition_rows", &Shuffle::partition_rows, Guard())
      .def("partition_bytes", &Shuffle::partition_bytes, Guard())
      .def("statistics", &statistics)
      .def("free", &Shuffle::free, Guard())
      .def("interrupt", &Shuffle::interrupt)
      .def_static("overhead_bytes", &overhead_bytes, nb::arg("schema"), nb::arg("partition_count"),
                  nb::arg("strategy"), nb::arg("pages") = "", nb::arg("thread_count") = 1,
                  nb::arg("buffer_bytes") = 0)
      .def_static("combinations", &combinations,
                  nb::sig("def combinations() -> list[tuple[str, str, bool]]"));
}

}  // namespace esker::bind
