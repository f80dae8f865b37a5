#include "esker/bitmap/results.h"

#include <algorithm>

#include "esker/bitmap/choose.h"
#include "esker/bitmap/codecs.h"

namespace esker::bitmap {
namespace {

Vector wah64(Buffer<std::uint64_t> words, std::uint64_t row_count, std::uint64_t count, Form form) {
  words.trim();
  return Vector(form, Encoding::wah64, row_count, count, std::move(words).bytes());
}

}  // namespace

// Groups with rows are listed a block at a time, without a branch for each, since which they are cannot be
// guessed.
Buffer<std::uint64_t> wah64_words(std::span<const std::uint64_t> groups) {
  constexpr std::size_t kBlock = 512;
  std::uint16_t filled[kBlock + 1];
  wah::Sink<Groups63> sink;
  std::size_t written = 0;
  for (std::size_t first = 0; first < groups.size(); first += kBlock) {
    const std::size_t size = std::min(kBlock, groups.size() - first);
    std::size_t count = 0;
    for (std::size_t i = 0; i < size; ++i) {
      filled[count] = static_cast<std::uint16_t>(i);
      count += groups[first + i] != 0 ? 1 : 0;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t group = first + filled[i];
      if (group != written) sink.add(0, group - written);
      sink.add(groups[group], 1);
      written = group + 1;
    }
  }
  if (written != groups.size()) sink.add(0, groups.size() - written);
  return sink.take();
}

Vector settle(wah::Written<Groups63> written, std::uint64_t row_count, Form form) {
  const std::uint64_t groups = group_count<Groups63>(row_count);
  if (form.is_automatic() && is_dense(written.words.size(), groups)) {
    std::uint64_t literals = 0;
    for (const std::uint64_t word : written.words.span()) literals += 1 - (word >> Groups63::kGroupBits);
    if (is_dense(literals, groups)) {
      const Vector words = wah64(std::move(written.words), row_count, written.count, form);
      return encoded(words, Form::fixed(Encoding::dense)).under(form);
    }
  }
  return settle(wah64(std::move(written.words), row_count, written.count, form), form);
}

Vector settle(Buffer<std::uint64_t> groups, Tally tally, std::uint64_t row_count, Form form) {
  return settle(Vector(form, Encoding::dense, row_count, tally.count, std::move(groups).bytes()),
                tally.literals, form);
}

Vector settle(Vector&& dense, std::uint64_t literals, Form form) {
  const bool stays = form.is_automatic() ? is_dense(literals, dense.words<std::uint64_t>().size())
                                         : form.encoding != Encoding::wah64;
  if (stays) return settle(std::move(dense), form);
  return wah64(wah64_words(dense.words<std::uint64_t>()), dense.row_count(), dense.count(), form);
}

Vector settle(Vector&& vector, Form form) {
  const bool stays = form.is_automatic() || form.encoding == vector.encoding();
  return stays ? std::move(vector).under(form) : encoded(vector, form);
}

Vector settle(const Vector& vector, Form form) {
  if (!form.is_automatic() && form.encoding != vector.encoding()) return encoded(vector, form);
  return Vector(form, vector.encoding(), vector.row_count(), vector.count(), Bytes(vector.data()));
}

Vector none(std::uint64_t row_count, Form form) {
  wah::Sink<Groups63> sink;
  sink.add(0, group_count<Groups63>(row_count));
  return settle(wah::Written<Groups63>{sink.take(), 0}, row_count, form);
}

}  // namespace esker::bitmap
