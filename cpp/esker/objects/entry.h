// Entries of a run (see src/esker/engine/objects/runs.py): written to a file through one buffer, read from
// memory.
#pragma once

#include <cstdint>

#include "esker/objects/item.h"

namespace esker::objects {

// What a block of items begins with; a pickle begins with 0x80.
constexpr std::uint8_t kItemsBlock = 0x01;

// An entry's items, without the marks of their blocks, how many pairs it has, and the bytes of the whole
// entry.
struct EntryView {
  Bytes keys;
  Bytes values;
  std::uint32_t pairs;
  std::size_t entry_bytes;
};

// The entry that `data` begins with. Throws ObjectsCorrupt when it does not fit.
EntryView first_entry(Bytes data);

class EntryWriter {
 public:
  explicit EntryWriter(int fd) : fd_(fd) {}

  // Then the items follow: first the keys', then the values', so many bytes of each.
  void begin(std::uint64_t key_bytes, std::uint64_t pairs, std::uint64_t value_bytes);
  // Opens the block of keys or of values; its byte is not among those told to `begin`.
  void begin_block() { put(Bytes(&kItemsBlock, 1)); }
  void put(Bytes bytes);
  // Throws SpillFailed.
  void flush();

  std::uint64_t written() const { return written_ + buffer_.size(); }

 private:
  void write_all(Bytes bytes);

  int fd_;
  Buffer buffer_;
  std::uint64_t written_ = 0;
};

}  // namespace esker::objects
