// Values gathered from a column in pieces, and codes numbered by a hash table.
#include <map>
#include <stdexcept>

#include "batches.h"
#include "esker/error.h"
#include "esker/gather/column_pieces.h"
#include "esker/hash/code_table.h"

using esker::gather::ColumnPieces;
using esker::gather::Room;

namespace {

void test_texts_of_many_pieces_come_in_the_order_asked_for() {
  Chance chance(7);
  TestBatch one(chance, 100, 0, 10, 40);
  TestBatch other(chance, 57, 100, 10, 40);
  ColumnPieces pieces(column_type("text", "u"));
  pieces.add(one.view.columns[2], 100);
  pieces.add(other.view.columns[2], 57);
  CHECK(pieces.row_count() == 157);
  std::vector<std::int64_t> positions;
  for (int i = 0; i < 500; ++i) positions.push_back(static_cast<std::int64_t>(chance.below(158)) - 1);
  const auto found = pieces.find(positions);
  std::vector<std::int32_t> offsets(501);
  std::string text(static_cast<std::size_t>(found.data_bytes), '?');
  std::vector<std::uint8_t> validity(63);
  CHECK(pieces.values_bytes(500) == 501 * 4);
  pieces.copy(found, {reinterpret_cast<std::uint8_t*>(offsets.data()),
                      reinterpret_cast<std::uint8_t*>(text.data()), validity.data()});
  std::int64_t nulls = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    const std::int64_t row = positions[i];
    const auto& view = row < 100 ? one.view.columns[2] : other.view.columns[2];
    const bool valid = row >= 0 && view.valid(row < 100 ? row : row - 100);
    CHECK(esker::arrow::bit_at(validity.data(), static_cast<std::int64_t>(i)) == valid);
    nulls += valid ? 0 : 1;
    const std::string want = valid ? TestBatch::text_of(static_cast<std::uint64_t>(row), 40) : "";
    CHECK(text.substr(static_cast<std::size_t>(offsets[i]),
                      static_cast<std::size_t>(offsets[i + 1] - offsets[i])) == want);
  }
  CHECK(nulls == found.null_count);
}

void test_fixed_values_and_bits_are_gathered() {
  const std::vector<std::int64_t> positions{1, -1, 0, 2};
  const std::int32_t numbers[] = {7, 8, 9};
  const std::uint8_t bits = 0b101;
  ColumnPieces fixed(column_type("n", "i"));
  ColumnPieces truths(column_type("b", "b"));
  esker::arrow::ColumnView view;
  view.values = reinterpret_cast<const std::uint8_t*>(numbers);
  fixed.add(view, 3);
  view.values = &bits;
  truths.add(view, 3);
  std::int32_t values[4];
  fixed.copy(fixed.find(positions), {reinterpret_cast<std::uint8_t*>(values), nullptr, nullptr});
  CHECK(values[0] == 8 && values[1] == 0 && values[2] == 7 && values[3] == 9);
  std::uint8_t found = 0xFF;
  truths.copy(truths.find(positions), {&found, nullptr, nullptr});
  CHECK((found & 0xF) == 0b1100);
}

template <class Act>
bool refuses(Act act) {
  try {
    act();
  } catch (const std::invalid_argument&) {
    return true;
  } catch (const esker::UnsupportedType&) {
    return true;
  }
  return false;
}

void test_rows_that_are_not_there_and_views_are_refused() {
  const std::int32_t numbers[] = {7};
  ColumnPieces pieces(column_type("n", "i"));
  esker::arrow::ColumnView view;
  view.values = reinterpret_cast<const std::uint8_t*>(numbers);
  pieces.add(view, 1);
  for (const std::int64_t position : {std::int64_t{1}, std::int64_t{-2}}) {
    CHECK(refuses([&] { pieces.find(std::vector<std::int64_t>{position}); }));
  }
  CHECK(refuses([] { ColumnPieces views(column_type("v", "vu")); }));
}

void test_codes_are_numbered_in_the_order_they_come() {
  Chance chance(11);
  for (const std::uint64_t different : {1U, 5U, 3000U}) {
    std::vector<std::int64_t> codes;
    std::map<std::int64_t, std::int64_t> known;
    for (int i = 0; i < 2000; ++i) codes.push_back(static_cast<std::int64_t>(chance.below(different) << 40));
    std::vector<std::int64_t> numbers(codes.size());
    const esker::hash::CodeTable table(codes, numbers.data());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const auto number = known.try_emplace(codes[i], static_cast<std::int64_t>(known.size())).first->second;
      CHECK(numbers[i] == number);
    }
    CHECK(table.code_count() == static_cast<std::int64_t>(known.size()));
    codes.push_back(-1);
    numbers.push_back(0);
    table.find(codes, numbers.data());
    CHECK(numbers.back() == -1);
    CHECK(numbers[17] == known.at(codes[17]));
  }
  const esker::hash::CodeTable empty({}, nullptr);
  std::int64_t number = 0;
  empty.find(std::vector<std::int64_t>{0}, &number);
  CHECK(number == -1);
}

}  // namespace

int main() {
  test_texts_of_many_pieces_come_in_the_order_asked_for();
  test_fixed_values_and_bits_are_gathered();
  test_rows_that_are_not_there_and_views_are_refused();
  test_codes_are_numbered_in_the_order_they_come();
}
