#include "esker/shuffle/page_managers/thread_local.h"

#include <algorithm>

#include "esker/shuffle/page_source.h"

namespace esker::shuffle {
namespace {

struct MergePage {
  StoredPage* stored;
  std::size_t list;
  std::size_t index;

  std::uint32_t rows() const { return stored->page.row_count; }
};

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

void ThreadLocalPages::repair(Worker& worker, std::uint32_t partition) {
  if (context_.store.lists_each() == 1) return;  // one thread leaves one part-filled page, and rows in order
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
