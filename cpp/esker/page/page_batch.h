// Memory of pages seen as Arrow record batches, without a copy.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "esker/arrow/c_data.h"
#include "esker/page/page.h"

namespace esker::page {

// Fills `out` with the batch; `owner` lives until the batch and all its columns are released.
void export_batch(const Page& page, const PageSchema& schema, std::shared_ptr<void> owner, ArrowArray* out);

// The buffers of a column, as Arrow counts them; `data_bytes` is the size of the only one that views point
// into.
struct BatchColumn {
  std::array<const void*, 4> buffers{};
  std::int64_t buffer_count = 0;
  std::int64_t null_count = 0;
  std::int64_t data_bytes = 0;
};

// The same for columns that lie anywhere.
void export_columns(std::vector<BatchColumn> columns, std::uint32_t row_count, std::shared_ptr<void> owner,
                    ArrowArray* out);

// Which types: those pages hold, or those that were pushed.
enum class Types : std::uint8_t { held, came };

// Fills `out` with the schema of such batches.
void export_schema(const PageSchema& schema, ArrowSchema* out, Types types = Types::held);

// Nulls among the first rows of a bitmap of validity that has room for whole words.
std::int64_t null_count(const std::uint8_t* validity, std::uint32_t row_count);

}  // namespace esker::page
