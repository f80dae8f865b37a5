#include "esker/shuffle/page_managers/thread_local.h"

#include <algorithm>

namespace esker::shuffle {
namespace {

struct MergePage {
  StoredPage* stored;
  std::size_t list;
  std::size_t index;

  std::uint32_t rows() const { return stored->page.row_count; }
};

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
page::PageSchema schema_of_pages(const page::PageSchema& schema) {
  std::vector<arrow::ColumnType> columns = schema.columns();
  for (arrow::ColumnType& column : columns) {
    if (column.layout == arrow::Layout::view) column.source = arrow::Source::views;
  }
  return page::PageSchema(std::move(columns));
}

void fill_bits_from(std::uint8_t* bitmap, std::uint32_t row, std::uint32_t end, bool set) {
  const auto put = [set](std::uint8_t& byte, std::uint32_t bits) {
    byte = static_cast<std::uint8_t>(set ? byte | bits : byte & ~bits);
  };
  for (; row < end && row % 8 != 0; ++row) put(bitmap[row / 8], 1U << (row % 8));
  for (; row < end; row += 8) put(bitmap[row / 8], 0xFF);
}

// Takes the last `count` rows off a page. Taken from the end they leave no gap among the columns; what their
// long values took of the heap stays unused.
void take_off(page::Page& page, const page::PageSchema& schema, std::uint32_t count) {
  const std::uint32_t rows = page.row_count - count;
  for (std::size_t i = 0; i < schema.columns().size(); ++i) {
    const page::Region& region = page.layout->regions[i];
    if (region.validity != 0) fill_bits_from(page.bytes + region.validity, rows, page.row_count, true);
    if (schema.columns()[i].layout == arrow::Layout::bits) {
      fill_bits_from(page.bytes + region.values, rows, page.row_count, false);
    }
  }
  page.row_count = rows;
}

class Merge {
 public:
  Merge(Context& context, Worker& worker, std::uint32_t partition)
      : context_(context), worker_(worker), partition_(partition), schema_(schema_of_pages(context.schema)) {}

  // Moves as many rows as fit, at most what a morsel may have; says how many.
  std::uint32_t move(MergePage& from, MergePage& to) {
    page::Page& source = from.stored->page;
    page::Page& target = to.stored->page;
    const std::uint32_t count =
        std::min({source.row_count, target.rows_free(), static_cast<std::uint32_t>(kMorselRowsMax)});
    if (count == 0) return 0;
    const PageSource rows(source);
    const std::uint32_t taken = fitting(rows.view(), source.row_count, count, target.heap_free());
    if (taken == 0) return 0;
    const std::uint32_t first = source.row_count - taken;
    const std::uint64_t heap = heap_of(taken);
    target.heap_begin -= heap;
    const Claim claim{
        to.stored, partition_,        target.bytes, target.layout.get(), target.row_count, taken,
        0,         target.heap_begin, heap};
    target.row_count += taken;
    identity_.resize(taken);
    for (std::uint32_t i = 0; i < taken; ++i) identity_[i] = static_cast<std::uint16_t>(i);
    write({claim}, {&rows.view(), first, taken}, identity_.data(), schema_, context_.write_options());
    publish({claim});
    take_off(source, schema_, taken);
    from.stored->written.store(source.row_count, std::memory_order_release);
    count_move(from, to, taken, heap);
    return taken;
  }

 private:
  // How many of the last `count` rows fit, from the end on; heap_ends_ counts from the end.
  std::uint32_t fitting(const arrow::BatchView& view, std::uint32_t row_count, std::uint32_t count,
                        std::uint64_t heap_free) {
    if (!schema_.has_views()) return count;
    heap_.resize(count);
    measure_heap(view, schema_.columns(), row_count - count, count, heap_.data());
    heap_ends_.resize(count);
    std::uint64_t end = 0;
    for (std::uint32_t i = 0; i < count; ++i) heap_ends_[i] = end += heap_[count - 1 - i];
    return static_cast<std::uint32_t>(std::upper_bound(heap_ends_.begin(), heap_ends_.end(), heap_free) -
                                      heap_ends_.begin());
  }

  std::uint64_t heap_of(std::uint32_t taken) const {
    return schema_.has_views() && taken > 0 ? heap_ends_[taken - 1] : 0;
  }

  void count_move(const MergePage& from, const MergePage& to, std::uint32_t rows, std::uint64_t heap) {
    PageList& source = context_.store.list(from.list);
    PageList& target = context_.store.list(to.list);
    source.row_count -= rows;
    source.heap_bytes -= heap;
    target.row_count += rows;
    target.heap_bytes += heap;
    worker_.accesses.merge_moves += rows;
  }

  Context& context_;
  Worker& worker_;
  std::uint32_t partition_;
  page::PageSchema schema_;
  std::vector<std::uint16_t> identity_;
  std::vector<std::uint32_t> heap_;
  std::vector<std::uint64_t> heap_ends_;
};

}  // namespace

void ThreadLocalPages::merge(Worker& worker, std::uint32_t partition) {
  std::vector<MergePage> pages;
  for (std::uint32_t number = 0; number < context_.store.lists_each(); ++number) {
    const std::size_t index = context_.store.list_of(partition, number);
    PageList& list = context_.store.list(index);
    for (std::size_t i = 0; i < list.pages.size(); ++i) {
      StoredPage& stored = list.pages[i];
      if (stored.page.bytes != nullptr && stored.page.rows_free() > 0) pages.push_back({&stored, index, i});
    }
  }
  std::stable_sort(pages.begin(), pages.end(),
                   [](const MergePage& left, const MergePage& right) { return left.rows() > right.rows(); });
  Merge merge(context_, worker, partition);
  for (std::size_t target = 0, source = pages.size(); target + 1 < source;) {
    if (merge.move(pages[source - 1], pages[target]) == 0) {
      ++target;  // no room for another row
    } else if (pages[source - 1].rows() == 0) {
      --source;
      context_.store.drop_page(context_.store.list(pages[source].list), pages[source].index);
    }
  }
}

}  // namespace esker::shuffle
