// Rows set in at least so many of the vectors (Kaser and Lemire, "Compressed bitmap indexes: beyond unions
// and intersections", 2014): counters of all rows of a window, held as bit slices, so that a word of 63 rows
// is counted in a few operations.
#include <bit>
#include <cstring>
#include <vector>

#include "esker/bitmap/operations.h"
#include "esker/bitmap/results.h"
#include "esker/bitmap/window.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

class Counters {
 public:
  Counters(std::size_t slices, std::uint64_t groups)
      : groups_(groups), words_(slices * groups), slices_(slices) {}

  void clear() { std::memset(words_.data(), 0, words_.size() * sizeof(std::uint64_t)); }

  void add(std::uint64_t group, std::uint64_t carry) {
    for (std::uint64_t* slice = words_.data() + group; carry != 0; slice += groups_) {
      const std::uint64_t before = *slice;
      *slice = before ^ carry;
      carry &= before;
    }
  }

  // The rows of a group whose counter is at least `least`: compared from the highest slice down.
  std::uint64_t at_least(std::uint64_t group, std::uint64_t least) const {
    std::uint64_t greater = 0;
    std::uint64_t equal = Groups63::kOnes;
    for (std::size_t slice = slices_; slice-- != 0;) {
      const std::uint64_t bits = words_.data()[slice * groups_ + group];
      if ((least >> slice & 1) != 0) {
        equal &= bits;
      } else {
        greater |= equal & bits;
        equal &= ~bits;
      }
    }
    return greater | equal;
  }

 private:
  std::uint64_t groups_;
  Buffer<std::uint64_t> words_;
  std::size_t slices_;
};

}  // namespace

Vector threshold(Vectors vectors, std::uint64_t least) {
  if (vectors.empty()) throw InvalidInput("a threshold needs at least one vector");
  if (least == 0) throw InvalidInput("a threshold is at least 1");
  const std::uint64_t row_count = vectors[0]->row_count();
  const Form form = vectors[0]->form();
  for (const Vector* vector : vectors) {
    check_row_counts(*vectors[0], *vector);
  }
  if (least > vectors.size()) return none(row_count, form);
  if (least == 1) return unite_all(vectors);
  if (least == vectors.size()) return intersect_all(vectors);

  std::vector<WindowReader> readers;
  readers.reserve(vectors.size());
  for (const Vector* vector : vectors) readers.emplace_back(*vector);
  const auto slices = static_cast<std::size_t>(std::bit_width(vectors.size()));
  std::uint64_t left = group_count<Groups63>(row_count);
  const std::uint64_t window = std::min(left, kWindowGroups / slices);
  Counters counters(slices, window);
  wah::Sink<Groups63> sink;
  std::uint64_t count = 0;
  while (left != 0) {
    const std::uint64_t size = std::min(left, window);
    counters.clear();
    for (WindowReader& reader : readers) {
      reader.read(size, [&counters](std::uint64_t offset, std::uint64_t word, std::uint64_t groups) {
        for (; groups != 0; --groups) counters.add(offset++, word);
      });
    }
    for (std::uint64_t group = 0; group != size; ++group) {
      const std::uint64_t word = counters.at_least(group, least);
      sink.add(word, 1);
      count += bits_set(word);
    }
    left -= size;
  }
  return settle(wah::Written<Groups63>{sink.take(), count}, row_count, form);
}

}  // namespace esker::bitmap
