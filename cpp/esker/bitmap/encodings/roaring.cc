#include "esker/bitmap/encodings/roaring.h"

#include <array>
#include <bit>
#include <cstring>

#include "esker/bitmap/check_form.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

constexpr std::uint32_t kCookieRuns = 12347;
constexpr std::uint32_t kCookieNoRuns = 12346;
constexpr std::uint32_t kOffsetsFrom = 4;  // with runs, fewer containers have no offsets
constexpr std::uint32_t kArrayRowsMax = 4096;
constexpr std::uint32_t kBitsBytes = 8192;
constexpr std::uint64_t kContainerRows = 1 << 16;
constexpr std::uint32_t kKeyBytes = 4;  // key and cardinality - 1, 16 bits each

template <class Number>
Number load(const std::uint8_t* at) {
  Number number;
  std::memcpy(&number, at, sizeof number);
  return number;
}

template <class Number>
void store(Bytes& out, std::type_identity_t<Number> number) {
  out.append(reinterpret_cast<const std::uint8_t*>(&number), sizeof number);
}

std::uint32_t run_bytes(std::uint32_t runs) {
  return 2 + 4 * runs;
}

std::uint32_t plain_bytes(std::uint32_t rows) {
  return rows > kArrayRowsMax ? kBitsBytes : 2 * rows;
}

// Reads from bytes of unknown origin.
class Reader {
 public:
  explicit Reader(Data data) : at_(data.data()), left_(data.size()) {}

  const std::uint8_t* take(std::uint64_t bytes) {
    if (bytes > left_) throw BitmapCorrupt("ends within a container");
    left_ -= bytes;
    return std::exchange(at_, at_ + bytes);
  }
  template <class Number>
  Number number() {
    return load<Number>(take(sizeof(Number)));
  }
  std::uint64_t left() const { return left_; }

 private:
  const std::uint8_t* at_;
  std::uint64_t left_;
};

// Checks that a container's bytes are there and its rows ascend, so that it is safe to read.
void check_container(Reader& reader, std::uint32_t rows, bool has_runs) {
  if (!has_runs && rows > kArrayRowsMax) {
    reader.take(kBitsBytes);
    return;
  }
  const std::uint32_t items = has_runs ? reader.number<std::uint16_t>() : rows;
  const std::uint8_t* at = reader.take(std::uint64_t{items} * (has_runs ? 4 : 2));
  std::uint32_t least = 0;
  for (std::uint32_t i = 0; i < items; ++i) {
    const std::uint32_t start = load<std::uint16_t>(at);
    const std::uint32_t last = has_runs ? start + load<std::uint16_t>(at + 2) : start;
    if (start < least || last >= kContainerRows) throw BitmapCorrupt("rows of a container do not ascend");
    least = last + 1;
    at += has_runs ? 4 : 2;
  }
}

}  // namespace

Roaring::Containers::Containers(Data data)
    : at_(data.data() + sizeof(std::uint64_t)), buckets_left_(load<std::uint64_t>(data.data())) {}

void Roaring::Containers::open_bucket() {
  --buckets_left_;
  high_ = load<std::uint32_t>(at_);
  const auto cookie = load<std::uint32_t>(at_ + 4);
  at_ += 8;
  if ((cookie & 0xFFFF) == kCookieRuns) {
    containers_ = (cookie >> 16) + 1;
    run_flags_ = at_;
    at_ += (containers_ + 7) / 8;
  } else {
    containers_ = load<std::uint32_t>(at_);
    run_flags_ = nullptr;
    at_ += 4;
  }
  keys_ = at_;
  at_ += kKeyBytes * containers_;
  if (run_flags_ == nullptr || containers_ >= kOffsetsFrom) at_ += 4 * containers_;
  index_ = 0;
}

bool Roaring::Containers::next(Container& container) {
  while (index_ == containers_) {
    if (buckets_left_ == 0) return false;
    open_bucket();
  }
  const std::uint32_t rows = load<std::uint16_t>(keys_ + kKeyBytes * index_ + 2) + 1u;
  container.first_row = high_ << 32 | std::uint64_t{load<std::uint16_t>(keys_ + kKeyBytes * index_)} << 16;
  container.count = rows;
  container.payload = at_;
  if (run_flags_ != nullptr && (run_flags_[index_ / 8] >> (index_ % 8) & 1) != 0) {
    container.kind = Kind::runs;
    container.count = load<std::uint16_t>(at_);
    container.payload = at_ + 2;
    at_ += run_bytes(container.count);
  } else {
    container.kind = rows > kArrayRowsMax ? Kind::bits : Kind::array;
    at_ += plain_bytes(rows);
  }
  ++index_;
  return true;
}

Piece Roaring::Pieces::gap_to(std::uint64_t row) {
  const std::uint64_t rows = row - row_;
  row_ = row;
  return {0, rows};
}

Piece Roaring::Pieces::next() {
  constexpr std::uint32_t kBitsItems = kBitsBytes / 8;
  while (used_ == items_) {
    if (!containers_.next(container_)) return {};
    used_ = 0;
    items_ = container_.kind == Kind::bits ? kBitsItems : container_.count;
  }
  if (container_.kind == Kind::runs) {
    const std::uint8_t* const at = container_.payload + 4 * used_;
    const std::uint64_t start = container_.first_row + load<std::uint16_t>(at);
    if (start != row_) return gap_to(start);
    const std::uint64_t rows = load<std::uint16_t>(at + 2) + std::uint64_t{1};
    ++used_;
    row_ += rows;
    return {low_bits(rows), rows};
  }
  if (container_.kind == Kind::bits) {
    const std::uint64_t start = container_.first_row + 64 * std::uint64_t{used_};
    if (start != row_) return gap_to(start);
    row_ += 64;
    return {load<std::uint64_t>(container_.payload + 8 * used_++), 64};
  }
  const auto at = [this](std::uint32_t i) {
    return container_.first_row + load<std::uint16_t>(container_.payload + 2 * i);
  };
  const std::uint64_t start = at(used_) / 64 * 64;
  if (start != row_) return gap_to(start);
  std::uint64_t bits = 0;
  for (; used_ != items_ && at(used_) - start < 64; ++used_) bits |= std::uint64_t{1} << (at(used_) - start);
  row_ += 64;
  return {bits, 64};
}

Roaring::Sink::Sink(std::uint64_t) {
  store<std::uint64_t>(out_, 0);  // the number of buckets, when it is known
}

void Roaring::Sink::add_rows(std::uint64_t start, std::uint64_t stop) {
  while (start != stop) {
    if (start / kContainerRows != container_) {
      close_container();
      container_ = start / kContainerRows;
    }
    const std::uint64_t end = std::min(stop, (container_ + 1) * kContainerRows);
    rows_ += static_cast<std::uint32_t>(end - start);
    spans_.push({static_cast<std::uint16_t>(start), static_cast<std::uint16_t>(end - 1)});
    start = end;
  }
}

void Roaring::Sink::close_container() {
  if (rows_ == 0) return;
  if (container_ >> 16 != high_) {
    close_bucket();
    high_ = container_ >> 16;
  }
  const auto runs = static_cast<std::uint32_t>(spans_.size());
  const bool has_runs = run_bytes(runs) < plain_bytes(rows_);
  const std::size_t before = payloads_.size();
  if (has_runs) {
    store<std::uint16_t>(payloads_, static_cast<std::uint16_t>(runs));
    for (const Span span : spans_.span()) {
      store<std::uint16_t>(payloads_, span.start);
      store<std::uint16_t>(payloads_, static_cast<std::uint16_t>(span.last - span.start));
    }
  } else if (rows_ <= kArrayRowsMax) {
    for (const Span span : spans_.span()) {
      for (std::uint32_t row = span.start; row <= span.last; ++row)
        store<std::uint16_t>(payloads_, static_cast<std::uint16_t>(row));
    }
  } else {
    std::array<std::uint64_t, kBitsBytes / 8> bits{};
    for (const Span span : spans_.span()) {
      for (std::uint32_t row = span.start; row <= span.last; ++row)
        bits[row / 64] |= std::uint64_t{1} << (row % 64);
    }
    payloads_.append(reinterpret_cast<const std::uint8_t*>(bits.data()), kBitsBytes);
  }
  const auto bytes = static_cast<std::uint32_t>(payloads_.size() - before);
  heads_.push({static_cast<std::uint16_t>(container_), rows_, bytes, has_runs});
  rows_ = 0;
  spans_.resize(0);
}

void Roaring::Sink::close_bucket() {
  if (heads_.empty()) return;
  const auto containers = static_cast<std::uint32_t>(heads_.size());
  const std::size_t before = out_.size();
  store<std::uint32_t>(out_, static_cast<std::uint32_t>(high_));
  bool any_runs = false;
  for (const Head& head : heads_.span()) any_runs = any_runs || head.has_runs;
  if (any_runs) {
    store<std::uint32_t>(out_, kCookieRuns | (containers - 1) << 16);
    for (std::uint32_t i = 0; i < containers; i += 8) {
      std::uint8_t flags = 0;
      for (std::uint32_t k = i; k < std::min(i + 8, containers); ++k)
        flags = static_cast<std::uint8_t>(flags | (heads_.data()[k].has_runs ? 1 : 0) << (k - i));
      out_.push(flags);
    }
  } else {
    store<std::uint32_t>(out_, kCookieNoRuns);
    store<std::uint32_t>(out_, containers);
  }
  for (const Head& head : heads_.span()) {
    store<std::uint16_t>(out_, head.key);
    store<std::uint16_t>(out_, static_cast<std::uint16_t>(head.rows - 1));
  }
  if (!any_runs || containers >= kOffsetsFrom) {
    // Offsets count from the cookie, behind the bucket's number.
    auto offset = static_cast<std::uint32_t>(out_.size() - before - 4 + 4 * std::size_t{containers});
    for (const Head& head : heads_.span()) {
      store<std::uint32_t>(out_, offset);
      offset += head.bytes;
    }
  }
  out_.append(payloads_.data(), payloads_.size());
  ++buckets_;
  heads_.resize(0);
  payloads_.resize(0);
}

Bytes Roaring::Sink::take() {
  runs_.finish();
  close_container();
  close_bucket();
  std::memcpy(out_.data(), &buckets_, sizeof buckets_);
  return std::move(out_);
}

std::uint64_t Roaring::check(Data data, std::uint64_t row_count) {
  Reader reader(data);
  const auto buckets = reader.number<std::uint64_t>();
  std::uint64_t bucket_least = 0;
  for (std::uint64_t i = 0; i < buckets; ++i) {
    const std::uint64_t high = reader.number<std::uint32_t>();
    if (high < bucket_least) throw BitmapCorrupt("buckets do not ascend");
    bucket_least = high + 1;
    const auto cookie = reader.number<std::uint32_t>();
    const bool with_runs = (cookie & 0xFFFF) == kCookieRuns;
    if (!with_runs && cookie != kCookieNoRuns) throw BitmapCorrupt("no bucket begins here");
    const std::uint32_t containers = with_runs ? (cookie >> 16) + 1 : reader.number<std::uint32_t>();
    if (containers == 0 || containers > kContainerRows) throw BitmapCorrupt("no such number of containers");
    const std::uint8_t* const flags = with_runs ? reader.take((containers + 7) / 8) : nullptr;
    const std::uint8_t* const keys = reader.take(std::uint64_t{kKeyBytes} * containers);
    if (!with_runs || containers >= kOffsetsFrom) reader.take(std::uint64_t{4} * containers);
    std::uint64_t key_least = 0;
    for (std::uint32_t k = 0; k < containers; ++k) {
      const std::uint64_t key = load<std::uint16_t>(keys + kKeyBytes * k);
      if (key < key_least) throw BitmapCorrupt("containers do not ascend");
      key_least = key + 1;
      if ((high << 32 | key << 16) >= row_count) throw BitmapCorrupt("rows past the row count");
      const bool has_runs = flags != nullptr && (flags[k / 8] >> (k % 8) & 1) != 0;
      check_container(reader, load<std::uint16_t>(keys + kKeyBytes * k + 2) + 1u, has_runs);
    }
  }
  if (reader.left() != 0) throw BitmapCorrupt("bytes behind the last container");
  return check_form<Roaring>(data, row_count);
}

}  // namespace esker::bitmap
