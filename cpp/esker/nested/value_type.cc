#include "esker/nested/value_type.h"

#include <charconv>
#include <stdexcept>
#include <string_view>

namespace esker::nested {
namespace {

constexpr std::int64_t kListSizeMax = (std::int64_t{1} << 31) - 1;

[[noreturn]] void cannot_be(std::string_view format) {
  throw std::invalid_argument("an Arrow schema of format '" + std::string(format) + "' cannot be");
}

template <class Number>
Number number_at(std::string_view format, std::string_view text, Number low, Number high) {
  Number found{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), found);
  if (error != std::errc() || end != text.data() + text.size() || found < low || found > high)
    cannot_be(format);
  return found;
}

void set_leaf(ValueType& type, const ArrowSchema& schema) {
  ArrowSchema field = schema;
  field.dictionary = nullptr;
  ArrowSchema* fields[] = {&field};
  ArrowSchema whole{};
  whole.format = "+s";
  whole.n_children = 1;
  whole.children = fields;
  const arrow::ColumnType column = arrow::columns_of(whole)[0];
  type.source = column.source;
  type.key = column.key;
  type.width = column.width;
  switch (column.source) {
    case arrow::Source::none:
      type.kind = Kind::null;
      break;
    case arrow::Source::bits:
      type.kind = Kind::bits;
      break;
    case arrow::Source::fixed:
      type.kind = Kind::fixed;
      break;
    default:
      type.kind = Kind::bytes;
      if (column.source != arrow::Source::views)
        type.width = column.source == arrow::Source::offsets64 ? 8 : 4;
  }
}

void set_union(ValueType& type, std::string_view format) {
  type.kind = format[2] == 'd' ? Kind::dense_union : Kind::sparse_union;
  type.width = 4;
  std::string_view rest = format.substr(4);
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    type.union_ids.push_back(static_cast<std::int8_t>(number_at<int>(format, rest.substr(0, comma), 0, 127)));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  if (type.union_ids.size() != type.children.size()) cannot_be(format);
}

void set_runs(ValueType& type, std::string_view format) {
  type.kind = Kind::runs;
  if (type.children.size() != 2 || type.children[0].key != arrow::Key::signed_integer) cannot_be(format);
  type.width = type.children[0].width;
  type.children.erase(type.children.begin());
}

void set_list(ValueType& type, std::string_view format, Kind kind, std::uint32_t width) {
  if (type.children.size() != 1) cannot_be(format);
  type.kind = kind;
  type.width = width;
}

void set_nested(ValueType& type, std::string_view format) {
  if (format == "+s") {
    type.kind = Kind::structure;
  } else if (format == "+l" || format == "+m") {
    set_list(type, format, Kind::list, 4);
  } else if (format == "+L") {
    set_list(type, format, Kind::list, 8);
  } else if (format == "+vl") {
    set_list(type, format, Kind::list_view, 4);
  } else if (format == "+vL") {
    set_list(type, format, Kind::list_view, 8);
  } else if (format.starts_with("+w:")) {
    set_list(type, format, Kind::fixed_list, 0);
    type.list_size = number_at<std::int64_t>(format, format.substr(3), 0, kListSizeMax);
  } else if (format.starts_with("+ud:") || format.starts_with("+us:")) {
    set_union(type, format);
  } else if (format == "+r") {
    set_runs(type, format);
  } else {
    cannot_be(format);
  }
}

}  // namespace

ValueType value_type_of(const ArrowSchema& schema) {
  if (schema.format == nullptr) cannot_be("");
  const std::string_view format = schema.format;
  ValueType type;
  if (schema.dictionary != nullptr) {
    set_leaf(type, schema);
    if (type.kind != Kind::fixed) cannot_be(format);
    type.is_signed = type.key == arrow::Key::signed_integer;
    type.kind = Kind::dictionary;
    type.children.push_back(value_type_of(*schema.dictionary));
    return type;
  }
  if (!format.starts_with('+')) {
    set_leaf(type, schema);
    return type;
  }
  for (std::int64_t i = 0; i < schema.n_children; ++i)
    type.children.push_back(value_type_of(*schema.children[i]));
  set_nested(type, format);
  return type;
}

}  // namespace esker::nested
