// What every encoding owes, and every profile: operations agree with bits, whatever the other operand's form.
#include <optional>

#include "bitmap_vectors.h"
#include "esker/bitmap/column_writer.h"
#include "esker/bitmap/narrowing.h"

using namespace esker::bitmap;

namespace {

template <class Each>
Bits zipped(const Bits& a, const Bits& b, Each each) {
  Bits out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = each(bool(a[i]), bool(b[i]));
  return out;
}

void every_pair_of_forms_agrees_with_bits() {
  Chance chance(1);
  const auto forms = every_form();
  for (int round = 0; round < 12; ++round) {
    const auto row_count = chance.below(round % 4 == 0 ? 130 : 9000);
    const Bits a = random_bits(chance, row_count);
    const Bits b = random_bits(chance, row_count);
    for (const Form& left_form : forms) {
      const Vector left = vector_of(a, left_form);
      CHECK(is(left, a));
      CHECK(is(invert(left), zipped(a, a, [](bool x, bool) { return !x; })));
      for (const Form& right_form : forms) {
        const Vector right = vector_of(b, right_form);
        const Bits both = zipped(a, b, [](bool x, bool y) { return x && y; });
        CHECK(is(combine(Operation::intersect, left, right), both));
        CHECK(
            is(combine(Operation::unite, left, right), zipped(a, b, [](bool x, bool y) { return x || y; })));
        CHECK(
            is(combine(Operation::differ, left, right), zipped(a, b, [](bool x, bool y) { return x != y; })));
        CHECK(is(combine(Operation::subtract, left, right),
                 zipped(a, b, [](bool x, bool y) { return x && !y; })));
        CHECK(intersect_count(left, right) == rows_of(both).size());
        CHECK(same_rows(left, right) == (a == b));
        CHECK(is(encoded(left, right_form), a));
      }
    }
  }
}

Vector narrowed(const Vector& rows, std::vector<const Vector*> vectors, bool inside) {
  const Vector* begin = &rows;
  Narrowing narrowing(Vectors(&begin, 1));
  inside ? narrowing.within(vectors) : narrowing.outside(vectors);
  return std::move(narrowing).take();
}

// Long enough for directories of several blocks, and for leaps in them.
void long_vectors_agree_with_bits() {
  Chance chance(2);
  for (int round = 0; round < 12; ++round) {
    const std::uint64_t row_count = 300'000 + chance.below(100'000);
    Bits a(row_count);
    Bits b(row_count);
    for (auto n = 1 + chance.below(4000); n != 0; --n) a[chance.below(row_count)] = true;
    for (auto n = 1 + chance.below(round % 2 == 0 ? 20 : 4000); n != 0; --n)
      b[chance.below(row_count)] = true;
    if (round % 3 == 0) {
      const auto start = chance.below(row_count / 2);
      std::fill_n((round % 2 == 0 ? a : b).begin() + static_cast<std::ptrdiff_t>(start), row_count / 3, true);
    }
    for (const auto encoding : {Encoding::wah32, Encoding::wah64, Encoding::gap_run}) {
      for (const auto other : {Encoding::wah32, Encoding::wah64, Encoding::gap_run}) {
        const Vector left = vector_of(a, Form::fixed(encoding));
        const Vector right = vector_of(b, Form::fixed(other));
        const Bits both = zipped(a, b, [](bool x, bool y) { return x && y; });
        CHECK(is(combine(Operation::intersect, left, right), both));
        CHECK(
            is(combine(Operation::unite, right, left), zipped(a, b, [](bool x, bool y) { return x || y; })));
        CHECK(intersect_count(left, right) == rows_of(both).size());
        CHECK(same_rows(narrowed(left, {&right}, true), combine(Operation::intersect, left, right)));
      }
      const Vector vector = vector_of(a, Form::fixed(encoding));
      for (std::uint64_t row = 0; row < row_count; row += 1 + chance.below(1000))
        CHECK(contains(vector, row) == a[row]);
    }
  }
}

// Few rows or many at first, so that they are looked up from the beginning, later, or never.
void narrowing_agrees_with_bits() {
  Chance chance(7);
  const auto forms = every_form();
  for (int round = 0; round < 150; ++round) {
    const auto row_count = 1 + chance.below(round % 3 == 0 ? 200 : 60'000);
    const auto random = [&] {
      if (chance.below(2) == 0) return random_bits(chance, row_count);
      Bits sparse(row_count);
      for (auto n = chance.below(40); n != 0; --n) sparse[chance.below(row_count)] = true;
      return sparse;
    };
    const bool mixed = chance.below(2) == 0;
    const Form form = forms[chance.below(forms.size())];
    std::optional<Narrowing> narrowing;
    Bits left(row_count, true);
    std::vector<std::unique_ptr<Vector>> held;
    for (auto steps = 1 + chance.below(4); steps != 0; --steps) {
      Bits all(row_count);
      std::vector<const Vector*> vectors;
      for (auto n = 1 + chance.below(5); n != 0; --n) {
        const Bits bits = random();
        all = zipped(all, bits, [](bool x, bool y) { return x || y; });
        const Form chosen = mixed ? forms[chance.below(forms.size())] : form;
        held.push_back(std::make_unique<Vector>(vector_of(bits, chosen)));
        vectors.push_back(held.back().get());
      }
      const bool inside = !narrowing || chance.below(3) != 0;
      left = zipped(left, all, [inside](bool x, bool y) { return x && y == inside; });
      if (!narrowing) {
        narrowing.emplace(vectors);
      } else if (inside) {
        narrowing->within(vectors);
      } else {
        narrowing->outside(vectors);
      }
      CHECK(narrowing->count() == rows_of(left).size());
    }
    CHECK(is(std::move(*narrowing).take(), left));
  }
}

void reading_agrees_with_rows() {
  Chance chance(3);
  for (int round = 0; round < 20; ++round) {
    const Bits bits = random_bits(chance, chance.below(3000));
    const Rows rows = rows_of(bits);
    for (const Form& form : every_form()) {
      const Vector vector = vector_of(bits, form);
      Buffer<std::uint64_t> starts;
      Buffer<std::uint64_t> stops;
      row_runs(vector, starts, stops);
      for (std::size_t i = 1; i < starts.size(); ++i) CHECK(starts.data()[i] > stops.data()[i - 1]);
      const Vector again = from_runs(starts.span(), stops.span(), bits.size(), form);
      CHECK(again.encoding() == vector.encoding() && std::ranges::equal(again.data(), vector.data()));
      for (std::size_t i = 0; i < rows.size(); i += 7) {
        CHECK(select(vector, i) == rows[i]);
        CHECK(rank(vector, rows[i]) == i && rank(vector, rows[i] + 1) == i + 1);
      }
      for (std::size_t row = 0; row < bits.size(); row += 3) CHECK(contains(vector, row) == bits[row]);
      CHECK(!contains(vector, bits.size()));
      RowCursor cursor(vector);
      Rows read(rows.size() + 5);
      std::size_t size = 0;
      while (const std::size_t more =
                 cursor.read(read.data() + size, std::min<std::size_t>(5, read.size() - size)))
        size += more;
      read.resize(size);
      CHECK(read == rows);
    }
  }
}

void wide_operations_agree_with_counting_whatever_plan_they_take() {
  Chance chance(4);
  for (int round = 0; round < 40; ++round) {
    const auto row_count = 1 + chance.below(20'000);
    const bool sparse = round % 2 == 0;
    const auto forms = every_form();
    std::vector<Vector> vectors;
    std::vector<std::size_t> counts(row_count);
    for (std::uint64_t i = 1 + chance.below(20); i != 0; --i) {
      Bits bits(row_count);
      if (sparse) {
        bits[chance.below(row_count)] = true;
      } else {
        bits = random_bits(chance, row_count);
      }
      for (std::size_t row = 0; row < row_count; ++row) counts[row] += bits[row] ? 1 : 0;
      vectors.push_back(vector_of(bits, forms[chance.below(round % 4 < 2 ? 3 : forms.size())]));
    }
    std::vector<const Vector*> pointers;
    for (const Vector& vector : vectors) pointers.push_back(&vector);
    for (std::size_t least = 1; least <= vectors.size() + 1; ++least) {
      Bits expected(row_count);
      for (std::size_t row = 0; row < row_count; ++row) expected[row] = counts[row] >= least;
      CHECK(is(threshold(pointers, least), expected));
      if (least == 1) CHECK(is(unite_all(pointers), expected));
      if (least == vectors.size()) CHECK(is(intersect_all(pointers), expected));
    }
    const Vectors all(pointers);
    const Vectors bounds[] = {all, all.first(1), all.first((all.size() + 1) / 2)};
    const Vector expected = combine(Operation::intersect, unite_all(bounds[2]), vectors[0]);
    CHECK(same_rows(ranges(bounds), expected) && count_ranges(bounds) == expected.count());
    CHECK(count_ranges(std::span(bounds).first(1)) == unite_all(all).count());
  }
}

void numbers_in_slices_are_compared_as_numbers() {
  Chance chance(6);
  const auto forms = every_form();
  for (int round = 0; round < 60; ++round) {
    const auto row_count = chance.below(60'000);
    const auto bits = 1 + chance.below(round % 5 == 0 ? 64 : 9);
    const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    Rows numbers(row_count);
    for (auto& number : numbers) number = chance.next() & mask;
    std::vector<Vector> slices;
    std::vector<const Vector*> pointers;
    for (std::uint64_t bit = 0; bit < bits; ++bit) {
      Bits slice(row_count);
      for (std::size_t row = 0; row < row_count; ++row) slice[row] = (numbers[row] >> bit & 1) != 0;
      slices.push_back(vector_of(slice, forms[chance.below(forms.size())]));
    }
    for (const Vector& slice : slices) pointers.push_back(&slice);
    const std::uint64_t low = chance.next() & mask;
    const std::uint64_t high = round % 3 == 0 ? low + chance.below(5) : chance.next() & mask;
    Bits expected(row_count);
    for (std::size_t row = 0; row < row_count; ++row)
      expected[row] = low <= numbers[row] && numbers[row] <= high;
    CHECK(is(between(pointers, low, high), expected));
  }
}

void a_union_of_more_groups_than_are_done_at_once_is_done_in_windows() {
  const std::uint64_t row_count = std::uint64_t{63} * ((std::uint64_t{1} << 22) + 1000);
  std::vector<Vector> vectors;
  Rows expected;
  for (std::uint64_t k = 0; k < 40; ++k) {
    Rows rows;
    for (std::uint64_t row = k; row < row_count; row += 2000) rows.push_back(row);
    expected.insert(expected.end(), rows.begin(), rows.end());
    vectors.push_back(from_positions(rows, row_count, Form::automatic(Profile::speed)));
  }
  std::ranges::sort(expected);
  std::vector<const Vector*> pointers;
  for (const Vector& vector : vectors) pointers.push_back(&vector);
  CHECK(rows_of(unite_all(pointers)) == expected);
}

void fills_too_long_for_their_count_are_split() {
  constexpr std::uint64_t kFillRows = std::uint64_t{0x3FFF'FFFF} * 31;
  const std::uint64_t row_count = kFillRows + 62;
  const Vector none = from_positions({}, row_count, Form::fixed(Encoding::wah32));
  CHECK(none.words<std::uint32_t>().size() == 2);
  const Vector all = invert(none);
  CHECK(all.words<std::uint32_t>().size() == 2 && all.all());
  CHECK(same_rows(invert(all), none));
  const Vector one = from_positions(Rows{kFillRows}, row_count, Form::fixed(Encoding::wah32));
  CHECK(one.words<std::uint32_t>().size() == 3);
  CHECK(same_rows(combine(Operation::unite, one, all), all));
  CHECK(same_rows(combine(Operation::intersect, one, all), one));
  CHECK(same_rows(from_data(none.data(), row_count, Encoding::wah32, none.form()), none));
}

bool is_corrupt(std::vector<std::uint32_t> words, std::uint64_t row_count) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(words.data());
  try {
    from_data({bytes, words.size() * 4}, row_count, Encoding::wah32, Form::fixed(Encoding::wah32));
    return false;
  } catch (const esker::BitmapCorrupt&) {
    return true;
  }
}

void words_not_in_the_one_form_are_corrupt() {
  CHECK(!is_corrupt({0x8000'0002}, 62));
  CHECK(is_corrupt({0x8000'0002}, 31));               // too many groups
  CHECK(is_corrupt({0x8000'0001}, 62));               // too few
  CHECK(is_corrupt({0x8000'0000, 1}, 31));            // an empty fill
  CHECK(is_corrupt({0}, 31));                         // zeros as a literal
  CHECK(is_corrupt({0x7FFF'FFFF}, 31));               // ones as a literal
  CHECK(is_corrupt({0x8000'0001, 0x8000'0001}, 62));  // fills to be merged
  CHECK(is_corrupt({2}, 1));                          // a row past the last
  CHECK(is_corrupt({0xC000'0001}, 30));               // the same in a fill
}

template <class Call>
bool refused(Call call) {
  try {
    call();
    return false;
  } catch (const esker::InvalidInput&) {
    return true;
  }
}

void what_does_not_fit_is_refused() {
  for (const Form& form : every_form()) {
    CHECK(refused([&] { from_positions(Rows{3, 3}, 9, form); }));
    CHECK(refused([&] { from_positions(Rows{9}, 9, form); }));
    CHECK(refused([&] { from_runs(Rows{1, 3}, Rows{4, 5}, 9, form); }));
    CHECK(refused([&] { from_runs(Rows{1}, Rows{10}, 9, form); }));
    const Vector three = from_positions({}, 3, form);
    const Vector four = from_positions({}, 4, form);
    const Vector* const both[] = {&three, &four};
    CHECK(refused([&] { combine(Operation::unite, three, four); }));
    CHECK(refused([&] { unite_all(both); }));
    CHECK(refused([&] { intersect_all(both); }));
    CHECK(refused([&] { threshold(both, 2); }));
  }
  CHECK(refused([] { unite_all({}); }));
  CHECK(refused([] { ranges({}); }));
  CHECK(refused([] { threshold({}, 1); }));
}

void a_column_drained_on_the_way_gives_the_same_vectors() {
  Chance chance(5);
  for (int round = 0; round < 30; ++round) {
    constexpr std::int32_t kSlots = 5;
    Wah32ColumnWriter writer;
    std::vector<std::vector<std::uint32_t>> words(kSlots);
    std::vector<Rows> rows(kSlots);
    std::uint64_t row_count = 0;
    const auto take = [&words](const SlotWords& out) {
      for (std::size_t slot = 0; slot + 1 < out.offsets.size(); ++slot)
        words[slot].insert(words[slot].end(),
                           out.words.begin() + static_cast<std::ptrdiff_t>(out.offsets[slot]),
                           out.words.begin() + static_cast<std::ptrdiff_t>(out.offsets[slot + 1]));
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
      const auto expected = from_positions(rows[slot], row_count, Form::fixed(Encoding::wah32));
      CHECK(std::ranges::equal(expected.words<std::uint32_t>(), words[slot]));
    }
  }
  Wah32ColumnWriter writer;
  CHECK(refused([&writer] { writer.add(std::vector<std::int32_t>{0, 2}, 0, 2); }));
}

void vectors_put_behind_give_the_same_column_as_their_rows() {
  Chance chance(6);
  for (int round = 0; round < 60; ++round) {
    constexpr std::int32_t kSlots = 4;
    Wah32ColumnWriter of_rows;
    Wah32ColumnWriter of_vectors;
    std::uint64_t row_count = 0;
    for (int batch = 0; batch < 10; ++batch) {
      std::vector<std::int32_t> slots(chance.below(400));
      auto slot = static_cast<std::int32_t>(chance.below(kSlots));
      for (auto& each : slots) {
        if (chance.below(round % 2 == 0 ? 2 : 90) == 0)
          slot = static_cast<std::int32_t>(chance.below(kSlots));
        each = slot;
      }
      of_rows.add(slots, row_count, kSlots);
      Wah32ColumnWriter part;
      // The part knows the slots by other numbers.
      std::vector<std::int32_t> turned(slots);
      for (auto& each : turned) each = kSlots - 1 - each;
      part.add(turned, 0, kSlots);
      const SlotWords made = part.finish(slots.size());
      of_vectors.add_vectors(made.words, made.offsets, std::vector<std::int32_t>{3, 2, 1, 0}, row_count,
                             slots.size(), kSlots);
      row_count += slots.size();
    }
    const SlotWords expected = of_rows.finish(row_count);
    const SlotWords found = of_vectors.finish(row_count);
    CHECK(found.words == expected.words);
    CHECK(found.offsets == expected.offsets);
  }
}

void vectors_that_are_not_those_of_a_batch_are_refused() {
  Wah32ColumnWriter part;
  part.add(std::vector<std::int32_t>{0, 1, 0}, 0, 2);
  const SlotWords made = part.finish(3);
  const std::vector<std::int32_t> slots{0, 1};
  Wah32ColumnWriter writer;
  const auto refuses = [&](const auto& words, const auto& offsets, const auto& to, std::uint64_t rows) {
    return refused([&] { writer.add_vectors(words, offsets, to, 0, rows, 2); });
  };
  CHECK(refuses(made.words, made.offsets, std::vector<std::int32_t>{0, 2}, 3));
  CHECK(refuses(made.words, made.offsets, std::vector<std::int32_t>{0}, 3));
  CHECK(refuses(made.words, std::vector<std::uint64_t>{0, 9, made.words.size()}, slots, 3));
  CHECK(refuses(made.words, std::vector<std::uint64_t>{}, slots, 3));
  const auto corrupt = [&](const auto& words, std::uint64_t rows) {
    try {
      writer.add_vectors(words, made.offsets, slots, 0, rows, 2);
    } catch (const esker::BitmapCorrupt&) {
      return true;
    }
    return false;
  };
  CHECK(corrupt(made.words, 2));
  CHECK(corrupt(made.words, 4));
  CHECK(corrupt(std::vector<std::uint32_t>{1, 2}, 3));
  writer.add_vectors(made.words, made.offsets, slots, 0, 3, 2);
  CHECK(refused([&] { writer.add_vectors(made.words, made.offsets, slots, 2, 3, 2); }));
}

}  // namespace

int main() {
  every_pair_of_forms_agrees_with_bits();
  long_vectors_agree_with_bits();
  narrowing_agrees_with_bits();
  reading_agrees_with_rows();
  wide_operations_agree_with_counting_whatever_plan_they_take();
  numbers_in_slices_are_compared_as_numbers();
  a_union_of_more_groups_than_are_done_at_once_is_done_in_windows();
  fills_too_long_for_their_count_are_split();
  words_not_in_the_one_form_are_corrupt();
  what_does_not_fit_is_refused();
  a_column_drained_on_the_way_gives_the_same_vectors();
  vectors_put_behind_give_the_same_column_as_their_rows();
  vectors_that_are_not_those_of_a_batch_are_refused();
}
