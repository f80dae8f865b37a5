#include "esker/nested/array_export.h"

#include <memory>
#include <utility>

namespace esker::nested {
namespace {

// Consumers want a place even for no bytes.
constexpr std::uint64_t kNothing[2] = {};

void release(ArrowArray* array) {
  array->release = nullptr;
  delete static_cast<ExportedArray*>(array->private_data);
}

void set_buffers(const ValueType& type, ExportedArray& held) {
  const auto place = [](const std::vector<std::uint8_t>& bytes) -> const void* {
    return bytes.empty() ? static_cast<const void*>(kNothing) : bytes.data();
  };
  const void* validity = held.null_count > 0 ? held.validity.data() : nullptr;
  switch (type.kind) {
    case Kind::null:
    case Kind::runs:
      return;
    case Kind::structure:
    case Kind::fixed_list:
      held.buffers = {validity};
      return;
    case Kind::sparse_union:
      held.buffers = {place(held.values)};
      return;
    case Kind::dense_union:
      held.buffers = {place(held.values), place(held.data)};
      return;
    case Kind::list_view:
      held.buffers = {validity, place(held.values), place(held.data)};
      return;
    case Kind::bytes:
      held.buffers = {validity, place(held.values), place(held.data)};
      if (type.source == arrow::Source::views) held.buffers.push_back(&held.data_bytes);
      return;
    default:
      held.buffers = {validity, place(held.values)};
  }
}

// Runs keep their ends in `values`; Arrow wants them as a child of its own.
void add_run_ends(const ValueType& type, ExportedArray& held) {
  ValueType ends_type;
  ends_type.kind = Kind::fixed;
  ends_type.width = type.width;
  ExportedArray ends;
  ends.length = held.children.back().length;
  ends.values = std::move(held.values);
  export_array(ends_type, std::move(ends), &held.children.emplace_front());
}

}  // namespace

ExportedArray::~ExportedArray() {
  for (ArrowArray& child : children) {
    if (child.release != nullptr) child.release(&child);
  }
}

void export_array(const ValueType& type, ExportedArray built, ArrowArray* out) {
  auto held = std::make_unique<ExportedArray>(std::move(built));
  if (type.kind == Kind::runs) add_run_ends(type, *held);
  held->data_bytes = static_cast<std::int64_t>(held->data.size());
  set_buffers(type, *held);
  for (ArrowArray& child : held->children) held->pointers.push_back(&child);
  *out = {};
  out->length = held->length;
  out->null_count = type.kind == Kind::runs ? 0 : held->null_count;
  out->n_buffers = static_cast<std::int64_t>(held->buffers.size());
  out->buffers = held->buffers.data();
  if (type.kind == Kind::dictionary) {
    out->dictionary = held->pointers[0];
  } else {
    out->n_children = static_cast<std::int64_t>(held->pointers.size());
    out->children = held->pointers.data();
  }
  out->release = &release;
  out->private_data = held.release();
}

}  // namespace esker::nested
