#include "esker/bitmap/results.h"

#include "esker/bitmap/choose.h"
#include "esker/bitmap/codecs.h"

namespace esker::bitmap {
namespace {

Vector wah64(Buffer<std::uint64_t> words, std::uint64_t row_count, std::uint64_t count, Form form) {
  words.trim();
  return Vector(form, Encoding::wah64, row_count, count, std::move(words).bytes());
}

}  // namespace

Buffer<std::uint64_t> wah64_words(std::span<const std::uint64_t> groups) {
  wah::Sink<Groups63> sink;
  const std::uint64_t* const end = groups.data() + groups.size();
  for (const std::uint64_t* at = groups.data(); at != end;) {
    if (*at != 0) {
      sink.add(*at++, 1);
      continue;
    }
    const std::uint64_t* const first = at;
    while (end - at >= 4 && (at[0] | at[1] | at[2] | at[3]) == 0) at += 4;
    while (at != end && *at == 0) ++at;
    sink.add(0, static_cast<std::uint64_t>(at - first));
  }
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
