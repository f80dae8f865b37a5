// Objects as bytes: one tag, then what the tag says. Numbers are little-endian, lengths varints (LEB128).
//
//   0x00-0x7F text of so many bytes     0xC5 16-bit integer            0xCB text with lone surrogates:
//   length, bytes 0x80-0xBF the integer -16 to 47     0xC6 32-bit integer            0xCC integer: length,
//   sign and hex digits 0xC0 None   0xC1 True   0xC2 False  0xC7 64-bit integer            0xCD pickled:
//   length, bytes 0xC3 64-bit float                   0xC8 text: length, UTF-8       0xCE tuple: length,
//   items 0xC4 8-bit integer                  0xC9 bytes: length, bytes      0xCF list   0xD0 dict: keys and
//   values by turns
//
// Integers take the least form that holds them, so that equal ones have equal bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace esker::objects {

enum Tag : std::uint8_t {
  kSmallInteger = 0x80,
  kNone = 0xC0,
  kTrue,
  kFalse,
  kFloat,
  kInteger8,
  kInteger16,
  kInteger32,
  kInteger64,
  kText,
  kBytes,
  kSurrogates,
  kBigInteger,
  kPickled,
  kTuple,
  kList,
  kDict,
};

constexpr std::int64_t kSmallIntegerLeast = -16;
constexpr std::int64_t kSmallIntegerMost = 47;

// Tuples in tuples deeper than this are pickled.
constexpr int kDepthMax = 8;

using Bytes = std::span<const std::uint8_t>;

// A growing buffer whose bytes are not cleared first.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { delete[] data_; }

  void clear() { size_ = 0; }
  // Forgets what came after `size`.
  void cut(std::size_t size) { size_ = size; }
  std::size_t size() const { return size_; }
  Bytes bytes() const { return {data_, size_}; }

  void put(std::uint8_t byte) {
    reserve(1);
    data_[size_++] = byte;
  }
  void put(const void* bytes, std::size_t count) {
    if (count == 0) return;
    reserve(count);
    std::memcpy(data_ + size_, bytes, count);
    size_ += count;
  }
  void put_length(std::uint64_t length) {
    while (length >= 0x80) {
      put(static_cast<std::uint8_t>(length | 0x80));
      length >>= 7;
    }
    put(static_cast<std::uint8_t>(length));
  }

 private:
  void reserve(std::size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
  }
  void grow(std::size_t wanted);

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

void put_integer(Buffer& out, std::int64_t value);
void put_long_text(Buffer& out, Bytes utf8);

// Most texts take one byte more than they have: that is done in place.
inline void put_text(Buffer& out, Bytes utf8) {
  if (utf8.size() >= kSmallInteger) return put_long_text(out, utf8);
  out.put(static_cast<std::uint8_t>(utf8.size()));
  out.put(utf8.data(), utf8.size());
}

// One item, taken apart. `bytes` are those of texts, bytes, digits and pickles; `length` the items of a tuple
// or list, the pairs of a dict.
struct Item {
  std::uint8_t tag = kNone;
  std::int64_t integer = 0;
  double real = 0;
  std::uint64_t length = 0;
  Bytes bytes;
};

// Reads items one after the other. Throws ObjectsCorrupt when the bytes end within one, or a tag is unknown.
class Reader {
 public:
  explicit Reader(Bytes data) : at_(data.data()), end_(data.data() + data.size()) {}

  bool done() const { return at_ == end_; }
  const std::uint8_t* place() const { return at_; }

  // Texts come as kText, integers of any width that fits as kInteger64.
  Item next();
  // A short text, where that comes next.
  bool next_short_text(Bytes& text) {
    if (at_ == end_ || *at_ >= kSmallInteger || *at_ >= end_ - at_) return false;
    text = {at_ + 1, *at_};
    at_ += text.size() + 1;
    return true;
  }
  // Passes over an item with all in it; returns its bytes.
  Bytes skip(int depth = 0);

 private:
  std::uint64_t read_length();
  Bytes read_bytes(std::uint64_t size);
  template <class Number>
  Number read_number();

  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

// Hashes a key in its canonical form (see key_form): integers as Python does, None as 0.
std::int64_t stable_hash(Bytes canonical);

// Whether the bytes are their own canonical form: no bool, float or pickle in them.
bool is_canonical(Bytes item);

}  // namespace esker::objects
