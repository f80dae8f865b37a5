#include "esker/objects/item.h"

#include <algorithm>
#include <bit>

#include "esker/error.h"
#include "esker/hash/row_hash.h"

namespace esker::objects {
namespace {

// Python hashes numbers modulo this prime.
constexpr std::uint64_t kModulus = (std::uint64_t{1} << 61) - 1;

[[noreturn]] void damaged() {
  throw ObjectsCorrupt("the bytes of stored objects are damaged");
}

std::int64_t hash_integer(bool negative, std::uint64_t magnitude) {
  const auto rest = static_cast<std::int64_t>(magnitude % kModulus);
  const std::int64_t hash = negative ? -rest : rest;
  return hash == -1 ? -2 : hash;
}

// "-1f": as Python's hex without 0x.
std::int64_t hash_digits(Bytes digits) {
  const bool negative = !digits.empty() && digits[0] == '-';
  std::uint64_t rest = 0;
  for (const std::uint8_t digit : digits.subspan(negative ? 1 : 0)) {
    const std::uint64_t value = digit <= '9' ? digit - '0' : digit - 'a' + 10U;
    // rest < 2^61: four bits more fit into 65, so they are folded by hand.
    const std::uint64_t high = rest >> 57;
    rest = ((rest << 4) & kModulus) + high + value;
    rest %= kModulus;
  }
  return hash_integer(negative, rest);
}

std::int64_t hash_next(Reader& reader, int depth) {
  const Item item = reader.next();
  switch (item.tag) {
    case kNone:
      return 0;
    case kInteger64:
      return hash_integer(item.integer < 0, item.integer < 0
                                                ? std::uint64_t{0} - static_cast<std::uint64_t>(item.integer)
                                                : static_cast<std::uint64_t>(item.integer));
    case kBigInteger:
      return hash_digits(item.bytes);
    case kFloat:
      return static_cast<std::int64_t>(hash::mix(std::bit_cast<std::uint64_t>(item.real)));
    case kText:
    case kSurrogates:
      return static_cast<std::int64_t>(
          hash::hash_bytes(item.bytes.data(), static_cast<std::int64_t>(item.bytes.size())));
    case kBytes:
      return static_cast<std::int64_t>(
          hash::mix(hash::hash_bytes(item.bytes.data(), static_cast<std::int64_t>(item.bytes.size()))));
    case kTuple: {
      if (depth == 2 * kDepthMax) damaged();
      std::uint64_t state = hash::start(item.length);
      for (std::uint64_t i = 0; i < item.length; ++i) {
        state = hash::mix(state + static_cast<std::uint64_t>(hash_next(reader, depth + 1)));
      }
      return static_cast<std::int64_t>(state);
    }
    default:
      damaged();
  }
}

}  // namespace

void Buffer::grow(std::size_t wanted) {
  const std::size_t capacity = std::max({wanted, capacity_ * 2, std::size_t{64}});
  auto* data = new std::uint8_t[capacity];
  if (size_ > 0) std::memcpy(data, data_, size_);
  delete[] data_;
  data_ = data;
  capacity_ = capacity;
}

void put_integer(Buffer& out, std::int64_t value) {
  if (value >= kSmallIntegerLeast && value <= kSmallIntegerMost) {
    out.put(static_cast<std::uint8_t>(kSmallInteger + (value - kSmallIntegerLeast)));
  } else if (value == static_cast<std::int8_t>(value)) {
    out.put(kInteger8);
    out.put(&value, 1);
  } else if (value == static_cast<std::int16_t>(value)) {
    out.put(kInteger16);
    out.put(&value, 2);
  } else if (value == static_cast<std::int32_t>(value)) {
    out.put(kInteger32);
    out.put(&value, 4);
  } else {
    out.put(kInteger64);
    out.put(&value, 8);
  }
}

void put_long_text(Buffer& out, Bytes utf8) {
  out.put(kText);
  out.put_length(utf8.size());
  out.put(utf8.data(), utf8.size());
}

std::uint64_t Reader::read_length() {
  std::uint64_t length = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ == end_) damaged();
    const std::uint8_t byte = *at_++;
    length |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return length;
  }
  damaged();
}

Bytes Reader::read_bytes(std::uint64_t size) {
  if (size > static_cast<std::uint64_t>(end_ - at_)) damaged();
  const Bytes bytes(at_, static_cast<std::size_t>(size));
  at_ += size;
  return bytes;
}

template <class Number>
Number Reader::read_number() {
  Number number;
  std::memcpy(&number, read_bytes(sizeof(Number)).data(), sizeof(Number));
  return number;
}

Item Reader::next() {
  if (at_ == end_) damaged();
  const std::uint8_t tag = *at_++;
  Item item;
  item.tag = tag;
  if (tag < kSmallInteger) {
    item.tag = kText;
    item.bytes = read_bytes(tag);
    return item;
  }
  if (tag < kNone) {
    item.tag = kInteger64;
    item.integer = tag - kSmallInteger + kSmallIntegerLeast;
    return item;
  }
  switch (tag) {
    case kNone:
    case kTrue:
    case kFalse:
      return item;
    case kFloat:
      item.real = read_number<double>();
      return item;
    case kInteger8:
      item.integer = read_number<std::int8_t>();
      break;
    case kInteger16:
      item.integer = read_number<std::int16_t>();
      break;
    case kInteger32:
      item.integer = read_number<std::int32_t>();
      break;
    case kInteger64:
      item.integer = read_number<std::int64_t>();
      break;
    case kText:
    case kBytes:
    case kSurrogates:
    case kBigInteger:
    case kPickled:
      item.bytes = read_bytes(read_length());
      return item;
    case kTuple:
    case kList:
    case kDict:
      item.length = read_length();
      // Each item takes a byte at least: a longer length would only ask for memory.
      if (item.length > static_cast<std::uint64_t>(end_ - at_)) damaged();
      return item;
    default:
      damaged();
  }
  item.tag = kInteger64;
  return item;
}

Bytes Reader::skip(int depth) {
  const std::uint8_t* begin = at_;
  const Item item = next();
  if (item.tag == kTuple || item.tag == kList || item.tag == kDict) {
    if (depth == 2 * kDepthMax) damaged();
    const std::uint64_t items = item.tag == kDict ? 2 * item.length : item.length;
    for (std::uint64_t i = 0; i < items; ++i) skip(depth + 1);
  }
  return {begin, static_cast<std::size_t>(at_ - begin)};
}

std::int64_t stable_hash(Bytes canonical) {
  // Short texts and small integers, most keys, without taking the item apart.
  const std::uint8_t tag = canonical[0];
  if (tag < kSmallInteger && canonical.size() == tag + std::size_t{1}) {
    return static_cast<std::int64_t>(hash::hash_bytes(canonical.data() + 1, tag));
  }
  if (tag >= kSmallInteger && tag < kNone) {
    const std::int64_t value = tag - kSmallInteger + kSmallIntegerLeast;
    return value == -1 ? -2 : value;
  }
  Reader reader(canonical);
  return hash_next(reader, 0);
}

bool is_canonical(Bytes item) {
  Reader reader(item);
  while (!reader.done()) {
    switch (reader.next().tag) {
      case kTrue:
      case kFalse:
      case kFloat:
      case kPickled:
      case kList:
      case kDict:
        return false;
      default:
        break;
    }
  }
  return true;
}

}  // namespace esker::objects
