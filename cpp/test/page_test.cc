// Pages: checksum, layouts, the pool, and damage.
#include "esker/page/page.h"

#include <vector>

#include "batches.h"
#include "esker/error.h"
#include "esker/page/checksum.h"
#include "esker/page/page_pool.h"
#include "esker/shuffle/shuffle.h"

using esker::page::Page;
using esker::page::PagePool;
using esker::page::PageSchema;

namespace {

void test_the_checksum_is_crc_32c() {
  CHECK(esker::page::crc32c(0, "123456789", 9) == 0xE306'9283);
  const std::string text(100, 'x');
  const auto whole = esker::page::crc32c(0, text.data(), 100);
  CHECK(esker::page::crc32c(esker::page::crc32c(0, text.data(), 37), text.data() + 37, 63) == whole);
}

void test_rows_below_is_the_largest_capacity_that_fits() {
  const std::vector<std::vector<const char*>> schemas = {{"i"},
                                                         {"b"},
                                                         {"n"},
                                                         {"u", "i"},
                                                         {"w:3", "b", "d:9,2"},
                                                         {"w:0"},
                                                         {"c", "s", "l", "vu", "U", "z", "vz", "Z", "e"}};
  for (const auto& formats : schemas) {
    std::vector<esker::arrow::ColumnType> columns;
    for (const char* format : formats) columns.push_back(column_type("c", format));
    const PageSchema schema(columns);
    for (const std::uint64_t end : {64, 128, 200, 1000, 4096, 65'536, 5 << 20}) {
      const std::uint64_t rows = schema.rows_below(end);
      CHECK(rows == 0 || schema.regions_end(rows) <= end);
      CHECK(schema.regions_end(rows + 1) > end || rows + 1 > (end - 64) * 8 / schema.row_bits());
    }
  }
}

void test_the_pool_keeps_its_budget_over_pages_of_many_sizes() {
  PagePool pool(1 << 20);
  Chance chance(9);
  std::vector<std::pair<std::uint8_t*, std::uint64_t>> held;
  const std::uint64_t sizes[] = {4096, 65'536, 262'144, 1 << 20};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t size = sizes[chance.below(4)];
    auto* page = chance.below(2) == 0 ? pool.allocate(size) : nullptr;
    if (page != nullptr) {
      CHECK(reinterpret_cast<std::uintptr_t>(page) % 64 == 0);
      page[0] = page[size - 1] = 1;
      held.emplace_back(page, size);
    } else if (!held.empty()) {
      const std::size_t index = chance.below(held.size());
      pool.give_back(held[index].first, held[index].second);
      held[index] = held.back();
      held.pop_back();
    }
    CHECK(pool.peak_bytes() <= 1 << 20);
  }
  for (const auto& [page, size] : held) pool.give_back(page, size);
  CHECK(pool.used_bytes() == 0);
  CHECK(pool.allocate((1 << 20) + 4096) == nullptr);
  CHECK(pool.allocate(8 << 20) == nullptr);
  pool.trim();
  auto* jumbo = pool.allocate_over_budget(8 << 20);
  CHECK(jumbo != nullptr && pool.used_bytes() == 8 << 20);
  pool.give_back(jumbo, 8 << 20);
}

void test_prepared_pages_stay_within_the_budget_and_are_handed_out() {
  PagePool pool(8 << 20);
  pool.prepare(64 << 10, 1'000);  // more than the budget has room for
  std::vector<std::uint8_t*> pages;
  while (auto* page = pool.allocate(64 << 10)) {
    page[0] = page[(64 << 10) - 1] = 1;
    pages.push_back(page);
  }
  CHECK(!pages.empty() && pool.peak_bytes() <= 8 << 20);
  for (auto* page : pages) pool.give_back(page, 64 << 10);
  CHECK(pool.used_bytes() == 0);
  // A pool that ends while it prepares stops that first.
  PagePool ending(64 << 20);
  ending.prepare(1 << 20, 64);
}

void test_a_pool_that_does_not_recycle_hands_out_zeros() {
  PagePool pool(1 << 20, {true, false});
  auto* page = pool.allocate(64 << 10);
  page[100] = 7;
  pool.give_back(page, 64 << 10);
  auto* again = pool.allocate(64 << 10);
  CHECK(again[100] == 0);
  pool.give_back(again, 64 << 10);
}

std::vector<std::uint8_t> sealed_page() {
  Chance chance(1);
  const TestBatch batch(chance, 300, 0, 50, 30);
  esker::shuffle::Shuffle shuffle(TestBatch::columns(), {0}, 1, std::make_shared<PagePool>(4 << 20),
                                  esker::shuffle::combination("software_managed_buffers", ""), {});
  shuffle.push({batch.view});
  shuffle.finish();
  const auto leased = shuffle.next(0);
  esker::page::seal(leased->page, shuffle.schema(), 0, true);
  return {leased->page.bytes, leased->page.bytes + leased->page.layout->page_bytes};
}

// Opens a damaged copy; true when the damage was seen.
bool refused(std::vector<std::uint8_t> bytes, const PageSchema& schema) {
  try {
    const Page page = esker::page::open(bytes, schema, "test");
    esker::page::check_values(page, schema, "test");
    return false;
  } catch (const esker::PageCorrupt&) {
    return true;
  }
}

void test_damage_is_seen_wherever_it_lies() {
  const PageSchema schema(TestBatch::columns());
  const auto good = sealed_page();
  CHECK(!refused(good, schema));
  CHECK(refused({good.begin(), good.end() - 64}, schema));
  CHECK(refused({good.begin(), good.begin() + 40}, schema));
  CHECK(refused({}, schema));
  Page page =
      esker::page::open(std::span(const_cast<std::uint8_t*>(good.data()), good.size()), schema, "test");
  auto ranges = esker::page::used_ranges(*page.layout, schema, page.row_count, page.heap_begin);
  ranges.push_back({0, 64});
  Chance chance(77);
  for (int i = 0; i < 3000; ++i) {
    auto bytes = good;
    const auto& range = ranges[chance.below(ranges.size())];
    bytes[range.begin + chance.below(range.end - range.begin)] ^=
        static_cast<std::uint8_t>(1 << chance.below(8));
    // The partition's number is no part of what is checked against, but of the checksum.
    CHECK(refused(std::move(bytes), schema));
  }
}

// Someone who can compute a checksum writes nonsense: it must be refused or harmless, never read out of
// bounds.
void test_forged_pages_are_refused_or_harmless() {
  const PageSchema schema(TestBatch::columns());
  const auto good = sealed_page();
  Chance chance(78);
  for (int i = 0; i < 3000; ++i) {
    auto bytes = good;
    for (std::uint64_t changes = 1 + chance.below(4); changes > 0; --changes) {
      const std::uint64_t place = chance.below(2) == 0 ? 16 + chance.below(48) : chance.below(bytes.size());
      bytes[place] = static_cast<std::uint8_t>(chance.next());
    }
    esker::page::PageHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (schema.regions_end(header.row_capacity) > header.heap_begin || header.heap_begin > bytes.size() ||
        header.page_bytes != bytes.size() || header.row_count > header.row_capacity) {
      CHECK(refused(std::move(bytes), schema));
      continue;
    }
    Page page;
    page.bytes = bytes.data();
    page.layout =
        std::make_shared<const esker::page::PageLayout>(schema, header.page_bytes, header.row_capacity);
    page.row_count = header.row_count;
    page.heap_begin = header.heap_begin;
    esker::page::seal(page, schema, header.partition, true);
    refused(std::move(bytes), schema);
  }
}

// Columns whose sizes, added up, are 2^64 and the header's 64 bytes: they end where they begin.
void test_a_page_whose_columns_overflow_is_refused() {
  constexpr std::uint32_t rows = 1U << 27;
  const PageSchema schema(
      std::vector<esker::arrow::ColumnType>(1 << 17, column_type("c", "w:1048576", false)));
  CHECK(schema.regions_end(rows) == esker::page::kHeaderBytes);
  std::vector<std::uint8_t> bytes(std::size_t{1} << 24);
  esker::page::PageHeader header{};
  std::memcpy(header.magic, esker::page::kMagic, sizeof header.magic);
  header.schema_id = schema.id();
  header.version = esker::page::kVersion;
  header.page_bytes = header.heap_begin = bytes.size();
  header.row_capacity = header.row_count = rows;
  std::memcpy(bytes.data(), &header, sizeof header);
  CHECK(refused(bytes, schema));
}

}  // namespace

int main() {
  test_the_checksum_is_crc_32c();
  test_rows_below_is_the_largest_capacity_that_fits();
  test_the_pool_keeps_its_budget_over_pages_of_many_sizes();
  test_prepared_pages_stay_within_the_budget_and_are_handed_out();
  test_a_pool_that_does_not_recycle_hands_out_zeros();
  test_damage_is_seen_wherever_it_lies();
  test_forged_pages_are_refused_or_harmless();
  test_a_page_whose_columns_overflow_is_refused();
}
