// Arrays of any type from what `encode_rows` wrote.
#pragma once

#include "esker/arrow/batch_view.h"
#include "esker/nested/value_type.h"

namespace esker::nested {

// `rows` are the only column of `batch`, a binary one without nulls, of type `column`. Throws PageCorrupt
// naming the row for anything that no encoder writes; UTF-8 is not checked, as of strings in a page of our
// own.
void decode_rows(const ValueType& type, const arrow::BatchView& batch, const arrow::ColumnType& column,
                 ArrowArray* out);

}  // namespace esker::nested
