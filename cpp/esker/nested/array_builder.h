// Grows an array of any type from encoded items, and hands it over as an Arrow array.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "esker/nested/value_type.h"

namespace esker::nested {

// What is left of an encoded row. Every take checks that it is there, and throws PageCorrupt when it is not.
class RowReader {
 public:
  explicit RowReader(std::string_view bytes) : bytes_(bytes) {}

  std::string_view take(std::uint64_t size);
  std::uint8_t take_byte() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::uint64_t take_number();
  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

class ArrayBuilder {
 public:
  // `type` must live longer.
  explicit ArrayBuilder(const ValueType& type);

  // Appends `count` items. The bytes they were read from must outlive the builder.
  void append(RowReader& reader, std::uint64_t count);
  void append_null();
  std::int64_t length() const { return length_; }

  // Gives everything away.
  void finish(ArrowArray* out);

 private:
  void append_direct(RowReader& reader, std::uint64_t count);
  void append_items(RowReader& reader, std::uint64_t count, std::string_view nulls);
  void append_union(RowReader& reader);
  void append_dictionary(RowReader& reader);
  void append_run(RowReader& reader);
  void append_fixed(RowReader& reader, std::uint64_t count);
  void append_bits(RowReader& reader, std::uint64_t count);
  void append_sized(RowReader& reader);
  void append_view(std::string_view value);
  void append_offset();
  void append_empty();
  void push_integer(std::vector<std::uint8_t>& into, std::int64_t value) const;
  void grow(std::uint64_t count);
  void set_validity(std::int64_t item, bool valid);
  void push_bit(bool bit);

  const ValueType* type_;
  std::int64_t length_ = 0;
  std::int64_t null_count_ = 0;
  std::vector<std::uint8_t> validity_;  // empty while nothing is null
  std::vector<std::uint8_t> values_;    // bits, fixed values, views, offsets, indices or ids
  std::vector<std::uint8_t> data_;      // what strings hold, or the sizes of list views
  std::vector<ArrayBuilder> children_;
  std::unordered_map<std::string_view, std::int64_t> places_;  // of encoded values in the dictionary
  std::string_view last_run_;
};

}  // namespace esker::nested
