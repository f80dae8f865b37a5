#include "esker/arrow/batch_view.h"

#include <stdexcept>
#include <string>
#include <string_view>

namespace esker::arrow {
namespace {

[[noreturn]] void mismatch(const std::string& what) {
  throw std::invalid_argument("a batch does not fit the schema: " + what);
}

void check_schema(const ArrowSchema& schema, const std::vector<ColumnType>& columns) {
  if (schema.format == nullptr || std::string_view(schema.format) != "+s")
    mismatch("it is not a record batch");
  if (schema.n_children != static_cast<std::int64_t>(columns.size())) mismatch("another number of columns");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ArrowSchema& field = *schema.children[i];
    if (field.dictionary != nullptr || columns[i].came_format != field.format) {
      mismatch("column '" + columns[i].name + "' has another type");
    }
  }
}

std::int64_t buffers_wanted(Source source) {
  switch (source) {
    case Source::none:
      return 0;
    case Source::bits:
    case Source::fixed:
      return 2;
    default:
      return 3;
  }
}

bool any_null(const std::uint8_t* validity, std::int64_t offset, std::int64_t length) {
  for (std::int64_t row = 0; row < length; ++row) {
    if (!bit_at(validity, offset + row)) return true;
  }
  return false;
}

void set_validity(ColumnView& view, const ArrowArray& array, const ColumnType& type, std::int64_t row_count) {
  if (type.source == Source::none || array.null_count == 0 || array.buffers[0] == nullptr) return;
  const auto* validity = static_cast<const std::uint8_t*>(array.buffers[0]);
  if (type.nullable) {
    view.validity = validity;
  } else if (any_null(validity, view.offset, row_count)) {
    mismatch("column '" + type.name + "' has nulls but is declared without");
  }
}

void set_variadic(ColumnView& view, const ArrowArray& array) {
  // validity, views, any number of data buffers, and the sizes of these.
  view.variadic_count = array.n_buffers - 3;
  view.variadic = array.buffers + 2;
  view.variadic_bytes = static_cast<const std::int64_t*>(array.buffers[array.n_buffers - 1]);
}

ColumnView column_view(const ArrowArray& array, const ColumnType& type, std::int64_t parent_offset,
                       std::int64_t row_count) {
  ColumnView view;
  view.offset = parent_offset + array.offset;
  if (array.offset < 0 || array.length < parent_offset + row_count) mismatch("a column is too short");
  if (type.source == Source::none || row_count == 0) return view;
  if (array.n_buffers < buffers_wanted(type.source)) mismatch("column '" + type.name + "' lacks buffers");
  view.values = static_cast<const std::uint8_t*>(array.buffers[1]);
  if (view.values == nullptr && type.width != 0) mismatch("column '" + type.name + "' has no values");
  set_validity(view, array, type, row_count);
  if (type.source == Source::views) {
    set_variadic(view, array);
  } else if (type.layout == Layout::view) {
    view.data = static_cast<const std::uint8_t*>(array.buffers[2]);
  }
  return view;
}

}  // namespace

void bad_value() {
  throw std::invalid_argument("a string or binary value has a length or a place that cannot be");
}

BatchView view_of(const ArrowArray& array, const ArrowSchema& schema,
                  const std::vector<ColumnType>& columns) {
  check_schema(schema, columns);
  if (array.release == nullptr) mismatch("it was released");
  if (array.n_children != static_cast<std::int64_t>(columns.size())) mismatch("another number of columns");
  if (array.length < 0 || array.offset < 0) mismatch("a negative length");
  if (array.null_count != 0 && array.n_buffers > 0 && array.buffers[0] != nullptr &&
      any_null(static_cast<const std::uint8_t*>(array.buffers[0]), array.offset, array.length)) {
    mismatch("whole rows are null");
  }
  BatchView batch;
  batch.row_count = array.length;
  batch.columns.reserve(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    batch.columns.push_back(column_view(*array.children[i], columns[i], array.offset, array.length));
  }
  return batch;
}

}  // namespace esker::arrow
