#include "esker/bitmap/encodings/val.h"

#include <bit>

#include "esker/bitmap/check_form.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

constexpr std::uint64_t kWordBits = 60;

// Puts segments of one length into words.
class Writer {
 public:
  explicit Writer(std::uint64_t bits) : bits_(bits) {}

  void add(std::uint64_t bits, std::uint64_t groups) {
    const std::uint64_t fill_bit = bits == low_bits(bits_) ? 1 : 0;
    const bool literal = bits != 0 && fill_bit == 0;
    if (literal || fill_bit != fill_bit_) write_fill();
    if (literal) return write(bits, 0);
    fill_bit_ = fill_bit;
    fill_groups_ += groups;
  }

  Buffer<std::uint64_t> take() {
    write_fill();
    while (used_ != 0) write(0, 1);
    return std::move(words_);
  }

 private:
  void write_fill() {
    while (fill_groups_ != 0) {
      const std::uint64_t groups = std::min(fill_groups_, low_bits(bits_ - 1));
      write(fill_bit_ << (bits_ - 1) | groups, 1);
      fill_groups_ -= groups;
    }
  }

  void write(std::uint64_t segment, std::uint64_t flag) {
    word_ |= segment << (used_ * bits_) | flag << (kWordBits + used_);
    if (++used_ != kWordBits / bits_) return;
    words_.push(word_);
    word_ = 0;
    used_ = 0;
  }

  std::uint64_t bits_;
  std::uint64_t fill_bit_ = 0;
  std::uint64_t fill_groups_ = 0;
  std::uint64_t word_ = 0;
  std::uint64_t used_ = 0;
  Buffer<std::uint64_t> words_;
};

}  // namespace

Val::Pieces::Pieces(Data data) {
  words_ = words_of<std::uint64_t>(data);
  bits_ = static_cast<std::uint64_t>(kSegmentBits[data.back()]);
}

Piece Val::Pieces::next() {
  while (word_ != words_.size()) {
    const std::uint64_t word = words_[word_];
    const std::uint64_t segment = word >> (segment_ * bits_) & low_bits(bits_);
    const bool fill = (word >> (kWordBits + segment_) & 1) != 0;
    if (++segment_ == kWordBits / bits_) {
      segment_ = 0;
      ++word_;
    }
    if (!fill) return {segment, bits_};
    const std::uint64_t groups = segment & low_bits(bits_ - 1);
    const std::uint64_t bits = segment >> (bits_ - 1) != 0 ? ~std::uint64_t{0} : 0;
    if (groups != 0) return {bits & low_bits(groups * bits_), groups * bits_};
  }
  return {};
}

void Val::Sink::Count::operator()(std::uint64_t bits, std::uint64_t groups) const {
  Segments& each = *segments;
  const bool ones = bits == low_bits(each.bits);
  const std::uint64_t fill_bit = ones ? 1 : bits == 0 ? 0 : 2;
  if (fill_bit != each.fill_bit) {
    const std::uint64_t longest = low_bits(each.bits - 1);
    each.count += each.fill_groups / longest + (each.fill_groups % longest != 0);
    each.fill_groups = 0;
    each.fill_bit = fill_bit;
  }
  if (fill_bit == 2) {
    ++each.count;
  } else {
    each.fill_groups += groups;
  }
}

Bytes Val::Sink::take() {
  std::size_t best = 0;
  std::uint64_t words_least = ~std::uint64_t{0};
  for (std::size_t i = counted_.size(); i-- != 0;) {
    Segments& segments = counted_[i].segments;
    counted_[i].cap.finish(counted_[i].cutter);
    const std::uint64_t longest = low_bits(segments.bits - 1);
    const std::uint64_t count =
        segments.count + segments.fill_groups / longest + (segments.fill_groups % longest != 0);
    const std::uint64_t words = (count * segments.bits + kWordBits - 1) / kWordBits;
    if (words < words_least) {
      words_least = words;
      best = i;
    }
  }
  Writer writer(static_cast<std::uint64_t>(kSegmentBits[best]));
  const auto take = [&writer](std::uint64_t bits, std::uint64_t groups) { writer.add(bits, groups); };
  UnitCutter<decltype(take)> cutter(kSegmentBits[best], take);
  RowCap<UnitCutter<decltype(take)>> cap(row_count_, static_cast<std::uint64_t>(kSegmentBits[best]));
  wah::Source<Groups63> source(groups_.words().span());
  for (auto run = source.next(); run.groups != 0; run = source.next()) cap.add(cutter, run.word, run.groups);
  cap.finish(cutter);
  Bytes out = writer.take().bytes();
  out.push(static_cast<std::uint8_t>(best));
  return out;
}

std::uint64_t Val::check(Data data, std::uint64_t row_count) {
  if (data.size() % sizeof(std::uint64_t) != 1) throw BitmapCorrupt("no whole number of words and a byte");
  if (data.back() >= kSegmentBits.size()) throw BitmapCorrupt("no such length of segments");
  const auto bits = static_cast<std::uint64_t>(kSegmentBits[data.back()]);
  const std::uint64_t groups_max = row_count / bits + (row_count % bits != 0);
  std::uint64_t groups = 0;
  for (const std::uint64_t word : words_of<std::uint64_t>(data)) {
    if (word >> kWordBits >= std::uint64_t{1} << (kWordBits / bits)) throw BitmapCorrupt("a flag too many");
    for (std::uint64_t segment = 0; segment != kWordBits / bits; ++segment) {
      const bool fill = (word >> (kWordBits + segment) & 1) != 0;
      const std::uint64_t length = fill ? word >> (segment * bits) & low_bits(bits - 1) : 1;
      if (length > groups_max - groups) throw BitmapCorrupt("more groups than the row count has");
      groups += length;
    }
  }
  if (groups != groups_max) throw BitmapCorrupt("fewer groups than the row count has");
  return check_form<Val>(data, row_count);
}

}  // namespace esker::bitmap
