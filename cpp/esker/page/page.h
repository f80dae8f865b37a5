// A slotted page: header, columns growing up, bytes of long values growing down. docs/formats/page.md draws
// it.
//
// Threads: space is claimed by one thread at a time; claimed space is written by its claimer alone, except
// words of bitmaps, which neighbours share and set atomically. Readers may come once all claims are written
// and `seal` has returned.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "esker/page/page_layout.h"

namespace esker::page {

constexpr char kMagic[8] = {'E', 'S', 'K', 'P', 'A', 'G', 'E', '1'};
constexpr std::uint32_t kVersion = 1;

struct PageHeader {
  char magic[8];
  std::uint64_t schema_id;
  std::uint32_t version;
  std::uint32_t partition;
  std::uint64_t page_bytes;
  std::uint32_t row_capacity;
  std::uint32_t row_count;
  std::uint64_t heap_begin;  // the heap is [heap_begin, page_bytes)
  std::uint64_t reserved;    // zero
  std::uint32_t reserved_too;
  std::uint32_t checksum;  // CRC-32C of the header with this field zero, then of every used range
};
static_assert(sizeof(PageHeader) == kHeaderBytes);

// A page in memory with the bookkeeping that is not in its bytes.
struct Page {
  std::uint8_t* bytes = nullptr;  // null: spilled, or handed on
  std::shared_ptr<const PageLayout> layout;
  std::uint32_t row_count = 0;
  std::uint64_t heap_begin = 0;

  std::uint64_t heap_free() const { return heap_begin - layout->regions_end; }
  std::uint32_t rows_free() const { return layout->row_capacity - row_count; }
};

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
};

// Prepares what is written bit by bit: values of bits are set in zeros, nulls are cleared in ones, so that
// columns without nulls need no bit written. The rest of a fresh page may hold anything.
void start(const Page& page, const PageSchema& schema);

// Ends the bitmaps and writes the header; the checksum only if asked, since pages that stay in memory need
// none.
void seal(const Page& page, const PageSchema& schema, std::uint32_t partition, bool with_checksum);

// What of a page is read, the header apart: per column the validity and values of its rows, then the heap.
std::vector<Range> used_ranges(const PageLayout& layout, const PageSchema& schema, std::uint32_t row_count,
                               std::uint64_t heap_begin);

// Checks magic, version, schema, sizes and checksum. Throws PageCorrupt naming `place`.
// `bytes` must hold the page's own page_bytes; the layout is computed from what the header says and the
// schema.
Page open(std::span<std::uint8_t> bytes, const PageSchema& schema, const std::string& place);

// Checks every view and, for strings, that their bytes are UTF-8: for pages that someone else may have
// written.
void check_values(const Page& page, const PageSchema& schema, const std::string& place);

}  // namespace esker::page
