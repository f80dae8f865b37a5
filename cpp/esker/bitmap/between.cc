// Bit-sliced range (O'Neil and Quass, "Improved query performance with variant indexes", 1997): as many words
// are read as the numbers have bits, however many values the range has.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "esker/bitmap/operations.h"
#include "esker/bitmap/results.h"
#include "esker/bitmap/window.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

// Five arrays of 4 KiB: they stay in the first-level cache while all slices go by.
constexpr std::uint64_t kGroups = 512;

// A slice's words, window by window: where they lie if it is dense, unpacked if not.
class SliceWords {
 public:
  explicit SliceWords(const Vector& slice) {
    if (slice.encoding() == Encoding::dense) {
      at_ = slice.words<std::uint64_t>().data();
    } else {
      reader_.emplace(slice);
      window_.resize(kGroups);
    }
  }

  const std::uint64_t* next(std::uint64_t size) {
    if (!reader_) return std::exchange(at_, at_ + size);
    std::memset(window_.data(), 0, size * sizeof(std::uint64_t));
    reader_->read(size, [this](std::uint64_t offset, std::uint64_t word, std::uint64_t groups) {
      std::fill_n(window_.data() + offset, groups, word);
    });
    return window_.data();
  }

 private:
  const std::uint64_t* at_ = nullptr;
  std::optional<WindowReader> reader_;
  Buffer<std::uint64_t> window_;
};

}  // namespace

Vector between(Vectors slices, std::uint64_t low, std::uint64_t high) {
  if (slices.empty() || slices.size() > 64) throw InvalidInput("numbers have 1 to 64 slices");
  for (const Vector* slice : slices) check_row_counts(*slices[0], *slice);
  const std::uint64_t row_count = slices[0]->row_count();
  const Form form = slices[0]->form();
  const std::uint64_t highest =
      slices.size() == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << slices.size()) - 1;
  if (low > high || low > highest) return none(row_count, form);
  high = std::min(high, highest);

  std::vector<SliceWords> words;
  words.reserve(slices.size());
  for (const Vector* slice : slices) words.emplace_back(*slice);
  const std::uint64_t groups = group_count<Groups63>(row_count);
  Buffer<std::uint64_t> out(groups);
  std::uint64_t greater[kGroups];
  std::uint64_t equal_low[kGroups];
  std::uint64_t less[kGroups];
  std::uint64_t equal_high[kGroups];
  for (std::uint64_t group = 0; group != groups;) {
    const std::uint64_t size = std::min(kGroups, groups - group);
    std::fill_n(greater, size, 0);
    std::fill_n(less, size, 0);
    std::fill_n(equal_low, size, Groups63::kOnes);
    std::fill_n(equal_high, size, Groups63::kOnes);
    for (std::size_t bit = slices.size(); bit-- != 0;)
      compare_words({greater, equal_low, less, equal_high}, words[bit].next(size), (low >> bit & 1) != 0,
                    (high >> bit & 1) != 0, size);
    unite_words(greater, equal_low, size);
    unite_words(less, equal_high, size);
    combine_words(Operation::intersect, greater, less, out.data() + group, size);
    group += size;
  }
  if (groups != 0) out.back() &= last_group_mask<Groups63>(row_count);
  const Tally tally = tally_words(out.data(), groups);
  return settle(std::move(out), tally, row_count, form);
}

}  // namespace esker::bitmap
