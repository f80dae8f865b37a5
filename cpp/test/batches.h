// Arrow batches made by hand, for tests that know no Arrow library.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "esker/arrow/batch_view.h"

// The type of a column as a schema would give it.
inline esker::arrow::ColumnType column_type(const char* name, const char* format, bool nullable = true) {
  ArrowSchema field{};
  field.format = format;
  field.name = name;
  field.flags = nullable ? ARROW_FLAG_NULLABLE : 0;
  ArrowSchema* children[] = {&field};
  ArrowSchema schema{};
  schema.format = "+s";
  schema.n_children = 1;
  schema.children = children;
  return esker::arrow::columns_of(schema)[0];
}

// A batch of three columns: an int32 key, a uint64 row number, a string with nulls. `view` borrows from it.
class TestBatch {
 public:
  TestBatch(Chance& chance, std::int64_t row_count, std::uint64_t first_number, std::uint64_t key_count,
            std::uint64_t length_max) {
    offsets_.push_back(0);
    validity_.resize(static_cast<std::size_t>(row_count / 8 + 1));
    for (std::int64_t row = 0; row < row_count; ++row) {
      keys_.push_back(static_cast<std::int32_t>(chance.below(key_count)));
      numbers_.push_back(first_number + static_cast<std::uint64_t>(row));
      const bool valid = chance.below(8) != 0;
      if (valid) {
        validity_[static_cast<std::size_t>(row / 8)] |= static_cast<std::uint8_t>(1 << (row % 8));
        text_ += text_of(numbers_.back(), length_max);
      }
      offsets_.push_back(static_cast<std::int32_t>(text_.size()));
    }
    view.row_count = row_count;
    view.columns.resize(3);
    view.columns[0].values = bytes(keys_.data());
    view.columns[1].values = bytes(numbers_.data());
    view.columns[2].values = bytes(offsets_.data());
    view.columns[2].data = bytes(text_.data());
    view.columns[2].validity = validity_.data();
  }
  TestBatch(const TestBatch&) = delete;
  TestBatch& operator=(const TestBatch&) = delete;

  static std::vector<esker::arrow::ColumnType> columns() {
    return {column_type("key", "i"), column_type("number", "L", false), column_type("text", "u")};
  }

  // The string of a row follows from its number.
  static std::string text_of(std::uint64_t number, std::uint64_t length_max) {
    return std::string(Chance(number).below(length_max + 1), static_cast<char>('a' + number % 26));
  }

  std::int32_t key(std::size_t row) const { return keys_[row]; }
  bool text_valid(std::size_t row) const { return ((validity_[row / 8] >> (row % 8)) & 1) != 0; }

  esker::arrow::BatchView view;

 private:
  template <class Item>
  static const std::uint8_t* bytes(const Item* items) {
    return reinterpret_cast<const std::uint8_t*>(items);
  }

  std::vector<std::int32_t> keys_;
  std::vector<std::uint64_t> numbers_;
  std::vector<std::int32_t> offsets_;
  std::vector<std::uint8_t> validity_;
  std::string text_;
};
