#include "esker/bitmap/choose.h"

#include <algorithm>

#include "esker/bitmap/codecs.h"

namespace esker::bitmap {
namespace {

// Adds up what GapRun's sink would write.
struct Measure {
  GapRun::Size* size;
  void operator()(std::uint64_t start_row, std::uint64_t stop_row) const { size->add(start_row, stop_row); }
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
  GapRun::Size gap_run;
  RowRuns<Groups63, Measure> runs(Measure{&gap_run});
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
  out.gap_run_bytes = gap_run.bytes();
  return out;
}

}  // namespace esker::bitmap
