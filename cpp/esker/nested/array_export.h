// Hands built buffers over as an Arrow array of the C data interface.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "esker/arrow/c_data.h"
#include "esker/nested/value_type.h"

namespace esker::nested {

struct ExportedArray {
  ExportedArray() = default;
  ExportedArray(ExportedArray&&) = default;
  ExportedArray(const ExportedArray&) = delete;
  ~ExportedArray();

  std::int64_t length = 0;
  std::int64_t null_count = 0;
  std::vector<std::uint8_t> validity;
  std::vector<std::uint8_t> values;
  std::vector<std::uint8_t> data;
  std::deque<ArrowArray> children;  // released with this one
  // Pointers into the above, once it lies where it stays.
  std::vector<const void*> buffers;
  std::vector<ArrowArray*> pointers;
  std::int64_t data_bytes = 0;
};

void export_array(const ValueType& type, ExportedArray built, ArrowArray* out);

}  // namespace esker::nested
