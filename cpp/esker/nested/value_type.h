// The types of nested values as a tree: what a row's encoding is made of, and what it is decoded to.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/arrow/c_data.h"
#include "esker/arrow/column_type.h"

namespace esker::nested {

enum class Kind : std::uint8_t {
  null,
  bits,
  fixed,
  bytes,
  list,
  list_view,
  fixed_list,
  structure,
  dense_union,
  sparse_union,
  dictionary,
  runs,
};

struct ValueType {
  Kind kind = Kind::null;
  std::uint32_t width = 0;  // of a fixed value, an offset, an index or a run end
  bool is_signed = true;    // indices of dictionaries
  arrow::Source source = arrow::Source::none;
  arrow::Key key = arrow::Key::null;
  std::int64_t list_size = 0;
  std::vector<std::int8_t> union_ids;
  // Of a dictionary its values; of runs the values alone.
  std::vector<ValueType> children;
};

// Throws UnsupportedType for a format that is not Arrow's, std::invalid_argument for a schema that cannot be.
ValueType value_type_of(const ArrowSchema& schema);

}  // namespace esker::nested
