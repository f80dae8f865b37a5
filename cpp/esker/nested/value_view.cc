#include "esker/nested/value_view.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace esker::nested {
namespace {

using arrow::bad_value;
using arrow::load;

[[noreturn]] void mismatch(const char* what) {
  throw std::invalid_argument(std::string("an array does not fit its type: ") + what);
}

// An integer of `width` bytes at `index`.
std::int64_t integer_at(const std::uint8_t* values, std::uint32_t width, bool is_signed, std::int64_t index) {
  const auto* place = values + index * width;
  switch (width) {
    case 1:
      return is_signed ? load<std::int8_t>(place) : load<std::uint8_t>(place);
    case 2:
      return is_signed ? load<std::int16_t>(place) : load<std::uint16_t>(place);
    case 4:
      return is_signed ? load<std::int32_t>(place) : std::int64_t{load<std::uint32_t>(place)};
    default:
      return load<std::int64_t>(place);
  }
}

bool has_validity(Kind kind) {
  return kind != Kind::null && kind != Kind::dense_union && kind != Kind::sparse_union && kind != Kind::runs;
}

std::int64_t buffers_wanted(const ValueType& type) {
  switch (type.kind) {
    case Kind::null:
    case Kind::runs:
      return 0;
    case Kind::structure:
    case Kind::fixed_list:
    case Kind::sparse_union:
      return 1;
    case Kind::bytes:
    case Kind::list_view:
      return 3;
    default:
      return 2;
  }
}

void set_values(ValueView& view, const ArrowArray& array) {
  const auto buffer = [&](int index) { return static_cast<const std::uint8_t*>(array.buffers[index]); };
  switch (view.type->kind) {
    case Kind::null:
    case Kind::runs:
    case Kind::structure:
    case Kind::fixed_list:
      return;
    case Kind::sparse_union:
      view.column.values = buffer(0);
      break;
    case Kind::dense_union:
      view.column.values = buffer(0);
      view.sizes = buffer(1);
      break;
    default:
      view.column.values = buffer(1);
  }
  if (view.type->kind == Kind::list_view) view.sizes = buffer(2);
  if (view.type->source == arrow::Source::views) {
    view.column.variadic_count = array.n_buffers - 3;
    view.column.variadic = array.buffers + 2;
    view.column.variadic_bytes = static_cast<const std::int64_t*>(array.buffers[array.n_buffers - 1]);
  } else if (view.type->kind == Kind::bytes) {
    view.column.data = buffer(2);
  }
  const bool empty = view.type->kind == Kind::fixed && view.type->width == 0;
  if (view.column.values == nullptr && !empty) mismatch("it has no values");
}

void set_children(ValueView& view, const ArrowArray& array) {
  const ValueType& type = *view.type;
  if (type.kind == Kind::dictionary) {
    if (array.dictionary == nullptr) mismatch("it has no dictionary");
    view.children.push_back(value_view(*array.dictionary, type.children[0]));
    return;
  }
  const std::int64_t before = type.kind == Kind::runs ? 1 : 0;
  if (array.n_children != static_cast<std::int64_t>(type.children.size()) + before) mismatch("its children");
  for (std::size_t i = 0; i < type.children.size(); ++i) {
    view.children.push_back(
        value_view(*array.children[static_cast<std::int64_t>(i) + before], type.children[i]));
  }
}

void set_run_ends(ValueView& view, const ArrowArray& array) {
  const ArrowArray& ends = *array.children[0];
  if (ends.length == 0 || ends.length > view.children[0].length || ends.n_buffers < 2) mismatch("its runs");
  const auto* values = static_cast<const std::uint8_t*>(ends.buffers[1]);
  for (std::int64_t i = 0; i < ends.length; ++i) {
    view.run_ends.push_back(integer_at(values, view.type->width, true, ends.offset + i));
  }
  if (!std::is_sorted(view.run_ends.begin(), view.run_ends.end()) ||
      view.run_ends.back() < array.offset + array.length) {
    mismatch("its runs");
  }
}

// Of no items, whatever buffers there are or lack.
ValueView empty_view(const ValueType& type) {
  ValueView view;
  view.type = &type;
  for (const ValueType& child : type.children) view.children.push_back(empty_view(child));
  return view;
}

void check_lengths(const ValueView& view) {
  const std::int64_t end = view.column.offset + view.length;
  for (const ValueView& child : view.children) {
    if (view.type->kind == Kind::structure || view.type->kind == Kind::sparse_union) {
      if (child.length < end) mismatch("a child is too short");
    } else if (view.type->kind == Kind::fixed_list &&
               child.length / std::max<std::int64_t>(1, view.type->list_size) < end) {
      if (view.type->list_size > 0) mismatch("a child is too short");
    }
  }
}

}  // namespace

bool ValueView::null(std::int64_t item) const {
  switch (type->kind) {
    case Kind::null:
      return true;
    case Kind::dictionary:
      return !column.valid(item) || children[0].null(dictionary_item(item));
    case Kind::dense_union:
    case Kind::sparse_union: {
      const auto [child, place] = union_item(item);
      return children[child].null(place);
    }
    case Kind::runs:
      return children[0].null(run_of(item));
    default:
      return !column.valid(item);
  }
}

Range ValueView::list(std::int64_t item) const {
  const std::int64_t place = column.offset + item;
  if (type->kind == Kind::fixed_list) return {place * type->list_size, type->list_size};
  const std::int64_t begin = integer_at(column.values, type->width, true, place);
  const std::int64_t count = type->kind == Kind::list_view
                                 ? integer_at(sizes, type->width, true, place)
                                 : integer_at(column.values, type->width, true, place + 1) - begin;
  if (begin < 0 || count < 0 || begin > children[0].length || count > children[0].length - begin) bad_value();
  return {begin, count};
}

std::pair<std::size_t, std::int64_t> ValueView::union_item(std::int64_t item) const {
  const std::int64_t place = column.offset + item;
  const auto id = load<std::int8_t>(column.values + place);
  const auto found = std::find(type->union_ids.begin(), type->union_ids.end(), id);
  if (found == type->union_ids.end()) bad_value();
  const auto child = static_cast<std::size_t>(found - type->union_ids.begin());
  if (type->kind == Kind::sparse_union) return {child, place};
  const std::int64_t child_place = integer_at(sizes, 4, true, place);
  if (child_place < 0 || child_place >= children[child].length) bad_value();
  return {child, child_place};
}

std::int64_t ValueView::dictionary_item(std::int64_t item) const {
  const std::int64_t place = integer_at(column.values, type->width, type->is_signed, column.offset + item);
  if (place < 0 || place >= children[0].length) bad_value();
  return place;
}

std::int64_t ValueView::run_of(std::int64_t item) const {
  return std::upper_bound(run_ends.begin(), run_ends.end(), column.offset + item) - run_ends.begin();
}

ValueView value_view(const ArrowArray& array, const ValueType& type) {
  ValueView view;
  view.type = &type;
  view.length = array.length;
  view.column.offset = array.offset;
  if (array.length < 0 || array.offset < 0) mismatch("a negative length");
  if (array.length == 0) return empty_view(type);
  if (array.n_buffers < buffers_wanted(type) ||
      (type.source == arrow::Source::views && array.n_buffers < 3)) {
    mismatch("it lacks buffers");
  }
  if (has_validity(type.kind) && array.null_count != 0) {
    view.column.validity = static_cast<const std::uint8_t*>(array.buffers[0]);
  }
  set_values(view, array);
  set_children(view, array);
  if (type.kind == Kind::runs) set_run_ends(view, array);
  check_lengths(view);
  return view;
}

}  // namespace esker::nested
