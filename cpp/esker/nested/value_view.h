// A borrowed look into an array of any type, with the buffers and lengths its type promises.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/nested/value_type.h"

namespace esker::nested {

struct Range {
  std::int64_t begin;
  std::int64_t count;
};

// Items are counted from the array's own first one; `column.offset` leads from there into the buffers.
struct ValueView {
  const ValueType* type = nullptr;
  arrow::ColumnView column;
  const std::uint8_t* sizes = nullptr;  // of list views; of dense unions the offsets
  std::int64_t length = 0;
  std::vector<std::int64_t> run_ends;
  std::vector<ValueView> children;

  bool null(std::int64_t item) const;
  // The children's items of a list; throws std::invalid_argument for a place that cannot be.
  Range list(std::int64_t item) const;
  // The child an item of a union is in, and its place there.
  std::pair<std::size_t, std::int64_t> union_item(std::int64_t item) const;
  // The place of a valid item's value in the dictionary.
  std::int64_t dictionary_item(std::int64_t item) const;
  std::int64_t run_of(std::int64_t item) const;
};

// `type` and `array` must live longer. Throws std::invalid_argument for an array that does not fit the type.
ValueView value_view(const ArrowArray& array, const ValueType& type);

}  // namespace esker::nested
