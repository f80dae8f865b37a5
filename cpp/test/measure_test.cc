// The generator gives the same tuples whatever the threads do, and stays within its spans; so does the copy.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "esker/measure/copy.h"
#include "esker/measure/tuples.h"

using esker::measure::generate;
using esker::measure::generate_offsets;

namespace {

struct Made {
  std::vector<std::uint32_t> keys;
  std::vector<std::uint8_t> values;
  std::vector<std::int32_t> offsets;

  bool operator==(const Made&) const = default;
};

Made made(std::size_t rows, std::size_t width, bool text, std::uint32_t thread_count) {
  Made out{std::vector<std::uint32_t>(rows), std::vector<std::uint8_t>(rows * width), {}};
  if (text) {
    out.offsets.resize(rows + 1);
    out.values.resize(static_cast<std::size_t>(generate_offsets(out.offsets, 3, 9, 1)));
  }
  generate({out.keys, out.values, out.offsets}, 1, 100, thread_count);
  return out;
}

void test_tuples_do_not_depend_on_the_threads() {
  for (const std::size_t rows : {0, 1, 99, 100, 101, 1000}) {
    for (const std::size_t width : {0, 1, 8, 12, 13}) {
      CHECK(made(rows, width, false, 1) == made(rows, width, false, 4));
    }
    CHECK(made(rows, 0, true, 1) == made(rows, 0, true, 4));
  }
}

void test_texts_are_letters_and_keys_differ() {
  Made text = made(1000, 0, true, 2);
  CHECK(std::all_of(text.values.begin(), text.values.end(),
                    [](auto byte) { return byte >= 0x60 && byte < 0x70; }));
  std::sort(text.keys.begin(), text.keys.end());
  CHECK(std::adjacent_find(text.keys.begin(), text.keys.end()) == text.keys.end());
}

void test_sizes_that_do_not_fit_are_refused() {
  std::vector<std::uint32_t> keys(2);
  std::vector<std::uint8_t> values(3);
  bool refused = false;
  try {
    generate({keys, values, {}}, 1, 100, 1);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  CHECK(refused);
}

void test_copies_are_whole() {
  for (const std::size_t size : {0, 1, 4095, 4096, 4097, 50'000}) {
    std::vector<std::uint8_t> from(size);
    for (std::size_t i = 0; i < size; ++i) from[i] = static_cast<std::uint8_t>(i * 7);
    for (const std::uint32_t thread_count : {1, 2, 5}) {
      std::vector<std::uint8_t> to(size);
      esker::measure::copy(from.data(), to.data(), size, thread_count, 2);
      CHECK(to == from);
    }
  }
}

}  // namespace

int main() {
  test_tuples_do_not_depend_on_the_threads();
  test_texts_are_letters_and_keys_differ();
  test_sizes_that_do_not_fit_are_refused();
  test_copies_are_whole();
}
