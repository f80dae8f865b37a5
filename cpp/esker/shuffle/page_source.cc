#include "esker/shuffle/page_source.h"

namespace esker::shuffle {
namespace {

void fill_bits_from(std::uint8_t* bitmap, std::uint32_t row, std::uint32_t end, bool set) {
  const auto put = [set](std::uint8_t& byte, std::uint32_t bits) {
    byte = static_cast<std::uint8_t>(set ? byte | bits : byte & ~bits);
  };
  for (; row < end && row % 8 != 0; ++row) put(bitmap[row / 8], 1U << (row % 8));
  for (; row < end; row += 8) put(bitmap[row / 8], 0xFF);
}

}  // namespace

page::PageSchema schema_of_pages(const page::PageSchema& schema) {
  std::vector<arrow::ColumnType> columns = schema.columns();
  for (arrow::ColumnType& column : columns) {
    if (column.layout == arrow::Layout::view) column.source = arrow::Source::views;
  }
  return page::PageSchema(std::move(columns));
}

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

}  // namespace esker::shuffle
