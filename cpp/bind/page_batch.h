// A page on its way to Python.
#pragma once

#include <memory>

#include "esker/page/page.h"
#include "esker/page/page_batch.h"

namespace esker::bind {

struct PageBatch {
  page::Page page;
  std::shared_ptr<const page::PageSchema> schema;
  std::shared_ptr<void> owner;
};

}  // namespace esker::bind
