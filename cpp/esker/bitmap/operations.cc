// Two vectors at a time. Like with like has its own way (leaps through WAH words, wide instructions for dense
// ones); encodings of the same groups meet group by group; all others over their run streams.
#include "esker/bitmap/operations.h"

#include <vector>

#include "esker/bitmap/codecs.h"
#include "esker/bitmap/leaps.h"
#include "esker/bitmap/results.h"
#include "esker/bitmap/unite_all.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

using Written63 = wah::Written<Groups63>;

template <class Word>
Word applied(Operation operation, Word left, Word right) {
  switch (operation) {
    case Operation::intersect:
      return left & right;
    case Operation::unite:
      return left | right;
    case Operation::differ:
      return left ^ right;
    default:
      return left & ~right;
  }
}

// Calls `use` with the operation as a type, so that loops do not ask which it is.
template <class Word, class Use>
auto with(Operation operation, Use use) {
  switch (operation) {
    case Operation::intersect:
      return use([](Word left, Word right) -> Word { return left & right; });
    case Operation::unite:
      return use([](Word left, Word right) -> Word { return left | right; });
    case Operation::differ:
      return use([](Word left, Word right) -> Word { return left ^ right; });
    default:
      return use([](Word left, Word right) -> Word { return left & ~right; });
  }
}

}  // namespace

void check_row_counts(const Vector& left, const Vector& right) {
  if (left.row_count() != right.row_count())
    throw InvalidInput("bitmaps of " + std::to_string(left.row_count()) + " and " +
                       std::to_string(right.row_count()) + " rows cannot be combined");
}

namespace {

bool shares_groups63(Encoding encoding) {
  return encoding == Encoding::wah64 || encoding == Encoding::dense || encoding == Encoding::gap_run;
}

// Calls `use` with the vector's groups; only for those that share groups of 63.
template <class Use>
auto with_groups(const Vector& vector, Use use) {
  if (vector.encoding() == Encoding::wah64) return use(Wah64::Source(vector.data(), vector.row_count()));
  if (vector.encoding() == Encoding::dense) return use(Dense::Source(vector.data(), vector.row_count()));
  return use(GapRun::Source(vector.data(), vector.row_count()));
}

template <class Layout>
wah::Written<Layout> like_with_like(Operation operation, const Vector& left, const Vector& right) {
  using Word = typename Layout::Word;
  const std::uint64_t groups = group_count<Layout>(left.row_count());
  const auto a = left.words<Word>();
  const auto b = right.words<Word>();
  if (operation == Operation::intersect)
    return wah::intersect<Layout>(wah_cursor<Layout>(left), wah_cursor<Layout>(right), groups);
  if (operation == Operation::unite) {
    const bool left_smaller = a.size() < b.size();
    const Vector& smaller = left_smaller ? left : right;
    const Vector& larger = left_smaller ? right : left;
    return wah::unite<Layout>(wah::Source<Layout>(left_smaller ? a : b), smaller.count(),
                              wah_cursor<Layout>(larger),
                              a.size() + b.size() + std::min(a.size(), b.size()) + 2, larger.count(), groups);
  }
  return with<Word>(operation, [&](auto each) {
    return wah::combine<Layout>(wah::Source<Layout>(a), wah::Source<Layout>(b), each);
  });
}

Vector dense_with_dense(Operation operation, const Vector& left, const Vector& right) {
  const auto a = left.words<std::uint64_t>();
  const auto b = right.words<std::uint64_t>();
  Buffer<std::uint64_t> out(a.size());
  const Tally tally = combine_words(operation, a.data(), b.data(), out.data(), a.size());
  return settle(std::move(out), tally, left.row_count(), left.form());
}

// Walks the groups of one and looks the other's up. `walked_left` says which is which for SUBTRACT.
Vector into_nothing(Operation operation, const Vector& walked, const Vector& dense, Form form) {
  const auto words = dense.words<std::uint64_t>();
  Written63 written = with_groups(walked, [&](auto source) {
    wah::Sink<Groups63> sink;
    std::uint64_t count = 0;
    std::uint64_t group = 0;
    std::uint64_t done = 0;
    for (auto run = source.next(); run.groups != 0; run = source.next()) {
      const std::uint64_t stop = group + run.groups;
      if (run.word != 0) {
        if (done != group) sink.add(0, group - done);
        for (; group != stop; ++group) {
          const std::uint64_t word = applied(operation, run.word, words[group]);
          sink.add(word, 1);
          count += bits_set(word);
        }
        done = stop;
      }
      group = stop;
    }
    if (done != words.size()) sink.add(0, words.size() - done);
    return Written63{sink.take(), count};
  });
  return settle(std::move(written), walked.row_count(), form);
}

// Copies the dense one and changes it where the other has rows: for operations that leave the left as it is
// where the right has none.
Vector into_copy(Operation operation, const Vector& dense, const Vector& walked, Form form) {
  const auto words = dense.words<std::uint64_t>();
  Buffer<std::uint64_t> out(words.size());
  Tally tally = combine_words(Operation::unite, words.data(), words.data(), out.data(), words.size());
  with_groups(walked, [&](auto source) {
    std::uint64_t* at = out.data();
    for (auto run = source.next(); run.groups != 0; run = source.next()) {
      std::uint64_t* const stop = at + run.groups;
      if (run.word != 0) {
        for (; at != stop; ++at) {
          const std::uint64_t before = *at;
          *at = applied(operation, before, run.word);
          tally.count += bits_set(*at) - bits_set(before);
          tally.literals += (*at != 0 && *at != Groups63::kOnes ? 1u : 0u);
          tally.literals -= (before != 0 && before != Groups63::kOnes ? 1u : 0u);
        }
      }
      at = stop;
    }
    return 0;
  });
  return settle(std::move(out), tally, dense.row_count(), form);
}

Vector with_dense(Operation operation, const Vector& left, const Vector& right) {
  const bool left_dense = left.encoding() == Encoding::dense;
  const Vector& dense = left_dense ? left : right;
  const Vector& walked = left_dense ? right : left;
  if (operation == Operation::intersect || (operation == Operation::subtract && !left_dense))
    return into_nothing(operation, walked, dense, left.form());
  return into_copy(operation, dense, walked, left.form());
}

// WAH64 with gap_run, or gap_run with itself.
Written63 with_gaps(Operation operation, const Vector& left, const Vector& right) {
  const std::uint64_t groups = group_count<Groups63>(left.row_count());
  const bool left_wah = left.encoding() == Encoding::wah64;
  const Vector& gaps = left_wah ? right : left;
  const Vector& other = left_wah ? left : right;
  if (operation == Operation::intersect && leaps(left) && leaps(right)) {
    return with_cursor(left, [&](auto a) {
      return with_cursor(right, [&](auto b) { return wah::intersect<Groups63>(a, b, groups); });
    });
  }
  if (operation == Operation::unite && other.encoding() == Encoding::wah64) {
    const GapRun::Source source(gaps.data(), gaps.row_count());
    return wah::unite<Groups63>(source, gaps.count(), wah_cursor<Groups63>(other),
                                other.words<std::uint64_t>().size() + gaps.data().size(), other.count(),
                                groups);
  }
  return with<std::uint64_t>(operation, [&](auto each) {
    return with_groups(left, [&](auto a) {
      return with_groups(right, [&](auto b) { return wah::combine<Groups63>(a, b, each); });
    });
  });
}

// Over run streams, into the encoding that is wanted.
Vector over_runs(Operation operation, const Vector& left, const Vector& right) {
  const Form form = left.form();
  const auto run = [&](auto& sink) {
    with<std::uint64_t>(operation, [&](auto each) {
      RunStream a(left);
      RunStream b(right);
      struct Borrowed {
        RunStream* stream;
        Run<Groups63> next() { return stream->next(); }
      };
      combine<Groups63>(Borrowed{&a}, Borrowed{&b}, sink, each);
      return 0;
    });
  };
  return visit(form.is_automatic() ? Encoding::wah64 : form.encoding, [&](auto codec) {
    struct Counting {
      typename decltype(codec)::Sink sink;
      std::uint64_t count = 0;
      explicit Counting(std::uint64_t row_count) : sink(row_count) {}
      void add(std::uint64_t word, std::uint64_t groups) {
        sink.add(word, groups);
        count += bits_set(word) * groups;
      }
    } sink(left.row_count());
    run(sink);
    Bytes data = sink.sink.take();
    data.trim();
    return Vector(form, decltype(codec)::kEncoding, left.row_count(), sink.count, std::move(data));
  });
}

// Where one side has no rows or all of them the result is known: a null pointer is no rows.
struct Known {
  bool known = false;
  const Vector* result = nullptr;
};

Known known(Operation operation, const Vector& left, const Vector& right) {
  switch (operation) {
    case Operation::intersect:
      if (left.none() || right.none()) return {true, nullptr};
      if (left.all()) return {true, &right};
      return {right.all(), &left};
    case Operation::unite:
      if (left.none() || right.all()) return {true, &right};
      return {right.none() || left.all(), &left};
    case Operation::differ:
      if (left.none()) return {true, &right};
      return {right.none(), &left};
    default:
      if (left.none() || right.all()) return {true, nullptr};
      return {right.none(), &left};
  }
}

}  // namespace

Vector combine(Operation operation, const Vector& left, const Vector& right) {
  check_row_counts(left, right);
  if (const Known found = known(operation, left, right); found.known)
    return found.result == nullptr ? none(left.row_count(), left.form()) : settle(*found.result, left.form());
  const Encoding a = left.encoding();
  const Encoding b = right.encoding();
  if (a == Encoding::wah64 && b == Encoding::wah64)
    return settle(like_with_like<Groups63>(operation, left, right), left.row_count(), left.form());
  if (a == Encoding::wah32 && b == Encoding::wah32 && !left.form().is_automatic()) {
    auto written = like_with_like<Groups31>(operation, left, right);
    written.words.trim();
    return Vector(left.form(), a, left.row_count(), written.count, std::move(written.words).bytes());
  }
  if (!shares_groups63(a) || !shares_groups63(b)) return over_runs(operation, left, right);
  if (a == Encoding::dense && b == Encoding::dense) return dense_with_dense(operation, left, right);
  if (a == Encoding::dense || b == Encoding::dense) return with_dense(operation, left, right);
  if (operation == Operation::unite && accumulating_is_cheaper(left, right))
    return accumulate(left, right).take(left.form());
  return settle(with_gaps(operation, left, right), left.row_count(), left.form());
}

std::uint64_t intersect_count(const Vector& left, const Vector& right) {
  check_row_counts(left, right);
  if (const Known found = known(Operation::intersect, left, right); found.known)
    return found.result == nullptr ? 0 : found.result->count();
  const Encoding a = left.encoding();
  const Encoding b = right.encoding();
  if (a == b && a == Encoding::wah32)
    return wah::intersect_count<Groups31>(wah_cursor<Groups31>(left), wah_cursor<Groups31>(right),
                                          group_count<Groups31>(left.row_count()));
  if (a == b && a == Encoding::dense) {
    const auto words = left.words<std::uint64_t>();
    return intersect_count_words(words.data(), right.words<std::uint64_t>().data(), words.size());
  }
  if (leaps(left) && leaps(right)) {
    const std::uint64_t groups = group_count<Groups63>(left.row_count());
    return with_cursor(left, [&](auto x) {
      return with_cursor(right, [&](auto y) { return wah::intersect_count<Groups63>(x, y, groups); });
    });
  }
  return combine(Operation::intersect, left, right).count();
}

Vector invert(const Vector& vector) {
  const Form form = vector.form();
  const std::uint64_t row_count = vector.row_count();
  const std::uint64_t count = row_count - vector.count();
  if (vector.encoding() == Encoding::wah64)
    return settle(
        Written63{wah::invert<Groups63>(vector.words<std::uint64_t>(), last_group_mask<Groups63>(row_count)),
                  count},
        row_count, form);
  if (vector.encoding() == Encoding::wah32) {
    auto words = wah::invert<Groups31>(vector.words<std::uint32_t>(), last_group_mask<Groups31>(row_count));
    words.trim();
    return Vector(form, Encoding::wah32, row_count, count, std::move(words).bytes());
  }
  if (vector.encoding() == Encoding::dense && row_count != 0) {
    const auto words = vector.words<std::uint64_t>();
    Buffer<std::uint64_t> out(words.size());
    for (std::size_t i = 0; i < words.size(); ++i) out.data()[i] = words[i] ^ Groups63::kOnes;
    out.back() &= last_group_mask<Groups63>(row_count);
    const Tally tally = tally_words(out.data(), out.size());
    return settle(std::move(out), tally, row_count, form);
  }
  wah::Sink<Groups63> ones;
  Ones<Groups63> every(row_count);
  for (auto run = every.next(); run.groups != 0; run = every.next()) ones.add(run.word, run.groups);
  const Vector all(form, Encoding::wah64, row_count, row_count, ones.take().bytes());
  return vector.none() ? settle(all, form) : over_runs(Operation::subtract, all, vector);
}

Vector intersect_all(Vectors vectors) {
  if (vectors.empty()) throw InvalidInput("an intersection needs at least one vector");
  const Form form = vectors[0]->form();
  for (const Vector* vector : vectors) check_row_counts(*vectors[0], *vector);
  // The fewest rows first, so that what is walked is small from the start.
  std::vector<const Vector*> order(vectors.begin(), vectors.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const Vector* a, const Vector* b) { return a->count() < b->count(); });
  Vector result = settle(*order[0], form);
  for (std::size_t i = 1; i < order.size() && !result.none(); ++i)
    result = combine(Operation::intersect, result, *order[i]);
  return result;
}

}  // namespace esker::bitmap
