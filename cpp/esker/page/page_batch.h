// A page seen as an Arrow record batch, without a copy.
#pragma once

#include <memory>

#include "esker/arrow/c_data.h"
#include "esker/page/page.h"

namespace esker::page {

// Fills `out` with the batch; `owner` lives until the batch and all its columns are released.
void export_batch(const Page& page, const PageSchema& schema, std::shared_ptr<void> owner, ArrowArray* out);

// Fills `out` with the schema of such batches.
void export_schema(const PageSchema& schema, ArrowSchema* out);

}  // namespace esker::page
