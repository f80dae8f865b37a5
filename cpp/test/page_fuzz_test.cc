// Any bytes are a page or PageCorrupt: pages of many schemas, damaged at random with and without a right
// checksum, are opened, checked and read to the last value, under the address sanitizer in `make fuzz`.
//
// ESKER_FUZZ_SECONDS says for how long, 2 by default; ESKER_FUZZ_SEED where to begin, so that a failure
// replays.
#include <chrono>
#include <cstdlib>
#include <deque>

#include "batches.h"
#include "esker/error.h"
#include "esker/page/page.h"
#include "esker/page/page_batch.h"
#include "esker/shuffle/shuffle.h"

using esker::arrow::ColumnType;
using esker::arrow::load;
using esker::page::Page;
using esker::page::PagePool;
using esker::page::PageSchema;

namespace {

// A batch of columns of any kind, with random contents.
struct RandomBatch {
  RandomBatch(Chance& chance, std::int64_t rows) {
    const char* const formats[] = {"c", "s", "i", "l", "g", "b", "w:5", "d:38,9", "u", "z", "n"};
    columns.push_back(column_type("key", "l", chance.below(2) == 0));
    for (std::uint64_t more = chance.below(5); more > 0; --more) {
      columns.push_back(column_type("more", formats[chance.below(std::size(formats))], chance.below(2) == 0));
    }
    view.row_count = rows;
    for (const ColumnType& type : columns) add(chance, type, static_cast<std::size_t>(rows));
  }

  void add(Chance& chance, const ColumnType& type, std::size_t rows) {
    esker::arrow::ColumnView& column = view.columns.emplace_back();
    if (type.nullable && type.layout != esker::arrow::Layout::none)
      column.validity = noise(chance, rows / 8 + 1);
    if (type.layout != esker::arrow::Layout::view) {
      column.values = noise(chance, rows * std::max<std::size_t>(type.width, 1) + 16);
      return;
    }
    std::vector<std::int32_t> offsets{0};
    for (std::size_t row = 0; row < rows; ++row) {
      offsets.push_back(offsets.back() + static_cast<std::int32_t>(chance.below(40)));
    }
    auto& text = buffers.emplace_back(static_cast<std::size_t>(offsets.back()) + 1);
    for (auto& letter : text) letter = static_cast<std::uint8_t>('a' + chance.below(26));
    column.data = text.data();
    auto& bytes = buffers.emplace_back(offsets.size() * 4);
    std::memcpy(bytes.data(), offsets.data(), bytes.size());
    column.values = bytes.data();
  }

  const std::uint8_t* noise(Chance& chance, std::size_t size) {
    auto& bytes = buffers.emplace_back(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(chance.next());
    return bytes.data();
  }

  std::vector<ColumnType> columns;
  std::deque<std::vector<std::uint8_t>> buffers;
  esker::arrow::BatchView view;
};

std::vector<std::uint8_t> sealed_page(const RandomBatch& batch) {
  esker::shuffle::Shuffle shuffle(batch.columns, {0}, 1, std::make_shared<PagePool>(4 << 20),
                                  esker::shuffle::combination("software_managed_buffers", ""), {});
  shuffle.push({batch.view});
  shuffle.finish();
  const auto leased = shuffle.next(0);
  esker::page::seal(leased->page, shuffle.schema(), 0, true);
  return {leased->page.bytes, leased->page.bytes + leased->page.layout->page_bytes};
}

// Reads all a consumer may read of a batch; returns something that depends on it.
std::uint64_t read_all(const Page& page, const PageSchema& schema) {
  ArrowArray batch;
  esker::page::export_batch(page, schema, nullptr, &batch);
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < batch.n_children; ++i) {
    const ArrowArray& column = *batch.children[i];
    const ColumnType& type = schema.columns()[static_cast<std::size_t>(i)];
    if (column.n_buffers < 2) continue;
    const auto* validity = static_cast<const std::uint8_t*>(column.buffers[0]);
    const auto* values = static_cast<const std::uint8_t*>(column.buffers[1]);
    for (std::int64_t row = 0; row < column.length; ++row) {
      if (validity != nullptr && !esker::arrow::bit_at(validity, row)) continue;
      if (type.layout == esker::arrow::Layout::bits) {
        sum += esker::arrow::bit_at(values, row);
      } else if (type.layout == esker::arrow::Layout::fixed) {
        for (std::uint32_t k = 0; k < type.width; ++k) sum += values[row * type.width + k];
      } else {
        const auto size = load<std::int32_t>(values + row * 16);
        const auto* heap = static_cast<const std::uint8_t*>(column.buffers[2]);
        const auto* bytes =
            size <= 12 ? values + row * 16 + 4 : heap + load<std::int32_t>(values + row * 16 + 12);
        for (std::int32_t k = 0; k < size; ++k) sum += bytes[k];
      }
    }
  }
  batch.release(&batch);
  return sum;
}

std::uint32_t checksum_again(std::vector<std::uint8_t>& bytes, const PageSchema& schema) {
  esker::page::PageHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const bool layout_holds = header.page_bytes == bytes.size() && header.row_count <= header.row_capacity &&
                            header.row_capacity <= bytes.size() * 8 &&
                            schema.regions_end(header.row_capacity) <= header.heap_begin &&
                            header.heap_begin <= bytes.size();
  if (!layout_holds) return 0;
  Page page;
  page.bytes = bytes.data();
  page.layout =
      std::make_shared<const esker::page::PageLayout>(schema, header.page_bytes, header.row_capacity);
  page.row_count = header.row_count;
  page.heap_begin = header.heap_begin;
  esker::page::seal(page, schema, header.partition, true);
  return header.row_count;
}

void damage(Chance& chance, std::vector<std::uint8_t>& bytes) {
  switch (chance.below(5)) {
    case 0:  // a shorter or longer page
      bytes.resize(chance.below(2) == 0 ? chance.below(bytes.size() + 1) : bytes.size() + chance.below(200));
      return;
    case 1:  // nothing but noise
      bytes.resize(64 + chance.below(300));
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(chance.next());
      return;
    default:
      for (std::uint64_t changes = 1 + chance.below(6); changes > 0 && !bytes.empty(); --changes) {
        const std::uint64_t end =
            chance.below(2) == 0 ? std::min<std::uint64_t>(bytes.size(), 64) : bytes.size();
        bytes[chance.below(end)] = static_cast<std::uint8_t>(chance.next());
      }
  }
}

struct Counts {
  std::uint64_t opened = 0;
  std::uint64_t refused = 0;
};

void try_page(Chance& chance, Counts& counts) {
  const RandomBatch batch(chance, static_cast<std::int64_t>(1 + chance.below(300)));
  const PageSchema schema(batch.columns);
  const auto good = sealed_page(batch);
  for (int i = 0; i < 50; ++i) {
    auto bytes = good;
    damage(chance, bytes);
    if (chance.below(2) == 0 && bytes.size() >= sizeof(esker::page::PageHeader))
      checksum_again(bytes, schema);
    try {
      const Page page = esker::page::open(bytes, schema, "fuzz");
      esker::page::check_values(page, schema, "fuzz");
      volatile std::uint64_t sum = read_all(page, schema);
      (void)sum;
      ++counts.opened;
    } catch (const esker::PageCorrupt&) {
      ++counts.refused;
    }
  }
}

std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

int main() {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(number("ESKER_FUZZ_SECONDS", 2));
  std::uint64_t seed = number("ESKER_FUZZ_SEED", 1);
  Counts counts;
  for (; Clock::now() < end; ++seed) {
    if (seed % 1000 == 0) std::fprintf(stderr, "seed %lu\n", static_cast<unsigned long>(seed));
    Chance chance(seed);
    try_page(chance, counts);
  }
  std::fprintf(stderr, "%lu damaged pages opened, %lu refused\n", static_cast<unsigned long>(counts.opened),
               static_cast<unsigned long>(counts.refused));
  CHECK(counts.opened > 0 && counts.refused > 0);
}
