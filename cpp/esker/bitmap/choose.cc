#include "esker/bitmap/choose.h"

#include <algorithm>

#include "esker/bitmap/codecs.h"

namespace esker::bitmap {
namespace {

// Bytes of a varint whose first byte has `flags` bits below it.
std::uint64_t varint_bytes(std::uint64_t value, std::uint64_t flags) {
  return (static_cast<std::uint64_t>(std::bit_width(value | 1)) + flags + 6) / 7;
}

// Adds up what GapRun's sink would write.
class GapRunBytes {
 public:
  void operator()(std::uint64_t start_row, std::uint64_t stop_row) {
    const std::uint64_t start = gap_run::place_of(start_row);
    const std::uint64_t stop = gap_run::place_of(stop_row - 1) + 1;
    *bytes += varint_bytes(start - base, 1);
    if (stop - start > 1) *bytes += varint_bytes(stop - start - 2, 0);
    base = stop + 1;
  }

  std::uint64_t* bytes;
  std::uint64_t base = 0;
};

}  // namespace

Encoding choose(Profile profile, const Choices& choices) {
  const Encoding fast = is_dense(choices.literals, choices.groups) ? Encoding::dense : Encoding::wah64;
  const std::uint64_t fast_bytes = fast == Encoding::dense ? choices.dense_bytes() : choices.wah64_bytes;
  switch (profile) {
    case Profile::speed:
      return fast;
    case Profile::balanced:
      return 10 * fast_bytes <= kBalancedPriceTenths * choices.gap_run_bytes ? fast : Encoding::gap_run;
    default:
      break;
  }
  const std::uint64_t least = std::min({choices.dense_bytes(), choices.wah64_bytes, choices.gap_run_bytes});
  if (choices.dense_bytes() == least) return Encoding::dense;
  return choices.wah64_bytes == least ? Encoding::wah64 : Encoding::gap_run;
}

Choices weigh(const Vector& vector) {
  Choices out;
  out.groups = group_count<Groups63>(vector.row_count());
  RowRuns<Groups63, GapRunBytes> runs(GapRunBytes{&out.gap_run_bytes});
  RunStream stream(vector);
  std::uint64_t words = 0;
  std::uint64_t before = ~std::uint64_t{0};  // the last group was no fill
  for (auto run = stream.next(); run.groups != 0; run = stream.next()) {
    runs.add(run.word, run.groups);
    const bool fill = run.word == 0 || run.word == Groups63::kOnes;
    if (!fill || run.word != before) ++words;
    out.literals += fill ? 0 : 1;
    before = fill ? run.word : ~std::uint64_t{0};
  }
  runs.finish();
  out.wah64_bytes = 8 * words;
  return out;
}

}  // namespace esker::bitmap
