#include "esker/bitmap/vector.h"

#include <cstring>
#include <type_traits>

#include "esker/bitmap/choose.h"
#include "esker/bitmap/codecs.h"
#include "esker/bitmap/leaps.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

// Feeds every run of a stream to a sink.
template <class Source, class Sink>
void pour(Source source, Sink& sink) {
  for (auto run = source.next(); run.groups != 0; run = source.next()) sink.add(run.word, run.groups);
}

// Calls `add` with a RowRunWriter over the encoding's sink and takes the bytes.
template <class Add>
Bytes written(Encoding encoding, std::uint64_t row_count, Add add) {
  if (encoding == Encoding::wah32) {
    // Straight into groups of 31: most callers of WAH32 come with rows.
    wah::Sink<Groups31> sink;
    RowRunWriter<Groups31, wah::Sink<Groups31>&> writer(sink);
    add(writer);
    writer.finish(row_count);
    return sink.take().bytes();
  }
  return visit(encoding, [&](auto codec) {
    using Sink = typename decltype(codec)::Sink;
    Sink sink(row_count);
    RowRunWriter<Groups63, Sink&> writer(sink);
    add(writer);
    writer.finish(row_count);
    return sink.take();
  });
}

template <class Add>
Vector made(std::uint64_t row_count, std::uint64_t count, Form form, Add add) {
  const Encoding first = form.is_automatic() ? Encoding::wah64 : form.encoding;
  Bytes data = written(first, row_count, add);
  data.trim();
  Vector vector(form, first, row_count, count, std::move(data));
  return form.is_automatic() ? encoded(vector, form) : std::move(vector);
}

template <class Source>
class Batches final : public GroupReader {
 public:
  explicit Batches(Source source) : source_(source) {}
  std::size_t read(Run<Groups63>* runs, std::size_t capacity) override {
    std::size_t size = 0;
    while (size != capacity && (runs[size] = source_.next()).groups != 0) ++size;
    return size;
  }

 private:
  Source source_;
};

}  // namespace

Vector from_positions(std::span<const std::uint64_t> rows, std::uint64_t row_count, Form form) {
  std::uint64_t least = 0;
  for (const std::uint64_t row : rows) {
    if (row < least || row >= row_count) throw InvalidInput("rows must ascend and be below the row count");
    least = row + 1;
  }
  return made(row_count, rows.size(), form, [rows](auto& writer) {
    for (const std::uint64_t row : rows) writer.add_row(row);
  });
}

Vector from_runs(std::span<const std::uint64_t> starts, std::span<const std::uint64_t> stops,
                 std::uint64_t row_count, Form form) {
  if (starts.size() != stops.size()) throw InvalidInput("as many starts as stops, please");
  std::uint64_t least = 0;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] < least || starts[i] >= stops[i] || stops[i] > row_count)
      throw InvalidInput("runs must ascend and end within the row count");
    least = stops[i];
    count += stops[i] - starts[i];
  }
  return made(row_count, count, form, [&](auto& writer) {
    for (std::size_t i = 0; i < starts.size(); ++i) writer.add_run(starts[i], stops[i]);
  });
}

Vector from_data(Data data, std::uint64_t row_count, Encoding encoding, Form form) {
  Bytes own(data);
  const std::uint64_t count =
      visit(encoding, [&](auto codec) { return decltype(codec)::check(own.span(), row_count); });
  return Vector(form, encoding, row_count, count, std::move(own));
}

Vector encoded(const Vector& vector, Form form) {
  const Encoding wanted = form.is_automatic() ? choose(form.profile, weigh(vector)) : form.encoding;
  Bytes data;
  if (wanted == vector.encoding()) {
    data = Bytes(vector.data());
  } else {
    data = visit(vector.encoding(), [&](auto from) {
      typename decltype(from)::Source source(vector.data(), vector.row_count());
      return visit(wanted, [&](auto to) {
        typename decltype(to)::Sink sink(vector.row_count());
        pour(source, sink);
        return sink.take();
      });
    });
    data.trim();
  }
  return Vector(form, wanted, vector.row_count(), vector.count(), std::move(data));
}

std::unique_ptr<GroupReader> open(const Vector& vector) {
  return visit(vector.encoding(), [&](auto codec) -> std::unique_ptr<GroupReader> {
    using Source = typename decltype(codec)::Source;
    return std::make_unique<Batches<Source>>(Source(vector.data(), vector.row_count()));
  });
}

void positions(const Vector& vector, std::uint64_t* out) {
  visit(vector.encoding(), [&](auto codec) {
    using Source = typename decltype(codec)::Source;
    for_each_row_run<Groups63>(Source(vector.data(), vector.row_count()),
                               [&out](std::uint64_t start, std::uint64_t stop) {
                                 for (std::uint64_t row = start; row < stop; ++row) *out++ = row;
                               });
    return 0;
  });
}

void row_runs(const Vector& vector, Buffer<std::uint64_t>& starts, Buffer<std::uint64_t>& stops) {
  RunStream stream(vector);
  const auto take = [&](std::uint64_t start, std::uint64_t stop) {
    starts.push(start);
    stops.push(stop);
  };
  RowRuns<Groups63, decltype(take)> runs(take);
  for (auto run = stream.next(); run.groups != 0; run = stream.next()) runs.add(run.word, run.groups);
  runs.finish();
}

namespace {

template <class Layout>
bool bit_of(typename Layout::Word word, std::uint64_t row) {
  return (word >> (row % Layout::kGroupBits) & 1) != 0;
}

}  // namespace

bool contains(const Vector& vector, std::uint64_t row) {
  if (row >= vector.row_count() || vector.none()) return false;
  const std::uint64_t group = row / Groups63::kGroupBits;
  if (vector.encoding() == Encoding::dense)
    return bit_of<Groups63>(vector.words<std::uint64_t>()[group], row);
  if (vector.encoding() == Encoding::wah32)
    return bit_of<Groups31>(wah_cursor<Groups31>(vector).at(row / Groups31::kGroupBits).word, row);
  if (leaps(vector))
    return with_cursor(vector, [=](auto cursor) { return bit_of<Groups63>(cursor.at(group).word, row); });
  return rank(vector, row + 1) != rank(vector, row);
}

std::uint64_t rank(const Vector& vector, std::uint64_t row) {
  if (row >= vector.row_count()) return vector.count();
  const std::uint64_t group = row / Groups63::kGroupBits;
  RunStream stream(vector);
  std::uint64_t position = 0;
  std::uint64_t count = 0;
  for (auto run = stream.next(); run.groups != 0; run = stream.next()) {
    if (position + run.groups > group) {
      const std::uint64_t below = (std::uint64_t{1} << (row % Groups63::kGroupBits)) - 1;
      return count + bits_set(run.word) * (group - position) + bits_set(run.word & below);
    }
    count += bits_set(run.word) * run.groups;
    position += run.groups;
  }
  return count;
}

std::uint64_t select(const Vector& vector, std::uint64_t index) {
  RunStream stream(vector);
  std::uint64_t position = 0;
  for (auto run = stream.next(); run.groups != 0; run = stream.next()) {
    const std::uint64_t each = bits_set(run.word);
    if (each != 0 && index < each * run.groups) {
      std::uint64_t word = run.word;
      for (std::uint64_t skipped = index % each; skipped != 0; --skipped) word &= word - 1;
      return (position + index / each) * Groups63::kGroupBits +
             static_cast<std::uint64_t>(std::countr_zero(word));
    }
    index -= each * run.groups;
    position += run.groups;
  }
  throw std::out_of_range("fewer rows are set");
}

bool same_rows(const Vector& left, const Vector& right) {
  if (left.row_count() != right.row_count() || left.count() != right.count()) return false;
  if (left.encoding() == right.encoding()) return std::ranges::equal(left.data(), right.data());
  RunStream a(left);
  RunStream b(right);
  auto x = a.next();
  auto y = b.next();
  while (x.groups != 0 && y.groups != 0) {
    if (x.word != y.word) return false;
    const auto groups = std::min(x.groups, y.groups);
    x.groups -= groups;
    y.groups -= groups;
    if (x.groups == 0) x = a.next();
    if (y.groups == 0) y = b.next();
  }
  return true;
}

std::size_t RowCursor::read(std::uint64_t* rows, std::size_t capacity) {
  std::size_t size = 0;
  while (size != capacity) {
    if (run_.groups == 0) {
      run_ = stream_.next();
      inside_ = 0;
      if (run_.groups == 0) break;
    }
    const std::uint64_t run_rows = run_.groups * Groups63::kGroupBits;
    if (run_.word == Groups63::kOnes) {
      const std::uint64_t taken = std::min<std::uint64_t>(capacity - size, run_rows - inside_);
      for (std::uint64_t i = 0; i < taken; ++i) rows[size++] = row_ + inside_ + i;
      inside_ += taken;
      if (inside_ != run_rows) break;
    } else {
      for (; run_.word != 0 && size != capacity; run_.word &= run_.word - 1)
        rows[size++] = row_ + static_cast<std::uint64_t>(std::countr_zero(run_.word));
      if (run_.word != 0) break;
    }
    row_ += run_rows;
    run_.groups = 0;
  }
  return size;
}

}  // namespace esker::bitmap
