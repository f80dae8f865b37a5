// Nested rows, encoded and decoded; damaged ones are refused without a bad read.
#include <array>

#include "batches.h"
#include "esker/error.h"
#include "esker/nested/decode_rows.h"
#include "esker/nested/encode_rows.h"

namespace nested = esker::nested;
using esker::arrow::Source;

namespace {

// A column of lists of structs: [{7, "a string beyond a view"}, null], null, [], [{null, ""}], all by hand.
class Lists {
 public:
  Lists() {
    set(number_, 3, {validity(0b001), numbers_.data()});
    set(text_, 3, {nullptr, text_offsets_.data(), kText});
    set(item_, 3, {validity(0b101)});
    item_.n_children = 2;
    item_.children = fields_.data();
    set(list_, 4, {validity(0b1101), offsets_.data()});
    list_.n_children = 1;
    list_.children = items_.data();
    name(number_type_, "i");
    name(text_type_, "u");
    name(item_type_, "+s");
    item_type_.n_children = 2;
    item_type_.children = field_types_.data();
    name(list_type_, "+l");
    list_type_.n_children = 1;
    list_type_.children = item_types_.data();
    type = nested::value_type_of(list_type_);
  }
  Lists(const Lists&) = delete;

  ArrowArray& array() { return list_; }

  nested::ValueType type;

 private:
  static constexpr const char* kText = "a string beyond a view";

  const void* validity(std::uint8_t bits) {
    validities_.push_back(std::make_unique<std::uint8_t>(bits));
    return validities_.back().get();
  }

  void set(ArrowArray& array, std::int64_t length, std::vector<const void*> buffers) {
    buffers_.push_back(std::make_unique<std::vector<const void*>>(std::move(buffers)));
    array.length = length;
    array.null_count = -1;
    array.n_buffers = static_cast<std::int64_t>(buffers_.back()->size());
    array.buffers = buffers_.back()->data();
  }

  static void name(ArrowSchema& schema, const char* format) {
    schema.format = format;
    schema.flags = ARROW_FLAG_NULLABLE;
  }

  std::array<std::int32_t, 3> numbers_{7, 0, 0};
  std::array<std::int32_t, 4> text_offsets_{0, 22, 22, 22};
  std::array<std::int32_t, 5> offsets_{0, 2, 2, 2, 3};
  std::vector<std::unique_ptr<std::uint8_t>> validities_;
  std::vector<std::unique_ptr<std::vector<const void*>>> buffers_;
  ArrowArray number_{}, text_{}, item_{}, list_{};
  ArrowSchema number_type_{}, text_type_{}, item_type_{}, list_type_{};
  std::array<ArrowArray*, 2> fields_{&number_, &text_};
  std::array<ArrowArray*, 1> items_{&item_};
  std::array<ArrowSchema*, 2> field_types_{&number_type_, &text_type_};
  std::array<ArrowSchema*, 1> item_types_{&item_type_};
};

// Decodes, encodes what came out, and releases it.
nested::EncodedRows again(const nested::ValueType& type, const nested::EncodedRows& rows) {
  esker::arrow::BatchView batch;
  batch.row_count = static_cast<std::int64_t>(rows.offsets.size()) - 1;
  batch.columns.resize(1);
  batch.columns[0].values = reinterpret_cast<const std::uint8_t*>(rows.offsets.data());
  batch.columns[0].data = rows.bytes.data();
  ArrowArray out{};
  nested::decode_rows(type, batch, column_type("x", "Z", false), &out);
  auto found = nested::encode_rows(nested::value_view(out, type), false);
  out.release(&out);
  return found;
}

void test_decoded_rows_encode_to_the_same_bytes() {
  Lists lists;
  const auto rows = nested::encode_rows(nested::value_view(lists.array(), lists.type), false);
  CHECK(rows.offsets.size() == 5);
  CHECK(rows.bytes[0] == nested::kEncodingVersion);
  const auto found = again(lists.type, rows);
  CHECK(found.bytes == rows.bytes);
  CHECK(found.offsets == rows.offsets);
}

void test_a_slice_encodes_like_the_rows_it_has() {
  Lists lists;
  const auto all = nested::encode_rows(nested::value_view(lists.array(), lists.type), false);
  lists.array().offset = 2;
  lists.array().length = 2;
  const auto part = nested::encode_rows(nested::value_view(lists.array(), lists.type), false);
  CHECK(
      std::equal(part.bytes.begin(), part.bytes.end(), all.bytes.begin() + all.offsets[2], all.bytes.end()));
}

void test_damaged_rows_are_refused_or_decode_to_something_sound() {
  Lists lists;
  const auto rows = nested::encode_rows(nested::value_view(lists.array(), lists.type), false);
  Chance chance(29);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    // Exactly as long as it is, so that the sanitizer sees a byte too far.
    nested::EncodedRows damaged = rows;
    for (auto count = 1 + chance.below(3); count > 0; --count) {
      damaged.bytes[chance.below(damaged.bytes.size())] ^= static_cast<std::uint8_t>(1U << chance.below(8));
    }
    if (chance.below(4) == 0) damaged.offsets.back() -= 1;
    try {
      again(lists.type, damaged);
    } catch (const esker::PageCorrupt&) {
      ++refused;
    }
  }
  CHECK(refused > 5'000);
}

void test_a_child_that_is_too_short_is_refused() {
  Lists lists;
  lists.array().children[0]->length = 2;
  bool refused = false;
  try {
    nested::encode_rows(nested::value_view(lists.array(), lists.type), false);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace

int main() {
  test_decoded_rows_encode_to_the_same_bytes();
  test_a_slice_encodes_like_the_rows_it_has();
  test_damaged_rows_are_refused_or_decode_to_something_sound();
  test_a_child_that_is_too_short_is_refused();
}
