// A vector: a set of rows among `row_count`, in one encoding; immutable once made, so threads may share it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "esker/bitmap/codec.h"
#include "esker/bitmap/directory.h"

namespace esker::bitmap {

// What an automatic choice of the encoding is after; `fixed`: there is no choice.
enum class Profile : std::uint8_t { fixed, speed, balanced, size };

// How a vector is to be encoded: as told, or as a profile finds best.
struct Form {
  Profile profile = Profile::fixed;
  Encoding encoding = Encoding::wah32;  // of a fixed form

  static Form fixed(Encoding encoding) { return {Profile::fixed, encoding}; }
  static Form automatic(Profile profile) { return {profile, Encoding::wah64}; }
  bool is_automatic() const { return profile != Profile::fixed; }
};

class Vector {
 public:
  // Holds: `data` is the one form of a set of `count` rows.
  Vector(Form form, Encoding encoding, std::uint64_t row_count, std::uint64_t count, Bytes data)
      : form_(form), encoding_(encoding), row_count_(row_count), count_(count), data_(std::move(data)) {}

  Vector copy() const { return Vector(form_, encoding_, row_count_, count_, Bytes(data_.span())); }

  // The same bytes, belonging to another form. Holds: a fixed one is of this encoding.
  Vector under(Form form) && {
    form_ = form;
    return std::move(*this);
  }

  Form form() const { return form_; }
  Encoding encoding() const { return encoding_; }
  std::uint64_t row_count() const { return row_count_; }
  std::uint64_t count() const { return count_; }
  bool none() const { return count_ == 0; }
  bool all() const { return count_ == row_count_; }
  Data data() const { return data_.span(); }
  // Memory held, the directory included.
  std::size_t held_bytes() const { return sizeof *this + data_.capacity_bytes() + directory_.held_bytes(); }

  template <class Word>
  std::span<const Word> words() const {
    return words_of<Word>(data());
  }
  const LazyDirectory& directory() const { return directory_; }

 private:
  Form form_;
  Encoding encoding_;
  std::uint64_t row_count_;
  std::uint64_t count_;
  Bytes data_;
  LazyDirectory directory_;
};

// ---- making ----

// Rows strictly ascending and below the row count, or InvalidInput.
Vector from_positions(std::span<const std::uint64_t> rows, std::uint64_t row_count, Form form);

// Runs of rows `starts[i]` to `stops[i]` (exclusive), ascending, apart, below the row count, or
// InvalidInput.
Vector from_runs(std::span<const std::uint64_t> starts, std::span<const std::uint64_t> stops,
                 std::uint64_t row_count, Form form);

// Bytes of unknown origin; throws BitmapCorrupt unless they are the one form of some set of rows.
Vector from_data(Data data, std::uint64_t row_count, Encoding encoding, Form form);

// The same rows in another form; of an automatic one, in the encoding its profile finds best.
Vector encoded(const Vector& vector, Form form);

// ---- reading ----

// Writes count() rows, ascending.
void positions(const Vector& vector, std::uint64_t* out);

// Appends the maximal runs of rows.
void row_runs(const Vector& vector, Buffer<std::uint64_t>& starts, Buffer<std::uint64_t>& stops);

// Whether `row` is set: by the directory where the encoding has one, else from the front.
bool contains(const Vector& vector, std::uint64_t row);

// Rows set below `row`.
std::uint64_t rank(const Vector& vector, std::uint64_t row);

// The row with `index` rows set below it. Holds: index < count().
std::uint64_t select(const Vector& vector, std::uint64_t index);

bool same_rows(const Vector& left, const Vector& right);

// Groups of 63 rows of any encoding, some at a time.
class GroupReader {
 public:
  virtual ~GroupReader() = default;
  // Writes up to `capacity` runs and says how many; 0 at the end.
  virtual std::size_t read(Run<Groups63>* runs, std::size_t capacity) = 0;
};
std::unique_ptr<GroupReader> open(const Vector& vector);

// The reader's runs one by one.
class RunStream {
 public:
  explicit RunStream(const Vector& vector) : reader_(open(vector)) {}
  Run<Groups63> next() {
    if (at_ == size_) {
      size_ = reader_->read(runs_, kRuns);
      at_ = 0;
      if (size_ == 0) return {};
    }
    return runs_[at_++];
  }

 private:
  static constexpr std::size_t kRuns = 128;
  std::unique_ptr<GroupReader> reader_;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
  Run<Groups63> runs_[kRuns];
};

// Row numbers of a vector, some at a time, for as long as the vector lives.
class RowCursor {
 public:
  explicit RowCursor(const Vector& vector) : stream_(vector) {}
  // Writes up to `capacity` rows, ascending, and says how many; 0 at the end.
  std::size_t read(std::uint64_t* rows, std::size_t capacity);

 private:
  RunStream stream_;
  Run<Groups63> run_;
  std::uint64_t row_ = 0;     // first row of the run's first group
  std::uint64_t inside_ = 0;  // of a fill: rows given
};

}  // namespace esker::bitmap
