// Rows of a page as the source of a copy: for moving them to where there is room.
#pragma once

#include "esker/arrow/batch_view.h"
#include "esker/page/page.h"

namespace esker::shuffle {

// A page's rows as a batch, so that they are copied as rows from anywhere are.
class PageSource {
 public:
  explicit PageSource(const page::Page& page) : bytes_(page.bytes) {
    size_ = static_cast<std::int64_t>(page.layout->page_bytes);
    view_.row_count = page.row_count;
    for (const page::Region& region : page.layout->regions) {
      arrow::ColumnView& column = view_.columns.emplace_back();
      column.validity = region.validity != 0 ? page.bytes + region.validity : nullptr;
      column.values = page.bytes + region.values;
      column.variadic = &bytes_;
      column.variadic_bytes = &size_;
      column.variadic_count = 1;
    }
  }
  PageSource(const PageSource&) = delete;
  PageSource& operator=(const PageSource&) = delete;

  const arrow::BatchView& view() const { return view_; }

 private:
  const void* bytes_;
  std::int64_t size_;
  arrow::BatchView view_;
};

// The columns as they lie in a page: all strings are views.
page::PageSchema schema_of_pages(const page::PageSchema& schema);

// Takes the last `count` rows off a page. Taken from the end they leave no gap among the columns; what their
// long values took of the heap stays unused.
void take_off(page::Page& page, const page::PageSchema& schema, std::uint32_t count);

}  // namespace esker::shuffle
