// What the kernel knows of a column's type: how it arrives, how a page holds it, how it is hashed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "esker/arrow/c_data.h"

namespace esker::arrow {

// How the values arrive in Arrow buffers.
enum class Source : std::uint8_t { none, bits, fixed, offsets32, offsets64, views };

// How a page holds them.
enum class Layout : std::uint8_t { none, bits, fixed, view };

// Which values are equal as keys.
enum class Key : std::uint8_t { null, boolean, signed_integer, unsigned_integer, half, single, real, bytes };

struct ColumnType {
  std::string name;
  std::string format;       // as it leaves a page: views for all strings and binaries
  std::string came_format;  // as it arrives
  Source source = Source::none;
  Layout layout = Layout::none;
  Key key = Key::null;
  std::uint32_t width = 0;  // bytes of a fixed-width value
  bool nullable = true;
  bool utf8 = false;

  bool integer() const { return key == Key::signed_integer || key == Key::unsigned_integer; }
};

// The columns of a batch's schema (a struct). Throws UnsupportedType naming the first column that no page
// holds.
std::vector<ColumnType> columns_of(const ArrowSchema& schema);

}  // namespace esker::arrow
