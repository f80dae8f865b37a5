#include "esker/bitmap/encodings/bbc.h"

#include <bit>

#include "esker/bitmap/check_form.h"
#include "esker/error.h"

namespace esker::bitmap {
namespace {

constexpr std::uint64_t kLongFill = 4;

struct Atom {
  std::uint64_t fill_bit = 0;
  std::uint64_t fill_bytes = 0;
  std::uint64_t tail_bytes = 0;
  bool has_odd = false;
  std::uint8_t odd = 0;
};

// Reads an atom but for its tail's bytes; `more` gives the next byte of a number.
template <class More>
Atom read_atom(std::uint8_t head, More more) {
  Atom atom;
  const int kind = std::countl_zero(head);
  atom.fill_bit = head >> (6 - kind) & 1;
  const bool is_long = kind >= 2;
  atom.has_odd = kind % 2 != 0;
  if (!is_long) atom.fill_bytes = head >> (kind == 0 ? 4 : 3) & 3;
  if (atom.has_odd) {
    atom.odd = static_cast<std::uint8_t>((atom.fill_bit != 0 ? 0xFF : 0) ^ (1 << (head & 7)));
  } else {
    atom.tail_bytes = head & 15;
  }
  if (is_long) {
    std::uint64_t fill = 0;
    int shift = 0;
    std::uint8_t byte;
    do {
      byte = more();
      fill |= std::uint64_t{byte & 0x7Fu} << shift;
      shift += 7;
    } while ((byte & 0x80) != 0);
    atom.fill_bytes = fill + kLongFill;
  }
  return atom;
}

}  // namespace

Piece Bbc::Pieces::next() {
  if (odd_.rows != 0) return std::exchange(odd_, Piece{});
  if (tail_ != 0) {
    --tail_;
    return {*at_++, 8};
  }
  while (at_ != end_) {
    const Atom atom = read_atom(*at_++, [this] { return *at_++; });
    tail_ = atom.tail_bytes;
    if (atom.has_odd) odd_ = {atom.odd, 8};
    if (atom.fill_bytes != 0) {
      const std::uint64_t rows = 8 * atom.fill_bytes;
      return {(atom.fill_bit != 0 ? ~std::uint64_t{0} : 0) & low_bits(rows), rows};
    }
    if (atom.has_odd || tail_ != 0) return next();
  }
  return {};
}

void Bbc::Sink::add_bytes(std::uint64_t byte, std::uint64_t count) {
  if (byte != 0 && byte != 0xFF) {
    if (tail_bytes_ == kTailMax) write_atom();
    tail_[tail_bytes_++] = static_cast<std::uint8_t>(byte);
    return;
  }
  const std::uint64_t bit = byte != 0 ? 1 : 0;
  if (tail_bytes_ != 0 || (fill_bytes_ != 0 && fill_bit_ != bit)) write_atom();
  fill_bit_ = bit;
  fill_bytes_ += count;
}

void Bbc::Sink::write_atom() {
  const auto odd_bits = static_cast<std::uint8_t>(tail_[0] ^ (fill_bit_ != 0 ? 0xFF : 0));
  const bool has_odd = tail_bytes_ == 1 && std::has_single_bit(odd_bits);
  const bool is_long = fill_bytes_ >= kLongFill;
  const std::uint64_t tail =
      has_odd ? static_cast<std::uint64_t>(std::countr_zero(odd_bits)) : std::uint64_t{tail_bytes_};
  const int kind = (is_long ? 2 : 0) + (has_odd ? 1 : 0);
  std::uint64_t head = std::uint64_t{0x80} >> kind | fill_bit_ << (6 - kind) | tail;
  if (!is_long) head |= fill_bytes_ << (has_odd ? 3 : 4);
  bytes_.push(static_cast<std::uint8_t>(head));
  if (is_long) {
    std::uint64_t more = fill_bytes_ - kLongFill;
    for (; more >= 0x80; more >>= 7) bytes_.push(static_cast<std::uint8_t>(more | 0x80));
    bytes_.push(static_cast<std::uint8_t>(more));
  }
  if (!has_odd) bytes_.append(tail_, tail_bytes_);
  fill_bit_ = 0;
  fill_bytes_ = 0;
  tail_bytes_ = 0;
}

Bytes Bbc::Sink::take() {
  cap_.finish(cutter_);
  if (fill_bytes_ != 0 || tail_bytes_ != 0) write_atom();
  return std::move(bytes_);
}

std::uint64_t Bbc::check(Data data, std::uint64_t row_count) {
  const std::uint64_t bytes_max = row_count / 8 + (row_count % 8 != 0);
  const std::uint8_t* at = data.data();
  const std::uint8_t* const end = at + data.size();
  std::uint64_t bytes = 0;
  while (at != end) {
    if (*at < 0x10) throw BitmapCorrupt("an atom of no kind");
    int digits = 0;
    const Atom atom = read_atom(*at++, [&] {
      if (at == end) throw BitmapCorrupt("ends within a number");
      if (++digits == 10) throw BitmapCorrupt("a number of more than 63 bits");
      return *at++;
    });
    const std::uint64_t tail = atom.tail_bytes + (atom.has_odd ? 1 : 0);
    if (atom.fill_bytes > bytes_max - bytes || tail > bytes_max - bytes - atom.fill_bytes)
      throw BitmapCorrupt("more rows than the row count");
    if (atom.tail_bytes > static_cast<std::uint64_t>(end - at)) throw BitmapCorrupt("ends within an atom");
    bytes += atom.fill_bytes + tail;
    at += atom.tail_bytes;
  }
  if (bytes != bytes_max) throw BitmapCorrupt("fewer rows than the row count");
  return check_form<Bbc>(data, row_count);
}

}  // namespace esker::bitmap
