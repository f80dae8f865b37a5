// Cursors that leap, of the encodings that have them.
#pragma once

#include "esker/bitmap/encodings/gap_run.h"
#include "esker/bitmap/vector.h"
#include "esker/bitmap/wah.h"

namespace esker::bitmap {

template <class Layout>
wah::Cursor<Layout> wah_cursor(const Vector& vector) {
  const auto words = vector.words<typename Layout::Word>();
  return {words, vector.directory().get([words] { return wah::directory_of<Layout>(words); })};
}

inline const Directory& gap_directory(const Vector& vector) {
  return vector.directory().get([&vector] { return GapRun::directory_of(vector.data()); });
}

inline GapRun::Cursor gap_cursor(const Vector& vector) {
  return {vector.data(), vector.row_count(), gap_directory(vector)};
}

inline bool leaps(const Vector& vector) {
  return vector.encoding() == Encoding::wah64 ||
         (vector.encoding() == Encoding::gap_run && gap_directory(vector).leaps);
}

// Calls `use` with a cursor. Holds: the vector leaps.
template <class Use>
auto with_cursor(const Vector& vector, Use use) {
  return vector.encoding() == Encoding::wah64 ? use(wah_cursor<Groups63>(vector)) : use(gap_cursor(vector));
}

}  // namespace esker::bitmap
