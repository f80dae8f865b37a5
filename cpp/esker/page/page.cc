#include "esker/page/page.h"

#include <cstring>

#include "esker/arrow/batch_view.h"
#include "esker/error.h"
#include "esker/page/checksum.h"

namespace esker::page {
namespace {

using arrow::ColumnType;
using arrow::Layout;

PageHeader header_of(const std::uint8_t* bytes) {
  PageHeader header;
  std::memcpy(&header, bytes, sizeof header);
  return header;
}

std::uint32_t checksum_of(PageHeader header, const std::uint8_t* bytes, const std::vector<Range>& ranges) {
  header.checksum = 0;
  std::uint32_t crc = crc32c(0, &header, sizeof header);
  for (const Range& range : ranges) crc = crc32c(crc, bytes + range.begin, range.end - range.begin);
  return crc;
}

[[noreturn]] void corrupt(const std::string& place, const char* what) {
  throw PageCorrupt(place + ": " + what);
}

void check_header(const PageHeader& header, std::uint64_t size, const PageSchema& schema,
                  const std::string& place) {
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) corrupt(place, "not a page (wrong magic)");
  if (header.version != kVersion) corrupt(place, "a page of another version");
  if (header.schema_id != schema.id()) corrupt(place, "a page of another schema");
  if (header.page_bytes != size || size > kPageBytesMax)
    corrupt(place, "the page's size is not what it says");
  if (header.reserved != 0 || header.reserved_too != 0) corrupt(place, "reserved bytes are set");
  if (header.row_count > header.row_capacity) corrupt(place, "more rows than the page has room for");
  // Before the columns' sizes are added up: they cannot overflow now.
  if (header.row_capacity > size * 8 / schema.row_bits())
    corrupt(place, "room for more rows than the page has bits");
  const std::uint64_t end = schema.regions_end(header.row_capacity);
  if (end > size || header.heap_begin < end || header.heap_begin > size) {
    corrupt(place, "columns and heap overlap or leave the page");
  }
}

// Well-formed UTF-8 (Unicode 15, table 3-7).
bool utf8(const std::uint8_t* text, std::int64_t size) {
  for (std::int64_t i = 0; i < size;) {
    const std::uint8_t lead = text[i];
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const int more = lead >= 0xC2 && lead <= 0xDF   ? 1
                     : (lead & 0xF0) == 0xE0        ? 2
                     : lead >= 0xF0 && lead <= 0xF4 ? 3
                                                    : 0;
    if (more == 0 || i + more >= size) return false;
    const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (text[i + 1] < low || text[i + 1] > high) return false;
    for (int k = 2; k <= more; ++k) {
      if ((text[i + k] & 0xC0) != 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}

bool view_is_sound(const Page& page, const std::uint8_t* view, bool is_utf8) {
  const auto size = arrow::load<std::int32_t>(view);
  if (size < 0) return false;
  if (size <= 12) {
    for (std::int32_t i = size; i < 12; ++i) {
      if (view[4 + i] != 0) return false;
    }
    return !is_utf8 || utf8(view + 4, size);
  }
  const auto begin = static_cast<std::uint64_t>(arrow::load<std::uint32_t>(view + 12));
  if (arrow::load<std::int32_t>(view + 8) != 0 || begin < page.heap_begin ||
      begin + static_cast<std::uint64_t>(size) > page.layout->page_bytes) {
    return false;
  }
  return std::memcmp(view + 4, page.bytes + begin, 4) == 0 && (!is_utf8 || utf8(page.bytes + begin, size));
}

}  // namespace

void start(const Page& page, const PageSchema& schema) {
  const PageLayout& layout = *page.layout;
  const std::uint64_t bitmap = bitmap_bytes(layout.row_capacity);
  for (std::size_t i = 0; i < schema.columns().size(); ++i) {
    const Region& region = layout.regions[i];
    if (region.validity != 0) std::memset(page.bytes + region.validity, 0xFF, bitmap);
    if (schema.columns()[i].layout == Layout::bits) std::memset(page.bytes + region.values, 0, bitmap);
  }
}

namespace {

// Bits after the last row are zero in a sealed page.
void end_bitmap(std::uint8_t* bitmap, std::uint32_t row_count) {
  if (row_count % 64 == 0) return;
  auto* const last = bitmap + row_count / 64 * 8;
  const std::uint64_t kept = arrow::load<std::uint64_t>(last) & ((std::uint64_t{1} << row_count % 64) - 1);
  std::memcpy(last, &kept, sizeof kept);
}

}  // namespace

void seal(const Page& page, const PageSchema& schema, std::uint32_t partition, bool with_checksum) {
  for (const Region& region : page.layout->regions) {
    if (region.validity != 0) end_bitmap(page.bytes + region.validity, page.row_count);
  }
  PageHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.schema_id = schema.id();
  header.version = kVersion;
  header.partition = partition;
  header.page_bytes = page.layout->page_bytes;
  header.row_capacity = page.layout->row_capacity;
  header.row_count = page.row_count;
  header.heap_begin = page.heap_begin;
  if (with_checksum) {
    const auto ranges = used_ranges(*page.layout, schema, page.row_count, page.heap_begin);
    header.checksum = checksum_of(header, page.bytes, ranges);
  }
  std::memcpy(page.bytes, &header, sizeof header);
}

std::vector<Range> used_ranges(const PageLayout& layout, const PageSchema& schema, std::uint32_t row_count,
                               std::uint64_t heap_begin) {
  std::vector<Range> ranges;
  ranges.reserve(schema.columns().size() * 2 + 1);
  const auto add = [&ranges](std::uint64_t begin, std::uint64_t size) {
    if (size > 0) ranges.push_back({begin, begin + size});
  };
  for (std::size_t i = 0; i < schema.columns().size(); ++i) {
    const Region& region = layout.regions[i];
    if (region.validity != 0) add(region.validity, bitmap_bytes(row_count));
    add(region.values, values_bytes(schema.columns()[i], row_count));
  }
  add(heap_begin, layout.page_bytes - heap_begin);
  return ranges;
}

Page open(std::span<std::uint8_t> bytes, const PageSchema& schema, const std::string& place) {
  if (bytes.size() < kHeaderBytes) corrupt(place, "shorter than a page's header");
  const PageHeader header = header_of(bytes.data());
  check_header(header, bytes.size(), schema, place);
  Page page;
  page.bytes = bytes.data();
  page.layout = std::make_shared<const PageLayout>(schema, header.page_bytes, header.row_capacity);
  page.row_count = header.row_count;
  page.heap_begin = header.heap_begin;
  const auto ranges = used_ranges(*page.layout, schema, page.row_count, page.heap_begin);
  if (checksum_of(header, bytes.data(), ranges) != header.checksum)
    corrupt(place, "the checksum does not match");
  return page;
}

void check_values(const Page& page, const PageSchema& schema, const std::string& place) {
  for (std::size_t i = 0; i < schema.columns().size(); ++i) {
    const ColumnType& type = schema.columns()[i];
    if (type.layout != Layout::view) continue;
    for (std::uint32_t row = 0; row < page.row_count; ++row) {
      if (!view_is_sound(page, page.bytes + page.layout->regions[i].values + std::uint64_t{row} * 16,
                         type.utf8)) {
        throw PageCorrupt(place + ": column '" + type.name + "', row " + std::to_string(row) +
                          ": its bytes lie outside the page or are not what the type says");
      }
    }
  }
}

}  // namespace esker::page
