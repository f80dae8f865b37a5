#include "esker/measure/tuples.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "esker/hash/row_hash.h"
#include "esker/measure/parts.h"

namespace esker::measure {
namespace {

// Marsaglia's xorshift64, with the multiplication that makes its high bits good (xorshift64*).
class Xorshift {
 public:
  Xorshift(std::uint64_t seed, std::uint64_t stream) : state_(hash::mix(hash::mix(seed + 1) + stream) | 1) {}

  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1D;
  }

 private:
  std::uint64_t state_;
};

// Sixteen letters, so that the bytes are text.
constexpr std::uint64_t as_letters(std::uint64_t word) {
  return (word & 0x0F0F'0F0F'0F0F'0F0F) | 0x6060'6060'6060'6060;
}

void fill(std::uint8_t* to, std::uint64_t size, bool letters, Xorshift& chance) {
  for (std::uint64_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    std::uint64_t word = chance.next();
    if (letters) word = as_letters(word);
    std::memcpy(to + at, &word, std::min<std::uint64_t>(sizeof word, size - at));
  }
}

void check(const Tuples& tuples) {
  const std::uint64_t rows = tuples.keys.size();
  if (tuples.offsets.empty()) {
    if (rows == 0 ? tuples.values.empty() : tuples.values.size() % rows == 0) return;
    throw std::invalid_argument("the rows do not share the bytes of the values evenly");
  }
  if (tuples.offsets.size() != rows + 1 || tuples.offsets.front() < 0 ||
      !std::is_sorted(tuples.offsets.begin(), tuples.offsets.end()) ||
      static_cast<std::uint64_t>(tuples.offsets.back()) > tuples.values.size()) {
    throw std::invalid_argument("the offsets do not fit the keys and values");
  }
}

}  // namespace

std::int32_t generate_offsets(std::span<std::int32_t> offsets, std::uint32_t min, std::uint32_t max,
                              std::uint64_t seed) {
  if (offsets.empty() || min > max) throw std::invalid_argument("no lengths to draw");
  Xorshift chance(seed, std::numeric_limits<std::uint64_t>::max());
  std::int64_t end = 0;
  offsets[0] = 0;
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    end += min + static_cast<std::int64_t>((chance.next() >> 32) * (std::uint64_t{max} - min + 1) >> 32);
    if (end > std::numeric_limits<std::int32_t>::max()) {
      throw std::invalid_argument("32-bit offsets do not hold so many bytes");
    }
    offsets[i] = static_cast<std::int32_t>(end);
  }
  return static_cast<std::int32_t>(end);
}

void generate(const Tuples& tuples, std::uint64_t seed, std::uint64_t batch_rows,
              std::uint32_t thread_count) {
  check(tuples);
  if (batch_rows == 0) throw std::invalid_argument("a batch without rows");
  const std::uint64_t rows = tuples.keys.size();
  const std::uint64_t width = rows > 0 ? tuples.values.size() / rows : 0;
  const auto place = [&](std::uint64_t row) {
    return tuples.offsets.empty() ? row * width : static_cast<std::uint64_t>(tuples.offsets[row]);
  };
  run_parts((rows + batch_rows - 1) / batch_rows, thread_count, [&](std::uint64_t batch) {
    Xorshift chance(seed, batch);
    const std::uint64_t begin = batch * batch_rows;
    const std::uint64_t end = std::min(begin + batch_rows, rows);
    for (std::uint64_t row = begin; row < end; ++row) {
      tuples.keys[row] = static_cast<std::uint32_t>(chance.next() >> 32);
    }
    if (!tuples.values.empty()) {
      fill(tuples.values.data() + place(begin), place(end) - place(begin), !tuples.offsets.empty(), chance);
    }
  });
}

}  // namespace esker::measure
