#include <algorithm>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "esker/bitmap/column_writer.h"
#include "esker/bitmap/wah32.h"
#include "esker/error.h"

namespace {

using esker::BitmapCorrupt;
using esker::bitmap::unite_all;
using esker::bitmap::Wah32;
using esker::bitmap::Wah32ColumnWriter;
using esker::bitmap::Wah32Writer;
using Rows = std::vector<std::uint64_t>;
using Bits = std::vector<bool>;

// Stretches of zeros, ones and noise, so that fills begin and end anywhere.
Bits random_bits(Chance& chance, std::uint64_t row_count) {
  Bits bits;
  while (bits.size() < row_count) {
    const auto kind = chance.below(3);
    const auto length = 1 + chance.below(kind == 2 ? 40 : 200);
    for (std::uint64_t i = 0; i < length && bits.size() < row_count; ++i) {
      bits.push_back(kind == 1 || (kind == 2 && chance.below(2) != 0));
    }
  }
  return bits;
}

Rows rows_of(const Bits& bits) {
  Rows rows;
  for (std::uint64_t row = 0; row < bits.size(); ++row) {
    if (bits[row]) rows.push_back(row);
  }
  return rows;
}

Rows rows_of(const Wah32& vector) {
  Rows rows(vector.count());
  vector.positions(rows.data());
  return rows;
}

Wah32 encoded(const Bits& bits) {
  return Wah32::from_positions(rows_of(bits), bits.size());
}

bool same(const Wah32& a, const Wah32& b) {
  return a.row_count() == b.row_count() && a.count() == b.count() && std::ranges::equal(a.words(), b.words());
}

template <class Operation>
Bits zipped(const Bits& a, const Bits& b, Operation operation) {
  Bits out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = operation(bool(a[i]), bool(b[i]));
  return out;
}

// Same words as encoding the expected rows afresh: right, and in the one form.
void every_operation_agrees_with_bits() {
  Chance chance(1);
  for (int round = 0; round < 400; ++round) {
    const auto row_count = chance.below(round % 4 == 0 ? 70 : 3000);
    const Bits a = random_bits(chance, row_count);
    const Bits b = random_bits(chance, row_count);
    const Wah32 left = encoded(a);
    const Wah32 right = encoded(b);
    CHECK(rows_of(left) == rows_of(a));
    CHECK(same(left.intersect(right), encoded(zipped(a, b, [](bool x, bool y) { return x && y; }))));
    CHECK(same(left.unite(right), encoded(zipped(a, b, [](bool x, bool y) { return x || y; }))));
    CHECK(same(left.differ(right), encoded(zipped(a, b, [](bool x, bool y) { return x != y; }))));
    CHECK(same(left.subtract(right), encoded(zipped(a, b, [](bool x, bool y) { return x && !y; }))));
    CHECK(same(left.invert(), encoded(zipped(a, b, [](bool x, bool) { return !x; }))));
  }
}

void runs_and_positions_encode_alike() {
  Chance chance(2);
  for (int round = 0; round < 200; ++round) {
    const Bits bits = random_bits(chance, chance.below(2000));
    const Wah32 vector = encoded(bits);
    Rows starts;
    Rows stops;
    esker::bitmap::for_each_row_run<esker::bitmap::Groups31>(vector.runs(),
                                                             [&](std::uint64_t a, std::uint64_t b) {
                                                               CHECK(stops.empty() || a > stops.back());
                                                               starts.push_back(a);
                                                               stops.push_back(b);
                                                             });
    CHECK(same(Wah32::from_runs(starts, stops, bits.size()), vector));
  }
}

void a_wide_union_agrees_with_folding_whatever_plan_it_takes() {
  Chance chance(3);
  for (int round = 0; round < 60; ++round) {
    const auto row_count = 1 + chance.below(20'000);
    const bool sparse = round % 2 == 0;
    std::vector<Wah32> vectors;
    for (std::uint64_t i = 1 + chance.below(20); i != 0; --i) {
      vectors.push_back(sparse ? Wah32::from_positions(Rows{chance.below(row_count)}, row_count)
                               : encoded(random_bits(chance, row_count)));
    }
    Wah32 folded(row_count);
    std::vector<const Wah32*> pointers;
    for (const Wah32& vector : vectors) {
      folded = folded.unite(vector);
      pointers.push_back(&vector);
    }
    CHECK(same(unite_all(pointers), folded));
  }
}

void a_fill_too_long_for_its_count_is_split() {
  constexpr std::uint64_t kFillRows = std::uint64_t{0x3FFF'FFFF} * 31;
  const Wah32 none(kFillRows + 62);
  CHECK(none.words().size() == 2);
  const Wah32 all = none.invert();
  CHECK(all.words().size() == 2 && all.count() == kFillRows + 62 && all.all());
  CHECK(same(all.invert(), none));
  const Wah32 one = Wah32::from_positions(Rows{kFillRows}, kFillRows + 62);
  CHECK(one.words().size() == 3 && same(one.unite(all), all) && same(one.intersect(all), one));
  CHECK(same(Wah32::from_words({none.words().begin(), none.words().end()}, none.row_count()), none));
}

bool is_corrupt(std::vector<std::uint32_t> words, std::uint64_t row_count) {
  try {
    Wah32::from_words(std::move(words), row_count);
    return false;
  } catch (const BitmapCorrupt&) {
    return true;
  }
}

void words_not_in_the_one_form_are_corrupt() {
  CHECK(!is_corrupt({0x8000'0002, 1}, 93));
  CHECK(!is_corrupt({}, 0));
  CHECK(is_corrupt({1}, 0));                          // groups that are not there
  CHECK(is_corrupt({0x8000'0002}, 93));               // a group is missing
  CHECK(is_corrupt({0x8000'0003, 1}, 93));            // a group too many
  CHECK(is_corrupt({0x8000'0000, 1}, 31));            // an empty fill
  CHECK(is_corrupt({0}, 31));                         // zeros as a literal
  CHECK(is_corrupt({0x7FFF'FFFF}, 31));               // ones as a literal
  CHECK(is_corrupt({0x8000'0001, 0x8000'0001}, 62));  // fills to be merged
  CHECK(is_corrupt({2}, 1));                          // a row past the last
  CHECK(is_corrupt({0xC000'0001}, 30));               // the same in a fill
}

void any_words_give_a_value_or_corrupt() {
  Chance chance(4);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto row_count = chance.below(400);
    std::vector<std::uint32_t> words;
    for (auto length = chance.below(6); length != 0; --length) {
      const auto low = static_cast<std::uint32_t>(chance.below(8));
      words.push_back(chance.below(2) != 0 ? (static_cast<std::uint32_t>(chance.below(4)) << 30) | low
                                           : static_cast<std::uint32_t>(chance.next()));
    }
    try {
      const Wah32 vector = Wah32::from_words(words, row_count);
      CHECK(same(Wah32::from_positions(rows_of(vector), row_count), vector));
      ++accepted;
    } catch (const BitmapCorrupt&) {
    }
  }
  CHECK(accepted > 100);
}

template <class Call>
bool refused(Call call) {
  try {
    call();
    return false;
  } catch (const std::invalid_argument&) {
    return true;
  }
}

void rows_out_of_order_or_range_are_refused() {
  CHECK(refused([] { Wah32::from_positions(Rows{3, 3}, 9); }));
  CHECK(refused([] { Wah32::from_positions(Rows{9}, 9); }));
  CHECK(refused([] { Wah32::from_runs(Rows{1, 3}, Rows{4, 5}, 9); }));
  CHECK(refused([] { Wah32::from_runs(Rows{1}, Rows{10}, 9); }));
  CHECK(refused([] { Wah32(3).unite(Wah32(4)); }));
  CHECK(refused([] { unite_all({}); }));
}

void a_column_drained_on_the_way_gives_the_same_vectors() {
  Chance chance(5);
  for (int round = 0; round < 30; ++round) {
    constexpr std::int32_t kSlots = 5;
    Wah32ColumnWriter writer;
    std::vector<std::vector<std::uint32_t>> words(kSlots);
    std::vector<Rows> rows(kSlots);
    std::uint64_t row_count = 0;
    const auto take = [&words](const esker::bitmap::SlotWords& out) {
      for (std::size_t slot = 0; slot + 1 < out.offsets.size(); ++slot) {
        words[slot].insert(words[slot].end(),
                           out.words.begin() + static_cast<std::ptrdiff_t>(out.offsets[slot]),
                           out.words.begin() + static_cast<std::ptrdiff_t>(out.offsets[slot + 1]));
      }
    };
    for (int batch = 0; batch < 12; ++batch) {
      std::vector<std::int32_t> slots(chance.below(300));
      auto slot = static_cast<std::int32_t>(chance.below(kSlots));
      for (auto& each : slots) {
        if (chance.below(60) == 0) slot = static_cast<std::int32_t>(chance.below(kSlots));
        each = slot;
        rows[static_cast<std::size_t>(slot)].push_back(row_count +
                                                       static_cast<std::uint64_t>(&each - slots.data()));
      }
      writer.add(slots, row_count, kSlots);
      row_count += slots.size();
      if (chance.below(3) == 0) take(writer.drain());
    }
    take(writer.finish(row_count));
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      CHECK(same(Wah32::from_words(words[slot], row_count), Wah32::from_positions(rows[slot], row_count)));
    }
  }
  Wah32ColumnWriter writer;
  CHECK(refused([&writer] { writer.add(std::vector<std::int32_t>{0, 2}, 0, 2); }));
}

}  // namespace

int main() {
  every_operation_agrees_with_bits();
  runs_and_positions_encode_alike();
  a_wide_union_agrees_with_folding_whatever_plan_it_takes();
  a_fill_too_long_for_its_count_is_split();
  words_not_in_the_one_form_are_corrupt();
  any_words_give_a_value_or_corrupt();
  rows_out_of_order_or_range_are_refused();
  a_column_drained_on_the_way_gives_the_same_vectors();
}
