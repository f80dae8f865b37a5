// Arrow PyCapsules: a batch at a time across the border. The capsules a caller gave are kept until the call
// ends.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "esker/arrow/batch_view.h"
#include "esker/arrow/c_data.h"

namespace esker::bind {

// A schema of any object with __arrow_c_schema__, borrowed while `capsule` lives.
struct BorrowedSchema {
  explicit BorrowedSchema(nanobind::handle source);
  nanobind::object capsule;
  const ArrowSchema* schema;
};

// A batch of any object with __arrow_c_array__, borrowed while the capsules live.
struct BorrowedBatch {
  explicit BorrowedBatch(nanobind::handle source);
  nanobind::object schema_capsule;
  nanobind::object array_capsule;
  const ArrowSchema* schema;
  const ArrowArray* array;
};

// Hands structs over in capsules that release what nobody took.
nanobind::capsule schema_capsule(ArrowSchema schema);
nanobind::capsule array_capsule(ArrowArray array);
nanobind::capsule stream_capsule(ArrowArrayStream stream);

}  // namespace esker::bind
