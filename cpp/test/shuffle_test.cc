// Every row once, in order, intact, under every strategy and page manager: with threads, spill, interruption,
// failure.
#include "esker/shuffle/shuffle.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "batches.h"
#include "esker/error.h"

using esker::arrow::load;
using esker::page::PagePool;
using esker::shuffle::Combination;
using esker::shuffle::combination;
using esker::shuffle::combinations;
using esker::shuffle::Shuffle;
using esker::shuffle::ShuffleOptions;

namespace {

constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

int temporary_file() {
  std::string path =
      std::string(std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") + "/eskerXXXXXX";
  const int fd = mkstemp(path.data());
  CHECK(fd >= 0);
  unlink(path.c_str());
  return fd;
}

const Combination& usual() {
  return combination("software_managed_buffers", "");
}

// ESKER_SHORT=1 tries fewer cases: under a sanitizer all of them take minutes.
bool is_short() {
  static const bool found = std::getenv("ESKER_SHORT") != nullptr;
  return found;
}

struct Case {
  std::uint32_t partition_count;
  std::uint32_t thread_count;
  std::uint64_t pool_bytes;
  bool spill;
  bool ordered;
  std::uint64_t length_max;
  std::uint64_t rows_each = 9'000;
  esker::shuffle::Optimisations optimisations = {};
  std::uint64_t key_count = 5000;
};

std::vector<std::unique_ptr<TestBatch>> make_batches(std::uint64_t length_max, int count, std::int64_t rows,
                                                     std::uint64_t key_count = 5000) {
  Chance chance(3);
  std::vector<std::unique_ptr<TestBatch>> batches;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t first = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(rows);
    batches.push_back(std::make_unique<TestBatch>(chance, rows, first, key_count, length_max));
  }
  return batches;
}

// Reads a page as a consumer would, through the exported batch, and checks each row against what went in.
void check_page(const esker::shuffle::LeasedPage& leased, const Shuffle& shuffle, std::uint32_t partition,
                const std::vector<std::unique_ptr<TestBatch>>& batches, std::uint64_t length_max,
                std::vector<bool>& seen, std::int64_t& last, bool ordered) {
  ArrowArray batch;
  esker::page::export_batch(leased.page, shuffle.schema(), leased.lease, &batch);
  const auto* numbers = static_cast<const std::uint8_t*>(batch.children[1]->buffers[1]);
  const auto* keys = static_cast<const std::uint8_t*>(batch.children[0]->buffers[1]);
  const auto* validity = static_cast<const std::uint8_t*>(batch.children[2]->buffers[0]);
  const auto* views = static_cast<const std::uint8_t*>(batch.children[2]->buffers[1]);
  const auto rows_each = static_cast<std::uint64_t>(batches[0]->view.row_count);
  for (std::int64_t row = 0; row < batch.length; ++row) {
    const auto number = load<std::uint64_t>(numbers + row * 8);
    CHECK(number < seen.size() && !seen[number]);
    seen[number] = true;
    CHECK(!ordered || static_cast<std::int64_t>(number) > last);
    last = static_cast<std::int64_t>(number);
    const TestBatch& source = *batches[number / rows_each];
    const std::size_t source_row = number % rows_each;
    CHECK(load<std::int32_t>(keys + row * 4) == source.key(source_row));
    CHECK(static_cast<std::uint32_t>(source.key(source_row)) % shuffle.partition_count() == partition);
    const bool valid = validity == nullptr || esker::arrow::bit_at(validity, row);
    CHECK(valid == source.text_valid(source_row));
    if (!valid) continue;
    const std::string want = TestBatch::text_of(number, length_max);
    const auto size = load<std::int32_t>(views + row * 16);
    CHECK(size == static_cast<std::int32_t>(want.size()));
    const std::uint8_t* text = size <= 12 ? views + row * 16 + 4
                                          : static_cast<const std::uint8_t*>(batch.children[2]->buffers[2]) +
                                                load<std::int32_t>(views + row * 16 + 12);
    CHECK(std::memcmp(text, want.data(), want.size()) == 0);
  }
  batch.release(&batch);
}

// Joined pages: texts have offsets, as they came.
std::uint64_t check_joined(const ArrowArray& batch, const std::vector<std::unique_ptr<TestBatch>>& batches,
                           std::uint64_t length_max, std::vector<std::atomic<bool>>& seen,
                           std::int64_t& last) {
  const auto* keys = static_cast<const std::uint8_t*>(batch.children[0]->buffers[1]);
  const auto* numbers = static_cast<const std::uint8_t*>(batch.children[1]->buffers[1]);
  CHECK(batch.children[2]->n_buffers == 3);
  const auto* validity = static_cast<const std::uint8_t*>(batch.children[2]->buffers[0]);
  const auto* offsets = static_cast<const std::uint8_t*>(batch.children[2]->buffers[1]);
  const auto* texts = static_cast<const std::uint8_t*>(batch.children[2]->buffers[2]);
  const auto rows_each = static_cast<std::uint64_t>(batches[0]->view.row_count);
  std::int64_t nulls = 0;
  for (std::int64_t row = 0; row < batch.length; ++row) {
    const auto number = load<std::uint64_t>(numbers + row * 8);
    CHECK(number < seen.size() && !seen[number].exchange(true));
    CHECK(static_cast<std::int64_t>(number) > last);
    last = static_cast<std::int64_t>(number);
    const TestBatch& source = *batches[number / rows_each];
    CHECK(load<std::int32_t>(keys + row * 4) == source.key(number % rows_each));
    const bool valid = validity == nullptr || esker::arrow::bit_at(validity, row);
    CHECK(valid == source.text_valid(number % rows_each));
    const auto begin = load<std::int32_t>(offsets + row * 4);
    const std::string want = valid ? TestBatch::text_of(number, length_max) : "";
    CHECK(load<std::int32_t>(offsets + row * 4 + 4) - begin == static_cast<std::int32_t>(want.size()));
    CHECK(std::memcmp(texts + begin, want.data(), want.size()) == 0);
    nulls += static_cast<std::int64_t>(!valid);
  }
  CHECK(batch.children[2]->null_count == nulls);
  return static_cast<std::uint64_t>(batch.length);
}

void run(const Combination& how, const Case& with) {
  const auto batches =
      make_batches(with.length_max, 4, static_cast<std::int64_t>(with.rows_each), with.key_count);
  auto pool = std::make_shared<PagePool>(with.pool_bytes);
  ShuffleOptions options;
  options.function = esker::shuffle::Function::modulo;
  options.thread_count = with.thread_count;
  options.ordered = with.ordered;
  options.spill_fd = with.spill ? temporary_file() : -1;
  options.spill_limit_bytes = kNoLimit;
  options.optimisations = with.optimisations;
  Shuffle shuffle(TestBatch::columns(), {0}, with.partition_count, pool, how, options);
  shuffle.push({batches[0]->view, batches[1]->view, batches[2]->view});
  shuffle.push({});
  shuffle.push({batches[3]->view});
  shuffle.finish();
  std::vector<bool> seen(4 * with.rows_each);
  for (std::uint32_t p = 0; p < with.partition_count; ++p) {
    std::int64_t last = -1;
    while (const auto leased = shuffle.next(p)) {
      check_page(*leased, shuffle, p, batches, with.length_max, seen, last, with.ordered);
    }
  }
  for (const bool row : seen) CHECK(row);
  CHECK(pool->used_bytes() == 0);
  CHECK(pool->peak_bytes() <= with.pool_bytes);
  const auto statistics = shuffle.statistics();
  CHECK((statistics.spilled_pages > 0) == with.spill);
  CHECK(statistics.rows == seen.size());
  CHECK(statistics.accesses.page_writes == seen.size());
}

void test_every_row_arrives_once_with_any_threads_order_and_budget() {
  for (const Combination& how : combinations()) {
    if (how.pages == "chunked") continue;  // neither strings nor spill: below
    for (const std::uint32_t threads : {1U, 2U, 7U}) {
      if (is_short() && threads != 2) continue;
      for (const bool ordered : {true, false}) {
        if (ordered && threads > 1 && !how.ordered) continue;
        if (is_short()) {
          run(how, {8, 3, 64 << 20, false, ordered, 40, 2'000});
          run(how, {100, 3, 256 << 10, true, ordered, 40, 4'000});
          continue;
        }
        run(how, {8, threads, 64 << 20, false, ordered, 40});
        run(how, {700, threads, 512 << 10, true, ordered, 40});
        run(how, {3, threads, 256 << 10, true, ordered, 9});
        run(how, {5, threads, 4 << 20, true, ordered, 1000});
      }
    }
    if (is_short()) continue;
    // Longer than the pages: each such row has a page of its own.
    run(how, {4, 2, 64 << 20, false, how.ordered, 20'000, 500});
    run(how, {16, 2, 512 << 10, true, how.ordered, 20'000, 500});
  }
}

void test_rows_of_one_key_and_of_very_many_partitions_arrive_once() {
  for (const Combination& how : combinations()) {
    if (how.pages == "chunked") continue;
    if (is_short()) continue;
    run(how, {256, 2, 64 << 20, false, how.ordered, 40, 9'000, {}, 1});
    run(how, {4096, 2, 256 << 20, false, how.ordered, 40, 9'000, {}, 100'000});
    run(how, {1, 3, 64 << 20, false, how.ordered, 40});
  }
}

void test_no_optimisation_changes_the_rows() {
  for (const Combination& how : combinations()) {
    if (how.pages == "chunked") continue;
    for (int off = is_short() ? 3 : 0; off < (is_short() ? 4 : 5); ++off) {
      esker::shuffle::Optimisations optimisations;
      optimisations.padded_locks = off != 0;
      optimisations.minimal_locking = off != 1;
      optimisations.two_step = off != 2;
      optimisations.streaming_stores = off != 3;
      optimisations.power_of_two = off != 4;
      run(how, {64, 3, 64 << 20, false, how.ordered, 40, 2'000, optimisations});
    }
  }
}

void test_chunked_claims_leave_no_hole() {
  const auto batches = make_batches(40, 4, 9'000);
  const auto columns = TestBatch::columns();
  for (const std::uint32_t threads : {1U, 2U, 5U}) {
    for (const std::uint32_t chunk_rows : {1U, 100U, 5'000U}) {
      ShuffleOptions options;
      options.function = esker::shuffle::Function::modulo;
      options.thread_count = threads;
      options.ordered = threads == 1;
      options.optimisations.chunk_rows = chunk_rows;
      Shuffle shuffle({columns[0], columns[1]}, {0}, 7, std::make_shared<PagePool>(64 << 20),
                      combination("software_managed_buffers", "chunked"), options);
      for (const auto& batch : batches) {
        esker::arrow::BatchView view = batch->view;
        view.columns.resize(2);
        shuffle.push({view});
      }
      shuffle.finish();
      std::vector<bool> seen(4 * 9'000);
      for (std::uint32_t p = 0; p < 7; ++p) {
        std::uint64_t rows = 0;
        while (const auto leased = shuffle.next(p)) {
          const auto& regions = leased->page.layout->regions;
          rows += leased->page.row_count;
          for (std::uint32_t row = 0; row < leased->page.row_count; ++row) {
            const auto number = load<std::uint64_t>(leased->page.bytes + regions[1].values + row * 8);
            const auto key = load<std::int32_t>(leased->page.bytes + regions[0].values + row * 4);
            CHECK(number < seen.size() && !seen[number]);
            seen[number] = true;
            CHECK(key == batches[number / 9'000]->key(number % 9'000) &&
                  static_cast<std::uint32_t>(key) % 7 == p);
          }
        }
        CHECK(rows == shuffle.partition_rows()[p]);
      }
      for (const bool row : seen) CHECK(row);
    }
  }
}

// Rows that fill no line wait for the next morsel in turn, whatever thread has it; no flush may leave one
// behind.
void test_narrow_rows_keep_their_order_from_morsel_to_morsel() {
  constexpr std::int64_t kRows = 60'000;
  const auto columns = TestBatch::columns();
  // By number rows are spread; two keys are where threads come to sort.
  for (const int by : {1, 0}) {
    const auto batches = make_batches(by == 0 ? 2 : 40, 3, kRows);
    for (const auto& [threads, partition_count] :
         {std::pair{2U, 3U}, std::pair{5U, 300U}, std::pair{2U, 300U}}) {
      ShuffleOptions options;
      options.function = esker::shuffle::Function::hash;
      options.thread_count = threads;
      Shuffle shuffle({columns[0], columns[1]}, {by}, partition_count, std::make_shared<PagePool>(128 << 20),
                      usual(), options);
      std::vector<std::int64_t> last(partition_count, -1);
      std::vector<bool> seen(3 * kRows);
      const auto take = [&, &batches = batches](const esker::shuffle::LeasedPage& leased, std::uint32_t p) {
        const auto& regions = leased.page.layout->regions;
        for (std::uint32_t row = 0; row < leased.page.row_count; ++row) {
          const auto number = load<std::uint64_t>(leased.page.bytes + regions[1].values + row * 8);
          const auto key = load<std::int32_t>(leased.page.bytes + regions[0].values + row * 4);
          CHECK(static_cast<std::int64_t>(number) > last[p]);
          last[p] = static_cast<std::int64_t>(number);
          seen[number] = true;
          CHECK(key == batches[number / kRows]->key(number % kRows));
        }
      };
      for (const auto& batch : batches) {
        esker::arrow::BatchView view = batch->view;
        view.columns.resize(2);
        shuffle.push({view});
        shuffle.flush();
        for (std::uint32_t p = 0; p < partition_count; ++p) {
          while (const auto leased = shuffle.ready(p)) take(*leased, p);
        }
        const auto taken = std::count(seen.begin(), seen.end(), true);
        CHECK(taken == kRows * (&batch - batches.data() + 1));
      }
      shuffle.finish();
    }
  }
}

void test_a_stream_gives_closed_pages_while_rows_come() {
  for (const Combination& how : combinations()) {
    if (how.pages == "chunked") continue;
    const auto batches = make_batches(40, 4, 9'000);
    ShuffleOptions options;
    options.thread_count = 2;
    options.ordered = how.ordered;
    Shuffle shuffle(TestBatch::columns(), {0}, 5, std::make_shared<PagePool>(64 << 20), how, options);
    std::uint64_t rows = 0;
    for (const auto& batch : batches) {
      shuffle.push({batch->view});
      shuffle.flush();
      for (std::uint32_t p = 0; p < 5; ++p) {
        while (const auto leased = shuffle.ready(p)) rows += leased->page.row_count;
      }
      // Nothing waits behind a flush, but for pages that a merge will fill.
      CHECK(rows % 9'000 == 0);
    }
    shuffle.finish();
    for (std::uint32_t p = 0; p < 5; ++p) CHECK(!shuffle.next(p));
    CHECK(rows == 4 * 9'000);
  }
}

void test_a_pair_that_does_not_go_together_is_refused_by_name() {
  bool refused = false;
  try {
    combination("radix", "lock_free");
  } catch (const std::invalid_argument& error) {
    refused = std::string(error.what()).find("radix") != std::string::npos;
  }
  CHECK(refused);
}

void test_order_is_not_promised_by_who_cannot_keep_it() {
  ShuffleOptions options;
  options.thread_count = 2;
  bool refused = false;
  try {
    Shuffle shuffle(TestBatch::columns(), {0}, 4, std::make_shared<PagePool>(1 << 20),
                    combination("on_demand", "lock_free"), options);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  CHECK(refused);
}

void test_a_pool_without_spill_says_that_it_is_exhausted() {
  const auto batches = make_batches(40, 1, 50'000);
  Shuffle shuffle(TestBatch::columns(), {0}, 4, std::make_shared<PagePool>(256 << 10), usual(),
                  ShuffleOptions{});
  bool thrown = false;
  try {
    shuffle.push({batches[0]->view});
  } catch (const esker::PoolExhausted& error) {
    thrown = error.bytes_wanted > 0;
  }
  CHECK(thrown);
}

void test_a_full_disk_reaches_the_caller_as_its_errno() {
  const auto batches = make_batches(40, 1, 50'000);
  for (const std::uint32_t threads : {1U, 3U}) {
    ShuffleOptions options;
    options.thread_count = threads;
    options.spill_fd = temporary_file();
    options.spill_limit_bytes = 100'000;
    Shuffle shuffle(TestBatch::columns(), {0}, 4, std::make_shared<PagePool>(256 << 10), usual(), options);
    int code = 0;
    try {
      shuffle.push({batches[0]->view});
    } catch (const esker::SpillFailed& error) {
      code = error.code;
    }
    CHECK(code == EDQUOT);
    bool refused = false;
    try {
      shuffle.finish();
    } catch (const std::logic_error&) {
      refused = true;
    }
    CHECK(refused);
  }
}

void test_a_push_ends_when_it_is_interrupted() {
  const auto batches = make_batches(40, 1, 50'000);
  ShuffleOptions options;
  options.thread_count = 3;
  Shuffle shuffle(TestBatch::columns(), {0}, 4, std::make_shared<PagePool>(64 << 20), usual(), options);
  shuffle.interrupt();
  bool interrupted = false;
  try {
    shuffle.push({batches[0]->view});
  } catch (const esker::Interrupted&) {
    interrupted = true;
  }
  CHECK(interrupted);
}

void test_partitions_are_read_by_several_threads_while_pages_move_to_disk() {
  const auto batches = make_batches(40, 4, 9'000);
  ShuffleOptions options;
  options.thread_count = 2;
  options.spill_fd = temporary_file();
  options.spill_limit_bytes = kNoLimit;
  Shuffle shuffle(TestBatch::columns(), {0}, 64, std::make_shared<PagePool>(1 << 20), usual(), options);
  for (const auto& batch : batches) shuffle.push({batch->view});
  shuffle.finish();
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint32_t> next{0};
  const auto read = [&] {
    for (std::uint32_t p = next++; p < 64; p = next++) {
      while (const auto leased = shuffle.next(p)) rows += leased->page.row_count;
    }
  };
  std::thread other(read);
  read();
  other.join();
  CHECK(rows == 4 * 9'000);
}

void test_pages_joined_by_several_threads_hold_every_row_as_it_came() {
  constexpr std::uint32_t kPartitions = 64;
  constexpr std::uint32_t kReaders = 4;
  for (const bool spill : {false, true}) {
    for (const std::uint64_t bytes_max : {std::uint64_t{1}, std::uint64_t{20'000}, std::uint64_t{1} << 20}) {
      const auto batches = make_batches(60, 4, 9'000);
      auto pool = std::make_shared<PagePool>(spill ? 1 << 20 : 64 << 20);
      ShuffleOptions options;
      options.function = esker::shuffle::Function::modulo;
      options.spill_fd = spill ? temporary_file() : -1;
      options.spill_limit_bytes = kNoLimit;
      Shuffle shuffle(TestBatch::columns(), {0}, kPartitions, pool, usual(), options);
      for (const auto& batch : batches) shuffle.push({batch->view});
      shuffle.finish();
      CHECK((shuffle.statistics().spilled_pages > 0) == spill);
      std::vector<std::atomic<bool>> seen(36'000);
      std::vector<std::thread> readers;
      for (std::uint32_t reader = 0; reader < kReaders; ++reader) {
        readers.emplace_back([&, reader] {
          for (std::uint32_t p = reader; p < kPartitions; p += kReaders) {
            std::int64_t last = -1;
            ArrowArray batch;
            while (shuffle.next_batch(p, bytes_max, esker::page::Types::came, &batch)) {
              CHECK(check_joined(batch, batches, 60, seen, last) > 0);
              batch.release(&batch);
            }
          }
        });
      }
      for (std::thread& reader : readers) reader.join();
      for (const auto& row : seen) CHECK(row);
      CHECK(pool->used_bytes() == 0);
    }
  }
}

void test_a_page_outlives_its_shuffle() {
  const auto batches = make_batches(40, 1, 100);
  std::optional<esker::shuffle::LeasedPage> kept;
  {
    Shuffle shuffle(TestBatch::columns(), {0}, 1, std::make_shared<PagePool>(4 << 20), usual(),
                    ShuffleOptions{});
    shuffle.push({batches[0]->view});
    shuffle.finish();
    kept = shuffle.next(0);
  }
  CHECK(load<std::uint64_t>(kept->page.bytes + kept->page.layout->regions[1].values + 99 * 8) == 99);
}

}  // namespace

int main() {
  test_every_row_arrives_once_with_any_threads_order_and_budget();
  test_rows_of_one_key_and_of_very_many_partitions_arrive_once();
  test_no_optimisation_changes_the_rows();
  test_chunked_claims_leave_no_hole();
  test_narrow_rows_keep_their_order_from_morsel_to_morsel();
  test_a_stream_gives_closed_pages_while_rows_come();
  test_a_pair_that_does_not_go_together_is_refused_by_name();
  test_order_is_not_promised_by_who_cannot_keep_it();
  test_a_pool_without_spill_says_that_it_is_exhausted();
  test_a_full_disk_reaches_the_caller_as_its_errno();
  test_a_push_ends_when_it_is_interrupted();
  test_partitions_are_read_by_several_threads_while_pages_move_to_disk();
  test_pages_joined_by_several_threads_hold_every_row_as_it_came();
  test_a_page_outlives_its_shuffle();
}
