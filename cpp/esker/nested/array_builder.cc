#include "esker/nested/array_builder.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "esker/arrow/batch_view.h"
#include "esker/error.h"
#include "esker/nested/array_export.h"
#include "esker/nested/encode_rows.h"

namespace esker::nested {
namespace {

// Items of no bytes, such as nulls of type null, would otherwise cost what a damaged count says.
constexpr std::uint64_t kItemsMax = std::numeric_limits<std::int32_t>::max();

[[noreturn]] void corrupt(const char* what) {
  throw PageCorrupt(what);
}

std::int64_t integer_max(std::uint32_t width, bool is_signed) {
  if (width == 8) return std::numeric_limits<std::int64_t>::max();
  return (std::int64_t{1} << (8 * width - (is_signed ? 1 : 0))) - 1;
}

bool bit(std::string_view bits, std::uint64_t index) {
  return arrow::bit_at(reinterpret_cast<const std::uint8_t*>(bits.data()), static_cast<std::int64_t>(index));
}

void put(std::vector<std::uint8_t>& into, std::string_view bytes) {
  into.insert(into.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::string_view RowReader::take(std::uint64_t size) {
  if (size > bytes_.size()) corrupt("it ends before its values do");
  const std::string_view taken = bytes_.substr(0, static_cast<std::size_t>(size));
  bytes_.remove_prefix(static_cast<std::size_t>(size));
  return taken;
}

std::uint64_t RowReader::take_number() {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    const std::uint8_t byte = take_byte();
    number |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return number;
  }
  corrupt("a length has too many bytes");
}

ArrayBuilder::ArrayBuilder(const ValueType& type) : type_(&type) {
  for (const ValueType& child : type.children) children_.emplace_back(child);
  if (type.kind == Kind::list || (type.kind == Kind::bytes && type.source != arrow::Source::views)) {
    push_integer(values_, 0);
  }
}

void ArrayBuilder::append(RowReader& reader, std::uint64_t count) {
  if (count > kItemsMax) corrupt("a length is beyond any page");
  switch (type_->kind) {
    case Kind::null:
      grow(count);
      null_count_ = length_;
      return;
    case Kind::dense_union:
    case Kind::sparse_union:
      for (; count > 0; --count) append_union(reader);
      return;
    case Kind::dictionary:
      for (; count > 0; --count) append_dictionary(reader);
      return;
    case Kind::runs:
      for (; count > 0; --count) append_run(reader);
      return;
    default:
      append_direct(reader, count);
  }
}

void ArrayBuilder::append_direct(RowReader& reader, std::uint64_t count) {
  switch (static_cast<Validity>(reader.take_byte())) {
    case Validity::all:
      return append_items(reader, count, {});
    case Validity::one_null:
      if (count != 1) corrupt("the nulls of a list are not what its length says");
      return append_null();
    case Validity::bitmap:
      if (count < 2) corrupt("the nulls of a list are not what its length says");
      return append_items(reader, count, reader.take((count + 7) / 8));
  }
  corrupt("a mark of nulls is none of those there are");
}

void ArrayBuilder::append_items(RowReader& reader, std::uint64_t count, std::string_view nulls) {
  const bool any_null = !nulls.empty();
  const std::int64_t begin = length_;
  if (type_->kind == Kind::fixed || type_->kind == Kind::bits) {
    type_->kind == Kind::fixed ? append_fixed(reader, count) : append_bits(reader, count);
    for (std::uint64_t i = 0; any_null && i < count; ++i) {
      if (!bit(nulls, i)) set_validity(begin + static_cast<std::int64_t>(i), false);
    }
    return;
  }
  if ((type_->kind == Kind::structure || type_->kind == Kind::fixed_list) && any_null) {
    // Column by column as they were written: each child's valid items, with a null where there is none.
    for (std::size_t child = 0; child < children_.size(); ++child) {
      const std::uint64_t size =
          type_->kind == Kind::structure ? 1 : static_cast<std::uint64_t>(type_->list_size);
      for (std::uint64_t i = 0; i < count; ++i) {
        if (bit(nulls, i)) {
          children_[child].append(reader, size);
        } else {
          for (std::uint64_t n = 0; n < size; ++n) children_[child].append_null();
        }
      }
    }
    grow(count);
  } else if (type_->kind == Kind::structure) {
    for (ArrayBuilder& child : children_) child.append(reader, count);
    grow(count);
  } else if (type_->kind == Kind::fixed_list) {
    const auto size = static_cast<std::uint64_t>(type_->list_size);
    if (size > 0 && count > kItemsMax / size) corrupt("a length is beyond any page");
    children_[0].append(reader, count * size);
    grow(count);
  } else {
    for (std::uint64_t i = 0; i < count; ++i) {
      if (any_null && !bit(nulls, i)) {
        append_null();
      } else {
        append_sized(reader);
      }
    }
    return;
  }
  for (std::uint64_t i = 0; any_null && i < count; ++i) {
    if (!bit(nulls, i)) set_validity(begin + static_cast<std::int64_t>(i), false);
  }
}

void ArrayBuilder::append_fixed(RowReader& reader, std::uint64_t count) {
  put(values_, reader.take(count * type_->width));
  grow(count);
}

void ArrayBuilder::append_bits(RowReader& reader, std::uint64_t count) {
  const std::string_view bits = reader.take((count + 7) / 8);
  for (std::uint64_t i = 0; i < count; ++i) {
    push_bit(bit(bits, i));
    grow(1);
  }
}

void ArrayBuilder::append_sized(RowReader& reader) {
  const std::uint64_t size = reader.take_number();
  if (type_->kind == Kind::bytes) {
    const std::string_view value = reader.take(size);
    if (type_->source == arrow::Source::views) {
      append_view(value);
    } else {
      put(data_, value);
      append_offset();
    }
  } else {
    if (type_->kind == Kind::list_view) {
      push_integer(values_, children_[0].length());
      push_integer(data_, static_cast<std::int64_t>(std::min(size, kItemsMax)));
    }
    children_[0].append(reader, size);
    append_offset();
  }
  grow(1);
}

void ArrayBuilder::append_view(std::string_view value) {
  const std::size_t begin = values_.size();
  values_.resize(begin + 16);
  std::uint8_t* view = values_.data() + begin;
  if (data_.size() + value.size() > kItemsMax)
    throw std::invalid_argument("views of a batch hold over 2 GiB");
  const auto size = static_cast<std::int32_t>(value.size());
  const auto offset = static_cast<std::int32_t>(data_.size());
  std::memcpy(view, &size, 4);
  if (value.size() <= 12) {
    if (!value.empty()) std::memcpy(view + 4, value.data(), value.size());
    return;
  }
  std::memcpy(view + 4, value.data(), 4);
  std::memcpy(view + 12, &offset, 4);
  put(data_, value);
}

// Of a list or string, after its items: where the next one begins.
void ArrayBuilder::append_offset() {
  if (type_->kind == Kind::list_view || type_->source == arrow::Source::views) return;
  push_integer(values_,
               type_->kind == Kind::list ? children_[0].length() : static_cast<std::int64_t>(data_.size()));
}

void ArrayBuilder::append_union(RowReader& reader) {
  const std::uint8_t id = reader.take_byte();
  const auto found =
      std::find(type_->union_ids.begin(), type_->union_ids.end(), static_cast<std::int8_t>(id));
  if (found == type_->union_ids.end()) corrupt("a union has no such member");
  const auto member = static_cast<std::size_t>(found - type_->union_ids.begin());
  if (type_->kind == Kind::dense_union) {
    push_integer(data_, children_[member].length());
  } else {
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (i != member) children_[i].append_null();
    }
  }
  children_[member].append(reader, 1);
  values_.push_back(id);
  grow(1);
}

void ArrayBuilder::append_dictionary(RowReader& reader) {
  const std::string_view value = reader.take(reader.take_number());
  if (value.empty()) return append_null();
  const auto [found, is_new] = places_.try_emplace(value, children_[0].length());
  if (is_new) {
    RowReader inner(value);
    children_[0].append(inner, 1);
    if (!inner.empty()) corrupt("a value is longer than it should be");
    if (found->second > integer_max(type_->width, type_->is_signed)) {
      throw UnsupportedType(
          "a dictionary has more values than its indices reach; cast to one of wider indices");
    }
  }
  push_integer(values_, found->second);
  grow(1);
}

void ArrayBuilder::append_run(RowReader& reader) {
  const std::string_view value = reader.take(reader.take_number());
  const bool goes_on = length_ > 0 && value == last_run_;
  if (!goes_on) {
    RowReader inner(value);
    children_[0].append(inner, 1);
    if (!inner.empty()) corrupt("a value is longer than it should be");
  } else {
    values_.resize(values_.size() - type_->width);
  }
  last_run_ = value;
  grow(1);
  if (length_ > integer_max(type_->width, true)) {
    throw UnsupportedType("a batch has more rows than its run ends reach; cast to one of wider run ends");
  }
  push_integer(values_, length_);
}

void ArrayBuilder::append_null() {
  append_empty();
  grow(1);
  if (type_->kind == Kind::null) {
    null_count_ = length_;
  } else if (type_->kind != Kind::dense_union && type_->kind != Kind::sparse_union &&
             type_->kind != Kind::runs) {
    set_validity(length_ - 1, false);
  }
}

// What stands for a null in the buffers and the children.
void ArrayBuilder::append_empty() {
  switch (type_->kind) {
    case Kind::null:
      return;
    case Kind::bits:
      return push_bit(false);
    case Kind::bytes:
    case Kind::list:
      if (type_->source == arrow::Source::views) return append_view({});
      return append_offset();
    case Kind::list_view:
      push_integer(values_, 0);
      return push_integer(data_, 0);
    case Kind::fixed_list:
      for (std::int64_t i = 0; i < type_->list_size; ++i) children_[0].append_null();
      return;
    case Kind::structure:
      for (ArrayBuilder& child : children_) child.append_null();
      return;
    case Kind::sparse_union:
      for (ArrayBuilder& child : children_) child.append_null();
      return values_.push_back(static_cast<std::uint8_t>(type_->union_ids.at(0)));
    case Kind::dense_union:
      push_integer(data_, children_.at(0).length());
      children_[0].append_null();
      return values_.push_back(static_cast<std::uint8_t>(type_->union_ids[0]));
    case Kind::runs:
      children_[0].append_null();
      last_run_ = {};
      return push_integer(values_, length_ + 1);
    default:
      values_.resize(values_.size() + type_->width);
  }
}

void ArrayBuilder::push_integer(std::vector<std::uint8_t>& into, std::int64_t value) const {
  if (value > integer_max(type_->width, true) && type_->kind != Kind::dictionary) {
    throw std::invalid_argument("the lists or strings of a batch hold more than 32-bit offsets reach");
  }
  const std::size_t begin = into.size();
  into.resize(begin + type_->width);
  std::memcpy(into.data() + begin, &value, type_->width);
}

void ArrayBuilder::grow(std::uint64_t count) {
  if (count > kItemsMax - static_cast<std::uint64_t>(length_)) corrupt("a length is beyond any page");
  const auto bits_before = length_;
  length_ += static_cast<std::int64_t>(count);
  if (null_count_ == 0 || type_->kind == Kind::null) return;
  validity_.resize(static_cast<std::size_t>((length_ + 7) / 8));
  for (std::int64_t i = bits_before; i < length_; ++i) set_validity(i, true);
}

void ArrayBuilder::set_validity(std::int64_t item, bool valid) {
  if (validity_.empty()) {
    validity_.assign(static_cast<std::size_t>((length_ + 7) / 8), 0xFF);
  }
  const auto mask = static_cast<std::uint8_t>(1U << (item % 8));
  std::uint8_t& byte = validity_[static_cast<std::size_t>(item / 8)];
  byte = static_cast<std::uint8_t>(valid ? byte | mask : byte & ~mask);
  if (!valid) ++null_count_;
}

void ArrayBuilder::push_bit(bool value) {
  if (length_ % 8 == 0) values_.push_back(0);
  if (value) values_.back() |= static_cast<std::uint8_t>(1U << (length_ % 8));
}

void ArrayBuilder::finish(ArrowArray* out) {
  ExportedArray exported;
  exported.length = length_;
  exported.null_count = null_count_;
  exported.validity = std::move(validity_);
  exported.values = std::move(values_);
  exported.data = std::move(data_);
  for (ArrayBuilder& child : children_) child.finish(&exported.children.emplace_back());
  export_array(*type_, std::move(exported), out);
}

}  // namespace esker::nested
