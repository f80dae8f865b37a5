// Reading the pairs of a run's section, and keys that are stored with a place.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <utility>

#include "esker/error.h"
#include "esker/objects/entry.h"
#include "esker/objects/item.h"
#include "list_maker.h"
#include "object_codec.h"
#include "run_parts.h"

namespace esker::bind {

// Pairs of a section's entries. In a section of groups an entry has one key for all its values.
class PairReader {
 public:
  PairReader(nanobind::object section, bool groups, nanobind::object load)
      : buffer_(std::move(section)),
        borrowed_(buffer_),
        codec_({nanobind::none(), nanobind::none(), std::move(load)}),
        rest_(borrowed_.bytes()),
        groups_(groups) {}

  // Goes to the next pair; false at the end.
  bool next() {
    while (values_.done()) {
      if (rest_.empty()) return false;
      open_entry();
    }
    if (!groups_) key_ = keys_.skip();
    value_ = values_.skip();
    return true;
  }
  objects::Bytes key() const { return key_; }
  objects::Bytes value() const { return value_; }

  // Up to `count` pairs, fewer where they are large.
  nanobind::object take(std::uint32_t count) {
    ListMaker pairs;
    for (std::size_t bytes = 0; count > 0 && bytes < kBatchBytes && next(); --count) {
      bytes += key_.size() + value_.size();
      nanobind::object key = codec_.decode(key_);
      pairs.add(std::move(key), codec_.decode(value_));
    }
    return pairs.list();
  }
  const ObjectCodec& codec() const { return codec_; }

 private:
  void open_entry() {
    const objects::EntryView entry = objects::first_entry(rest_);
    rest_ = rest_.subspan(entry.entry_bytes);
    keys_ = objects::Reader(entry.keys);
    values_ = objects::Reader(entry.values);
    if (groups_ && !values_.done()) key_ = keys_.skip();
  }

  nanobind::object buffer_;
  BorrowedBytes borrowed_;
  ObjectCodec codec_;
  objects::Bytes rest_;
  bool groups_;
  objects::Reader keys_{objects::Bytes()};
  objects::Reader values_{objects::Bytes()};
  objects::Bytes key_;
  objects::Bytes value_;
};

// A key with the place of its first pair: a tuple of both.
inline void put_placed(objects::Buffer& out, std::uint64_t place, objects::Bytes key) {
  out.put(objects::kTuple);
  out.put(2);
  objects::put_integer(out, static_cast<std::int64_t>(place));
  out.put(key.data(), key.size());
}

// The place before the key, which is what is left.
inline std::uint64_t split_place(objects::Bytes& key) {
  objects::Reader reader(key);
  const objects::Item pair = reader.next();
  if (pair.tag != objects::kTuple || pair.length != 2) throw ObjectsCorrupt("a stored key has no place");
  const std::int64_t place = reader.next().integer;
  key = reader.skip();
  return static_cast<std::uint64_t>(place);
}

}  // namespace esker::bind
