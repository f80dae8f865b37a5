#include "esker/arrow/column_type.h"

#include <charconv>
#include <stdexcept>
#include <string_view>

#include "esker/error.h"

namespace esker::arrow {
namespace {

// A value wider than this is no number any more; a page of 64 rows of it is still an ordinary page.
constexpr std::uint32_t kFixedWidthMax = 1U << 20;

[[noreturn]] void refuse(const ArrowSchema& field, std::string_view what) {
  throw UnsupportedType("column '" + std::string(field.name != nullptr ? field.name : "") + "' is " +
                        std::string(what) +
                        ", which a page does not hold yet; cast it to a flat type or drop it");
}

std::string_view nested_name(std::string_view format) {
  if (format.starts_with("+l") || format.starts_with("+L") || format.starts_with("+v")) return "a list";
  if (format.starts_with("+w")) return "a fixed-size list";
  if (format.starts_with("+s")) return "a struct";
  if (format.starts_with("+m")) return "a map";
  if (format.starts_with("+u")) return "a union";
  if (format.starts_with("+r")) return "run-end encoded";
  return {};
}

void set_fixed(ColumnType& column, std::uint32_t width, Key key) {
  column.source = Source::fixed;
  column.layout = Layout::fixed;
  column.width = width;
  column.key = key;
}

void set_view(ColumnType& column, Source source, bool utf8) {
  column.source = source;
  column.layout = Layout::view;
  column.key = Key::bytes;
  column.width = 16;
  column.utf8 = utf8;
  column.format = utf8 ? "vu" : "vz";
}

bool number(std::string_view text, std::uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// "d:precision,scale" is 128 bits wide, "d:precision,scale,bits" says it.
bool set_decimal(ColumnType& column, std::string_view format) {
  const auto first = format.find(',');
  if (first == std::string_view::npos) return false;
  const auto second = format.find(',', first + 1);
  std::uint32_t bits = 128;
  if (second != std::string_view::npos && !number(format.substr(second + 1), bits)) return false;
  if (bits != 32 && bits != 64 && bits != 128 && bits != 256) return false;
  set_fixed(column, bits / 8, Key::bytes);
  return true;
}

bool set_letter(ColumnType& column, char letter) {
  switch (letter) {
    case 'n':
      return true;
    case 'b':
      column.source = Source::bits;
      column.layout = Layout::bits;
      column.key = Key::boolean;
      return true;
    case 'c':
      return set_fixed(column, 1, Key::signed_integer), true;
    case 'C':
      return set_fixed(column, 1, Key::unsigned_integer), true;
    case 's':
      return set_fixed(column, 2, Key::signed_integer), true;
    case 'S':
      return set_fixed(column, 2, Key::unsigned_integer), true;
    case 'i':
      return set_fixed(column, 4, Key::signed_integer), true;
    case 'I':
      return set_fixed(column, 4, Key::unsigned_integer), true;
    case 'l':
      return set_fixed(column, 8, Key::signed_integer), true;
    case 'L':
      return set_fixed(column, 8, Key::unsigned_integer), true;
    case 'e':
      return set_fixed(column, 2, Key::half), true;
    case 'f':
      return set_fixed(column, 4, Key::single), true;
    case 'g':
      return set_fixed(column, 8, Key::real), true;
    case 'u':
      return set_view(column, Source::offsets32, true), true;
    case 'U':
      return set_view(column, Source::offsets64, true), true;
    case 'z':
      return set_view(column, Source::offsets32, false), true;
    case 'Z':
      return set_view(column, Source::offsets64, false), true;
    default:
      return false;
  }
}

// Dates, times, timestamps and durations are integers of their unit; intervals are compared by their bytes.
bool set_temporal(ColumnType& column, std::string_view format) {
  if (format == "tdD" || format == "tts" || format == "ttm") {
    set_fixed(column, 4, Key::signed_integer);
  } else if (format == "tdm" || format == "ttu" || format == "ttn" || format.starts_with("tD") ||
             format.starts_with("ts")) {
    set_fixed(column, 8, Key::signed_integer);
  } else if (format == "tiM") {
    set_fixed(column, 4, Key::signed_integer);
  } else if (format == "tiD") {
    set_fixed(column, 8, Key::bytes);
  } else if (format == "tin") {
    set_fixed(column, 16, Key::bytes);
  } else {
    return false;
  }
  return true;
}

bool set_type(ColumnType& column, std::string_view format) {
  if (format.size() == 1) return set_letter(column, format[0]);
  if (format == "vu") return set_view(column, Source::views, true), true;
  if (format == "vz") return set_view(column, Source::views, false), true;
  if (format.starts_with("d:")) return set_decimal(column, format.substr(2));
  if (format.starts_with("t")) return set_temporal(column, format);
  std::uint32_t width = 0;
  if (!format.starts_with("w:") || !number(format.substr(2), width) || width > kFixedWidthMax) return false;
  set_fixed(column, width, Key::bytes);
  return true;
}

ColumnType column_of(const ArrowSchema& field) {
  const std::string_view format = field.format;
  if (field.dictionary != nullptr) refuse(field, "dictionary-encoded");
  if (const auto nested = nested_name(format); !nested.empty()) refuse(field, nested);
  ColumnType column;
  column.name = field.name != nullptr ? field.name : "";
  column.format = column.came_format = format;
  column.nullable = (field.flags & ARROW_FLAG_NULLABLE) != 0;
  if (!set_type(column, format)) refuse(field, "of Arrow format '" + std::string(format) + "'");
  return column;
}

}  // namespace

std::vector<ColumnType> columns_of(const ArrowSchema& schema) {
  if (schema.format == nullptr || std::string_view(schema.format) != "+s") {
    throw std::invalid_argument("a schema of columns is wanted, not of a single array");
  }
  std::vector<ColumnType> columns;
  columns.reserve(static_cast<std::size_t>(schema.n_children));
  for (std::int64_t i = 0; i < schema.n_children; ++i) columns.push_back(column_of(*schema.children[i]));
  return columns;
}

}  // namespace esker::arrow
