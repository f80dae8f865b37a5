#include "esker/bitmap/pack.h"

#include "esker/error.h"

namespace esker::bitmap {

Packed pack(std::span<const std::uint64_t> rows, std::span<const std::uint64_t> starts,
            std::uint64_t row_count, Form form, std::uint64_t offset, Alignment alignment) {
  Packed out;
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    if (starts[i] > starts[i + 1] || starts[i + 1] > rows.size())
      throw InvalidInput("vectors of rows not there");
    const Vector vector = from_positions(rows.subspan(starts[i], starts[i + 1] - starts[i]), row_count, form);
    const Data data = vector.data();
    if (data.size() >= alignment.least_bytes) {
      while ((offset + out.data.size()) % alignment.alignment != 0) out.data.push(0);
    }
    out.offsets.push(offset + out.data.size());
    out.lengths.push(data.size());
    out.encodings.push(static_cast<std::uint8_t>(vector.encoding()));
    out.data.append(data.data(), data.size());
  }
  return out;
}

}  // namespace esker::bitmap
