#include "esker/nested/decode_rows.h"

#include <string>

#include "esker/error.h"
#include "esker/nested/array_builder.h"
#include "esker/nested/encode_rows.h"

namespace esker::nested {
namespace {

arrow::Bytes row_of(const arrow::ColumnView& view, arrow::Source source, std::int64_t row) {
  switch (source) {
    case arrow::Source::offsets32:
      return arrow::bytes_at<arrow::Source::offsets32>(view, row);
    case arrow::Source::offsets64:
      return arrow::bytes_at<arrow::Source::offsets64>(view, row);
    case arrow::Source::views:
      return arrow::bytes_at<arrow::Source::views>(view, row);
    default:
      throw std::invalid_argument("encoded rows are binary values");
  }
}

void append_row(ArrayBuilder& builder, std::string_view bytes) {
  RowReader reader(bytes);
  if (reader.take_byte() != kEncodingVersion) throw PageCorrupt("its version is not one this program reads");
  builder.append(reader, 1);
  if (!reader.empty()) throw PageCorrupt("bytes are left after its last value");
}

}  // namespace

void decode_rows(const ValueType& type, const arrow::BatchView& batch, const arrow::ColumnType& column,
                 ArrowArray* out) {
  const arrow::ColumnView& view = batch.columns.at(0);
  ArrayBuilder builder(type);
  for (std::int64_t row = 0; row < batch.row_count; ++row) {
    const auto bytes = row_of(view, column.source, row);
    try {
      if (!view.valid(row)) throw PageCorrupt("it is null");
      append_row(builder, {reinterpret_cast<const char*>(bytes.data), static_cast<std::size_t>(bytes.size)});
    } catch (const PageCorrupt& error) {
      throw PageCorrupt("column '" + column.name + "', encoded row " + std::to_string(row) +
                        " of a batch is damaged: " + error.what());
    }
  }
  builder.finish(out);
}

}  // namespace esker::nested
